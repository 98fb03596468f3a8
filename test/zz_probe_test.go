package test
import ("testing";"fmt";"time"
"github.com/clewtrace/clew/test/programs")
func TestZZ(t *testing.T){
 s:=newStage(t)
 be:=s.serve("go",programs.Config{Service:"backend"}); fr:=s.serve("gunicorn-sync",programs.Config{Service:"front"}); g:=s.serve("go",programs.Config{Service:"front"})
 s.watch(); start:=time.Now()
 for n:=range 30 { s.get(fr.URL+fmt.Sprintf("/call?id=py%v_%d&url=",time.Since(start).Milliseconds(),n)+be.URL+"/",200);s.get(g.URL+fmt.Sprintf("/call?id=go%v_%d&url=",time.Since(start).Milliseconds(),n)+be.URL+"/",200); time.Sleep(200*time.Millisecond) }
 spans:=s.settle()
 seen:=map[string]bool{}
 for _,sp:=range spans { if sp.Service=="front"&&sp.Kind=="client" { seen[sp.ParentID]=true } }
 for _,sp:=range spans { if sp.Service=="front"&&sp.Kind=="server" { fmt.Print(sp.RequestID()," ",seen[sp.SpanID],"; ") } }
 fmt.Println()
}
