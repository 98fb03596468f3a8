package programs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/clewtrace/clew/test/rig"
)

// python is Debian's, which sees Debian's modules whatever else is installed.
const python = "/usr/bin/python3"

// concurrency is how many requests the pooled programs serve at once.
const concurrency = 64

// Catalogue are all programs.
func Catalogue() []Program {
	return []Program{
		{Name: "go", Needs: []string{"go"}, build: buildGo, commands: goServer},
		{Name: "python-http", Needs: []string{python}, commands: pythonServer},
		{Name: "gunicorn-sync", Needs: []string{"gunicorn"}, commands: gunicorn("--workers=4")},
		{Name: "gunicorn-gthread", Needs: []string{"gunicorn"}, commands: gunicorn("--worker-class=gthread", "--workers=1", "--threads="+strconv.Itoa(concurrency))},
		{Name: "uvicorn", Needs: []string{"uvicorn"}, commands: uvicorn},
		{Name: "node-http", Needs: []string{"node"}, commands: node("http.js")},
		{Name: "node-express", Needs: []string{"node", "npm"}, build: buildExpress, commands: node("express.js")},
		{Name: "java-httpclient", Needs: []string{"java", "javac"}, build: buildJava, commands: java("httpclient")},
		{Name: "java-urlconnection", Needs: []string{"java", "javac"}, build: buildJava, commands: java("urlconnection")},
		{Name: "ruby-puma", Needs: []string{"puma"}, commands: puma},
		{Name: "php-cli", Needs: []string{"php"}, commands: phpServer},
		{Name: "php-fpm", Needs: []string{"nginx", "php"}, Named: []string{"nginx", "www"}, socket: "fpm.sock", commands: phpFPM},
		{Name: "nginx", Needs: []string{"nginx"}, Named: []string{"nginx"}, commands: nginx},
	}
}

// Named is the program of that name. It panics when there is none, which only
// a mistake in a test can cause.
func Named(name string) Program {
	for _, p := range Catalogue() {
		if p.Name == name {
			return p
		}
	}
	panic("no program is called " + name)
}

func goServer(w *Workshop, _ Config) ([]rig.Command, error) {
	return []rig.Command{{Path: filepath.Join(w.dir, "gohttp")}}, nil
}

func pythonServer(w *Workshop, _ Config) ([]rig.Command, error) {
	return []rig.Command{{
		Path: python, Args: []string{filepath.Join(w.source, "python", "threaded.py")},
		Env: []string{"PYTHONDONTWRITEBYTECODE=1"},
	}}, nil
}

func gunicorn(arguments ...string) func(*Workshop, Config) ([]rig.Command, error) {
	return func(w *Workshop, c Config) ([]rig.Command, error) {
		return []rig.Command{{
			Path: "gunicorn",
			Args: append([]string{"--bind=" + c.Address, "--backlog=1024", "--timeout=120", "--keep-alive=60",
				"--chdir=" + filepath.Join(w.source, "python"), "app:app"}, arguments...),
			Env: []string{"PYTHONDONTWRITEBYTECODE=1"},
		}}, nil
	}
}

func uvicorn(w *Workshop, c Config) ([]rig.Command, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("configure uvicorn: %w", err)
	}
	return []rig.Command{{
		Path: "uvicorn",
		Args: []string{"--host=" + host, "--port=" + port, "--log-level=warning", "--no-access-log",
			"--app-dir=" + filepath.Join(w.source, "python"), "loop:app"},
		Env: []string{"PYTHONDONTWRITEBYTECODE=1"},
	}}, nil
}

func node(script string) func(*Workshop, Config) ([]rig.Command, error) {
	return func(w *Workshop, _ Config) ([]rig.Command, error) {
		return []rig.Command{{Path: "node", Args: []string{filepath.Join(w.source, "node", script)}}}, nil
	}
}

func java(client string) func(*Workshop, Config) ([]rig.Command, error) {
	return func(w *Workshop, _ Config) ([]rig.Command, error) {
		return []rig.Command{{
			Path: "java", Args: []string{"-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", filepath.Join(w.dir, "java"), "Server", client},
		}}, nil
	}
}

func puma(w *Workshop, c Config) ([]rig.Command, error) {
	return []rig.Command{{
		Path: "puma", Dir: c.dir,
		Args: []string{"--quiet", "--environment=production", "--threads=1:" + strconv.Itoa(concurrency),
			"--bind=tcp://" + c.Address, filepath.Join(w.source, "ruby", "config.ru")},
	}}, nil
}

func phpServer(w *Workshop, c Config) ([]rig.Command, error) {
	return []rig.Command{{
		Path: "php", Args: []string{"-q", "-S", c.Address, filepath.Join(w.source, "php", "index.php")},
		Env: []string{"PHP_CLI_SERVER_WORKERS=8"}, // processes
	}}, nil
}

func phpFPM(w *Workshop, c Config) ([]rig.Command, error) {
	pool, err := w.fill(c, "php/fpm.conf", "fpm.conf")
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("find php-fpm: not installed; run test/install")
	}
	front, err := w.fill(c, "nginx/php.conf", "nginx.conf")
	if err != nil {
		return nil, err
	}
	return []rig.Command{
		{Path: found[0], Args: []string{"--allow-to-run-as-root", "--nodaemonize", "--fpm-config", pool}},
		{Path: "nginx", Args: []string{"-e", filepath.Join(c.dir, "error.log"), "-c", front}},
	}, nil
}

// nginx serves "hello" at /, a file of FileSize bytes at /file, and what its
// backend serves under /proxy/.
func nginx(w *Workshop, c Config) ([]rig.Command, error) {
	config, err := w.fill(c, "nginx/nginx.conf", "nginx.conf")
	if err != nil {
		return nil, err
	}
	root := filepath.Join(c.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, fmt.Errorf("make nginx's documents: %w", err)
	}
	for name, text := range map[string][]byte{"index.html": []byte("hello\n"), "file": make([]byte, FileSize)} {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			return nil, fmt.Errorf("make nginx's documents: %w", err)
		}
	}
	return []rig.Command{{Path: "nginx", Args: []string{"-e", filepath.Join(c.dir, "error.log"), "-c", config}}}, nil
}

// FileSize is the size of nginx's /file in bytes: more than the socket buffers
// hold, so that sendfile takes several turns.
const FileSize = 16 << 20
