package workload

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/program"
)

// named is one row: a command line as a shell would take it, without quoting.
type named struct {
	command string // words; the first is the executable's path
	want    string
	title   string // instead of the words after the first
	cwd     string
	environ map[string]string
	files   map[string]string
}

func (n named) name() string {
	words := strings.Fields(n.command)
	s := &subject{
		exe: words[0], args: words, title: n.title, program: program.ByName(words[0]), environ: n.environ,
		cwd: func() string { return n.cwd },
		readFile: func(path string, limit int) ([]byte, error) {
			content, ok := n.files[path]
			if !ok {
				return nil, errors.New("no such file")
			}
			return []byte(content[:min(limit, len(content))]), nil
		},
	}
	if n.title != "" {
		s.args = nil
	}
	return serviceName(s)
}

func check(t *testing.T, rows []named) {
	t.Helper()
	for _, row := range rows {
		if got := row.name(); got != row.want {
			t.Errorf("%s %s (in %s): named %q, want %q", row.command, row.title, row.cwd, got, row.want)
		}
	}
}

func TestJavaNames(t *testing.T) {
	const java = "/usr/lib/jvm/java-17/bin/java "
	check(t, []named{
		{command: java + "-jar checkout.jar", want: "checkout"},
		{command: java + "-Xmx1g -jar /opt/checkout-1.2.3.jar --server.port=8080", want: "checkout"},
		{command: java + "-jar checkout-1.2.3-SNAPSHOT.jar", want: "checkout"},
		{command: java + "-jar checkout-1.2.3.RELEASE.jar", want: "checkout"},
		{command: java + "-jar checkout-2.jar", want: "checkout-2"},
		{command: java + "-jar -Xmx1g /opt/checkout.jar", want: "checkout"},
		{command: java + "-jar app.jar", cwd: "/srv/checkout", want: "checkout"},
		{command: java + "-jar app.jar", cwd: "/app", want: "app"},
		{command: java + "-cp /a.jar:/b.jar com.acme.Main x -jar y.jar", want: "com.acme.Main"},
		{command: java + "-classpath x --add-modules a,b --add-opens java.base/java.lang=ALL-UNNAMED com.acme.Main", want: "com.acme.Main"},
		{command: java + "-Dx=y -XX:+UseG1GC -javaagent:/otel.jar -ea --class-path=z com/acme/Main", want: "com.acme.Main"},
		{command: java + "-p mods -m com.acme.shop/com.acme.shop.Main", want: "com.acme.shop.Main"},
		{command: java + "--module-path mods --module=com.acme.shop", want: "com.acme.shop"},
		{command: java + "-cp x Main", cwd: "/srv/checkout", want: "checkout"},
		{command: java + "-cp x Main", cwd: "/", want: "Main"},
		{command: java + "Hello.java", want: "Hello"},
		{command: java + "-cp x org.apache.catalina.startup.Bootstrap start", want: "tomcat"},
		{command: java + "org.springframework.boot.loader.launch.JarLauncher", cwd: "/srv/checkout", want: "checkout"},
		{command: java + "org.springframework.boot.loader.JarLauncher", cwd: "/app", want: "java"},
		{command: java + "@/etc/java.args", files: map[string]string{"/etc/java.args": "# comment\n-cp \"a b:c\"\n-Dp='x y' com.acme.Main\n"}, want: "com.acme.Main"},
		{command: java + "-Xmx1g @opts -jar shop.jar", cwd: "/srv", files: map[string]string{"/srv/opts": "-Xms1g\n-cp x"}, want: "shop"},
		{command: java + "@missing com.acme.Main", cwd: "/srv", want: "java"},
		{command: java + "--disable-@files @x", want: "@x"},
		{command: java + "@loop", cwd: "/srv", files: map[string]string{"/srv/loop": "@loop"}, want: "java"},
		{command: java + "-version", want: "java"},
		{command: java + "-cp", want: "java"},
		{command: java + "-m", want: "java"},
		{command: java, want: "java"},
	})
}

