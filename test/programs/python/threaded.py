"""http.server with one thread for each connection, calling out by urllib."""

import http.server
import os
import time
import urllib.parse
import urllib.request

import truth


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
                with urllib.request.urlopen(truth.call(request, query["url"]), timeout=60) as response:
                    return 200, response.read()
            except OSError as problem:
                return 502, f"{problem}\n".encode()
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


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
