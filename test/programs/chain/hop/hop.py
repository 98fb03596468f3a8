"""A link of a chain in Python: http.server with a thread for each connection,
calling out by http.client on a connection for each call. See package chain for
what it is told."""

import http.client
import http.server
import json
import os
import urllib.parse
import uuid

NEXT = urllib.parse.urlsplit(os.environ.get("NEXT", ""))


def record(**fields):
    if "GROUND_TRUTH" not in os.environ:
        return
    fd = os.open(os.environ["GROUND_TRUTH"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, (json.dumps(fields) + "\n").encode())
    finally:
        os.close(fd)


def call(request):
    name = uuid.uuid4().hex
    record(request=request, call=name)
    connection = http.client.HTTPConnection(NEXT.netloc, timeout=60)
    try:
        connection.request("GET", f"{NEXT.path}?id={name}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Hop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        request = query.get("id", [""])[0]
        record(request=request)
        status, body = call(request) if NEXT.netloc else (200, b"")
        body = b"python\n" + body
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


host, port = os.environ["LISTEN"].rsplit(":", 1)
Server((host, int(port)), Hop).serve_forever()