func TestPythonNames(t *testing.T) {
	const python = "/usr/bin/python3.11 "
	check(t, []named{
		{command: python + "checkout.py --port 80", want: "checkout"},
		{command: python + "-u -X dev -W ignore /srv/checkout.py", want: "checkout"},
		{command: python + "main.py", cwd: "/srv/checkout", want: "checkout"},
		{command: python + "main.py", cwd: "/app", want: "main"},
		{command: python + "-m checkout", want: "checkout"},
		{command: python + "-um checkout.api", want: "checkout.api"},
		{command: python + "-mcheckout", want: "checkout"},
		{command: python + "-m http.server 8000", want: "http.server"},
		{command: python + "-c pass checkout.py", want: "python3.11"},
		{command: python + "-", want: "python3.11"},
		{command: python, want: "python3.11"},
		{command: python + "-m", want: "python3.11"},
		{command: python + "-Wignore x.py", want: "x"},
		{command: python + "/usr/bin/gunicorn app:app", cwd: "/srv/x", want: "app"},
		{command: python + "/usr/bin/gunicorn -w 4 -b 0.0.0.0:8000 shop.wsgi:application", want: "shop"},
		{command: python + "/usr/bin/gunicorn shop.wsgi -b localhost:8000", want: "shop"},
		{command: python + "/usr/bin/gunicorn -k gevent shop.wsgi", want: "shop"},
		{command: python + "/usr/bin/gunicorn --preload shop.wsgi", want: "shop"},
		{command: python + "/usr/bin/gunicorn -b unix:app -c conf.py", cwd: "/srv/checkout", want: "checkout"},
		{command: python + "/usr/bin/gunicorn shop:create_app()", want: "shop"},
		{command: python + "-m uvicorn shop.main:app --host 0.0.0.0 --port 80", want: "shop"},
		{command: python + "/usr/lib/python3/dist-packages/gunicorn/__main__.py app:app", want: "app"},
		{command: python + "/usr/local/bin/hypercorn shop.asgi:app", want: "shop"},
		{command: python + "/usr/bin/flask run", environ: map[string]string{envFlaskApp: "shop.py"}, want: "shop"},
		{command: python + "-m flask --app shop run", want: "shop"},
		{command: python + "-m flask run", cwd: "/srv/checkout", want: "checkout"},
		{command: python + "-m flask run", cwd: "/app", want: "flask"},
		{command: python + "/usr/bin/celery -A shop.tasks worker -l info", want: "shop.tasks"},
		{command: python + "-m celery --app=shop worker", want: "shop"},
		{command: python + "manage.py runserver", cwd: "/srv/checkout", want: "checkout"},
		{command: python + "manage.py runserver", environ: map[string]string{envDjango: "shop.settings.prod"}, want: "shop"},
		{command: python + "/usr/bin/fastapi run shop.py", want: "shop"},
		{command: python, title: "gunicorn: worker [shop.wsgi:app]", want: "shop"},
		{command: python, title: "gunicorn: master [app]", want: "app"},
		{command: python, title: "[celeryd: celery@host:MainProcess] -active- (worker -A shop)", want: "shop"},
		{command: python, title: "python3 -m shop.api --x", want: "shop.api"},
		{command: python, title: "checkout: idle", want: "checkout"},
	})
}

