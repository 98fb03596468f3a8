package program_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/proc/proctest"
	"github.com/clewtrace/clew/probes/discover/program"
)

// TestLoopByCommandLine tells event loops by the words of command lines.
func TestLoopByCommandLine(t *testing.T) {
	for line, want := range map[string]bool{
		"python3 /usr/bin/uvicorn app:app --port 80":              true,
		"/venv/bin/python -m uvicorn app:app":                     true,
		"python3 -m aiohttp.web -P 8080 shop:main":                true,
		"python3 /usr/bin/gunicorn -k uvicorn.workers.H11 app":    true,
		"python3 /usr/bin/gunicorn --worker-class=gevent app:app": true,
		"python3 /usr/bin/gunicorn -kgevent app:app":              true,
		"python3 /usr/bin/celery -A shop worker -P eventlet":      true,
		"pypy3 /usr/bin/hypercorn app:app":                        true,
		"ruby /usr/bin/falcon serve":                              true,
		"php artisan octane:start --server=swoole":                true,
		"php vendor/bin/swoole-server /tmp/state.json":            true,
		"python3 /usr/bin/gunicorn --worker-class=gthread app:a":  false,
		"python3 /usr/bin/gunicorn --chdir=/srv/tornado-shop app": false,
		"python3 /srv/uvicorn/run.py":                             false, // the name of a directory
		"python3 manage.py runserver":                             false,
		"ruby /usr/bin/puma -t 5":                                 false,
		"php -S localhost:80":                                     false,
		"sleep uvicorn":                                           false, // nothing that has loops
	} {
		t.Run(line, func(t *testing.T) {
			words := strings.Fields(line)
			root := proctest.New(t, proctest.Process{PID: 9, Comm: "x", Exe: "/nowhere/" + filepath.Base(words[0]), Cmdline: strings.Join(words, "\x00") + "\x00"})
			if got := loaded(t, root, "/nowhere/"+filepath.Base(words[0])); got.Multiplexes != want {
				t.Errorf("got %+v, want multiplexes %v", got, want)
			}
		})
	}
	title := proctest.New(t, proctest.Process{PID: 9, Comm: "x", Exe: "/nowhere/python3", Cmdline: "gunicorn: worker -k gevent\x00"})
	if got := loaded(t, title, "/nowhere/python3"); !got.Multiplexes {
		t.Errorf("a title was not read: %+v", got)
	}
}

// TestLoopByModules tells event loops by the modules that are mapped.
func TestLoopByModules(t *testing.T) {
	const libraries = "7f00 r-xp 0 08:01 2 /usr/lib/python3/dist-packages"
	for module, want := range map[string]bool{
		"/uvloop/loop.cpython-311-x86_64-linux-gnu.so":          true,
		"/gevent/_gevent_c_hub_local.cpython-311-x86_64.so":     true,
		"/greenlet/_greenlet.cpython-311-x86_64-linux-gnu.so":   false,
		"/lib-dynload/_asyncio.cpython-311-x86_64-linux-gnu.so": false,
	} {
		root := proctest.New(t, proctest.Process{PID: 9, Comm: "x", Exe: "/nowhere/python3", Cmdline: "python3\x00main.py\x00"})
		proctest.Write(t, filepath.Join(root, "9/maps"), libraries+module+"\n")
		if got := loaded(t, root, "/nowhere/python3"); got.Multiplexes != want {
			t.Errorf("%s: got %+v, want multiplexes %v", module, got, want)
		}
	}
}

func loaded(t *testing.T, root, exe string) program.Info {
	t.Helper()
	p, err := proc.New(root).Open(9)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	return program.Loaded(p, program.ByName(exe))
}

// TestLoopOfRealPrograms runs real servers: the first is told by its command
// line from the first instant on, the second by what it has loaded.
func TestLoopOfRealPrograms(t *testing.T) {
	dir := t.TempDir()
	proctest.Write(t, filepath.Join(dir, "shop.py"), "async def app(scope, receive, send): pass\n")
	for _, test := range []struct {
		module string
		args   []string
	}{
		{"uvicorn", []string{"-m", "uvicorn", "--app-dir", dir, "--uds", filepath.Join(dir, "socket"), "shop:app"}},
		{"uvloop", []string{"-c", "import uvloop; input()"}},
		{"gevent", []string{"-c", "import gevent; input()"}},
	} {
		t.Run(test.module, func(t *testing.T) {
			const python = "/usr/bin/python3"
			if err := exec.Command(python, "-c", "import "+test.module).Run(); err != nil {
				t.Skipf("%s is not installed", test.module)
			}
			pid := run(t, python, test.args...)
			p, err := proc.New("").Open(uint32(pid))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var got program.Info
			for range 500 { // modules come some time after exec
				if got = program.Loaded(p, identify(t, pid)); got.Multiplexes {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if got.Runtime != program.CPython || !got.Multiplexes {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestIdentifyRenamedNode runs a copy of Node.js under another name, as programs
// in a single file are.
func TestIdentifyRenamedNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	image, err := os.ReadFile(node)
	if err != nil {
		t.Fatal(err)
	}
	renamed := filepath.Join(t.TempDir(), "shop")
	if err := os.WriteFile(renamed, image, 0o755); err != nil {
		t.Fatal(err)
	}
	if info := identify(t, run(t, renamed, "-e", "process.stdin.resume()")); info != (program.Info{Runtime: program.NodeJS, Multiplexes: true}) {
		t.Errorf("got %+v", info)
	}
}
