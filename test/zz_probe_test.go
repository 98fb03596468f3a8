package test
import ("testing";"fmt";"time";"net"
"github.com/clewtrace/clew/test/programs";"github.com/clewtrace/clew/test/rig")
func TestZZ(t *testing.T){
 s:=newStage(t); s.watch()
 socket := "unix:" + s.scene.Dir + "/go.sock"
 s.serve("go", programs.Config{Service: "local", Address: socket})
 s.run("curl","-sS","--unix-socket", socket[5:], "http://localhost/?id=local")
 srv:=s.serve("go",programs.Config{})
 for n:=range 4 {
  c,_:=net.Dial("tcp",srv.Address); text:=request("GET","/",fmt.Sprintf("slow%d",n),"Connection: close")
  for i:=0;i<len(text);i++ { c.Write([]byte(text[i:i+1])); if n&1==1 { time.Sleep(2*time.Millisecond) } }
  if n&2==2 { c.(*net.TCPConn).CloseWrite() }
  b:=make([]byte,9000); k,_:=c.Read(b); fmt.Println(n,k, string(b[:min(20,k)])); c.Close()
 }
 spans:=s.settle()
 for n:=range 4 { fmt.Println(n, len(spans.Where(rig.Request(fmt.Sprintf("slow%d",n)))))}
 fmt.Println(spans)
}