func TestNodeNames(t *testing.T) {
	const node = "/usr/bin/node "
	shop := map[string]string{"/srv/shop/package.json": `{"private": true, "scripts": {"name": "no"}, "keywords": ["name", "x"], "version": 1, "name": "@acme/shop", "main"`}
	check(t, []named{
		{command: node + "/srv/shop/dist/server.js", files: shop, want: "@acme/shop"},
		{command: node + "dist/server.js", cwd: "/srv/shop", files: shop, want: "@acme/shop"},
		{command: node + "--max-old-space-size=512 -r dotenv/config --import ./otel.mjs checkout.js", cwd: "/srv", want: "checkout"},
		{command: node + "server.js", cwd: "/srv/checkout", want: "checkout"},
		{command: node + "/srv/checkout/src/index.mjs", want: "checkout"},
		{command: node + "/app/index.js", want: "index"},
		{command: node + "/srv/checkout/current/releases/20260102/app.js", want: "checkout"},
		{command: node + "/home/someone/main.js", want: "main"},
		{command: node + ".", cwd: "/srv/shop", files: shop, want: "@acme/shop"},
		{command: node + "x.js", cwd: "/a", files: map[string]string{"/a/package.json": `{"type":"module"}`, "/package.json": `{"name":"up"}`}, want: "up"},
		{command: node + "x.js", cwd: "/a", files: map[string]string{"/a/package.json": `["name","bad"]`}, want: "x"},
		{command: node + "x.js", cwd: "/a", files: map[string]string{"/a/package.json": `{"name": {"name": "bad"}}`}, want: "x"},
		{command: node + "-e 1", want: "node"},
		{command: node, want: "node"},
		{command: node, title: "next-server (v14.1.0)", cwd: "/srv/shop", files: shop, want: "@acme/shop"},
		{command: node, title: "next-server (v14.1.0)", cwd: "/", want: "next-server"},
		{command: "/root/.bun/bin/bun run checkout.ts", cwd: "/srv", want: "checkout"},
		{command: "/root/.bun/bin/bun run dev", cwd: "/srv/shop", files: shop, want: "@acme/shop"},
		{command: "/usr/bin/deno run --allow-net -c deno.json checkout.ts", cwd: "/srv", want: "checkout"},
	})
}

func TestOtherNames(t *testing.T) {
	check(t, []named{
		{command: "/usr/bin/ruby3.1 -rbundler/setup -I lib checkout.rb", want: "checkout"},
		{command: "/usr/bin/ruby3.1 /usr/bin/puma -p 80", cwd: "/srv/checkout/current", want: "checkout"},
		{command: "/usr/bin/ruby3.1 bin/rails server", cwd: "/", want: "rails"},
		{command: "/usr/bin/ruby3.1 -e gets", want: "ruby3.1"},
		{command: "/usr/bin/ruby3.1", title: "puma 6.3.0 (tcp://0.0.0.0:3000) [shop]", want: "shop"},
		{command: "/usr/bin/ruby3.1", title: "puma: cluster worker 0: 12 [shop]", want: "shop"},
		{command: "/usr/bin/ruby3.1", title: "sidekiq 7.1.0 shop [0 of 5 busy]", want: "shop"},
		{command: "/usr/bin/ruby3.1", title: "unicorn master -c x.rb", cwd: "/srv/shop", want: "shop"},
		{command: "/usr/sbin/php-fpm8.2", title: "php-fpm: pool www", want: "www"},
		{command: "/usr/sbin/php-fpm8.2", title: "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)", want: "php-fpm"},
		{command: "/usr/bin/php8.2 -S 127.0.0.1:80 -t /srv/shop/public", want: "shop"},
		{command: "/usr/bin/php8.2 -S 127.0.0.1:80 router.php", want: "router"},
		{command: "/usr/bin/php8.2 -S 127.0.0.1:80", cwd: "/srv/shop", want: "shop"},
		{command: "/usr/bin/php8.2 artisan serve", cwd: "/srv/shop", want: "shop"},
		{command: "/usr/bin/php8.2 -d x=y checkout.php", want: "checkout"},
		{command: "/usr/bin/php8.2 -f checkout.php", want: "checkout"},
		{command: "/usr/bin/php8.2 -r 1;", want: "php8.2"},
		{command: "/usr/bin/php8.2", want: "php8.2"},
		{command: "/usr/bin/dotnet /app/Shop.Api.dll --urls x", want: "Shop.Api"},
		{command: "/usr/bin/dotnet exec --depsfile a.json Shop.dll", want: "Shop"},
		{command: "/usr/bin/dotnet build", want: "dotnet"},
		{command: "/usr/lib/erlang/beam.smp -- -sname rabbit@host", want: "rabbit"},
		{command: "/usr/lib/erlang/beam.smp -x", environ: map[string]string{envRelease: "shop"}, want: "shop"},
		{command: "/usr/sbin/nginx", title: "nginx: worker process", want: "nginx"},
		{command: "/usr/lib/postgresql/15/bin/postgres", title: "postgres: checkpointer", want: "postgres"},
		{command: "/bin/busybox", want: "busybox"},
		{command: "/bin/bash -eu /srv/backup.sh now", want: "backup"},
		{command: "/bin/bash /srv/backup.sh now", want: "backup"},
		{command: "/bin/sh -c curl", want: "sh"},
		{command: "/usr/bin/perl -w checkout.pl", want: "checkout"},
		{command: "/usr/bin/gdb /bin/x", want: "gdb"},
	})
	busybox := &subject{exe: "/bin/busybox", args: []string{"httpd", "-f"}, cwd: func() string { return "" }}
	if got := serviceName(busybox); got != "httpd" {
		t.Errorf("busybox as httpd is named %q", got)
	}
	redis := &subject{exe: "/usr/bin/redis-check-rdb", title: "redis-server 127.0.0.1:6379", cwd: func() string { return "" }}
	if got := serviceName(redis); got != "redis-server" {
		t.Errorf("redis-server is named %q", got)
	}
	if got := serviceName(&subject{}); got != "" {
		t.Errorf("nothing is named %q", got)
	}
}

