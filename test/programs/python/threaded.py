"""http.server with one thread for each connection, calling out by urllib."""

import http.server
import os
import threading
import time
import urllib.parse
import urllib.request

import truth


def fetch(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


def beat(url):
    while True:
        fetch(truth.call("", url))
        time.sleep(0.025)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        request = self.headers.get("X-Request-Id") or query.get("id", "")
        truth.record(request=request)
        self.reply(*self.serve(url.path, query, request))

    do_POST = do_GET

    def serve(self, path, query, request):
        if path == "/slow":
            time.sleep(int(query.get("ms", 200)) / 1000)
            return 200, b"slow\n"
        if path == "/error":
            return 500, b"error\n"
        if path == "/call":
            try:
                return 200, fetch(truth.call(request, query["url"]))
            except OSError as problem:
                return 502, f"{problem}\n".encode()
        if path == "/later":
            wait = int(query.get("ms", 50)) / 1000
            threading.Timer(wait, fetch, [truth.call(request, query["url"])]).start()
            return 200, b"later\n"
        return (200, b"hello\n") if path == "/" else (404, b"not found\n")

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


if os.environ.get("HEARTBEAT"):
    threading.Thread(target=beat, args=[os.environ["HEARTBEAT"]], daemon=True).start()
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
