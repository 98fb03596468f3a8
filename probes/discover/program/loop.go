package program

import (
	"bytes"
	"path"
	"strings"

	"github.com/clewtrace/clew/probes/discover/proc"
)

// loops are what turns a thread-per-request runtime into an event loop: servers
// and worker classes by the names under which a command line knows them
// ("uvicorn app:app", "python3 -m aiohttp.web", "gunicorn -k gevent").
//
// What runs a loop of its own behind a name of its own (python3 main.py with
// asyncio.run in it) cannot be told so. Nor can the JVM's (Netty, Vert.x): it
// loads their classes from archives, often a single one with everything in it,
// and their native libraries only where they are wanted.
var loops = map[string]map[string]bool{
	CPython: pythonLoops,
	PyPy:    pythonLoops,
	Ruby:    {"falcon": true, "falcon-host": true, "async": true},
	PHP: {
		"swoole": true, "openswoole": true, "swoole-server": true, "octane:swoole": true,
		"hyperf": true, "reactphp": true, "php-pm": true, "ppm": true, "workerman": true,
	},
}

var pythonLoops = map[string]bool{
	"aiohttp": true, "daphne": true, "eventlet": true, "fastapi": true, "gevent": true, "geventwebsocket": true,
	"granian": true, "hypercorn": true, "litestar": true, "quart": true, "robyn": true, "sanic": true,
	"tornado": true, "uvicorn": true, "uvicorn_worker": true, "uvloop": true,
}

// loopModules are directories of compiled Python modules that only a loop loads.
// Not among them: greenlet, which database libraries load to be prepared, and
// _asyncio, which much of the synchronous world imports too.
var loopModules = [][]byte{[]byte("/gevent/"), []byte("/uvloop/"), []byte("/tornado/")}

// runsLoop says whether the process is known to serve many requests on one
// thread, though its runtime by itself does not.
func runsLoop(p *proc.Process, runtime string) bool {
	names := loops[runtime]
	if names == nil {
		return false
	}
	args, err := p.Args()
	if err == nil && namesAny(args, names) {
		return true
	}
	return (runtime == CPython || runtime == PyPy) && mapsAny(p, loopModules)
}

// namesAny says whether a word of the command line is one of the names.
func namesAny(args proc.Args, names map[string]bool) bool {
	words := args.List
	if words == nil {
		words = strings.Fields(args.Title)
	}
	for _, word := range words {
		if names[loopName(word)] {
			return true
		}
	}
	return false
}

// loopName is what a word of a command line may call a loop: the base name of a
// program or script, the value of an option (--worker-class=gevent, -kgevent),
// and of a module or class its package (aiohttp.web, uvicorn.workers.Worker).
func loopName(word string) string {
	if _, value, ok := strings.Cut(word, "="); ok {
		word = value
	}
	word = path.Base(strings.TrimPrefix(word, "-k"))
	name, _, _ := strings.Cut(word, ".")
	return strings.ToLower(name)
}

// mapsAny says whether the process has mapped a file with one of the fragments
// in its path.
func mapsAny(p *proc.Process, fragments [][]byte) bool {
	data, err := p.Read("maps", mapsLimit)
	if err != nil {
		return false
	}
	for _, fragment := range fragments {
		if bytes.Contains(data, fragment) {
			return true
		}
	}
	return false
}