func TestGoNames(t *testing.T) {
	for _, test := range []struct{ exe, main, module, want string }{
		{"/usr/bin/checkout", "example.com/shop/cmd/other", "example.com/shop", "checkout"},
		{"/app/main", "example.com/shop/cmd/checkout", "example.com/shop", "checkout"},
		{"/app/server", "example.com/shop/cmd/server", "example.com/shop", "shop"},
		{"/app/main", "command-line-arguments", "example.com/shop/v2", "shop"},
		{"/app/main", "example.com/shop/v2", "example.com/shop/v2", "shop"},
		{"/tmp/__debug_bin123", "example.com/shop", "example.com/shop", "shop"},
		{"/app/main", "command-line-arguments", "", "main"},
		{"/app/main", "", "", "main"},
	} {
		info := program.Info{Runtime: program.Go, MainPackage: test.main, Module: test.module}
		if got := serviceName(&subject{exe: test.exe, program: info}); got != test.want {
			t.Errorf("%+v: named %q", test, got)
		}
	}
}

// FuzzServiceName gives any command line to every runtime's rules.
func FuzzServiceName(f *testing.F) {
	exes := []string{"java", "python3", "node", "ruby", "php", "php-fpm", "dotnet", "beam.smp", "deno", "sh", "nginx", "x"}
	for _, seed := range []string{
		"a\x00-jar\x00", "a\x00-m", "a\x00@f\x00", "a\x00@/package.json", "a\x00-m\x00gunicorn\x00:", "a\x00-f\x00", "a b", "[ ]", "sidekiq x",
		"php-fpm: pool ", "a\x00manage.py", "a\x00artisan", "a\x00-S\x00x\x00-t\x00y", "a\x00exec", "a\x00-sname\x00", "", "a\x00\x00\x00b", "a\x00.\x00",
	} {
		f.Add([]byte(seed), "/srv/shop", `{"name": "x"}`)
	}
	f.Fuzz(func(t *testing.T, cmdline []byte, cwd, file string) {
		args := proc.ParseArgs(cmdline)
		for _, exe := range exes {
			s := &subject{
				exe: "/usr/bin/" + exe, args: args.List, title: args.Title, program: program.ByName(exe),
				cwd:      func() string { return cwd },
				readFile: func(_ string, limit int) ([]byte, error) { return []byte(file[:min(limit, len(file))]), nil },
			}
			if name := clean(serviceName(s), maxName); !utf8.ValidString(name) || len(name) > 3*maxName {
				t.Errorf("%s %q: named %q", exe, cmdline, name)
			}
		}
	})
}
