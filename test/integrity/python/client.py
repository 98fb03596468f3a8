"""Makes the requests of a plan: client.py LIBRARY URL PLAN POOL THREADS.

LIBRARY is requests, http.client or aiohttp. Plan and output: see ../plan.go and ../outcome.go.
"""
import asyncio
import hashlib
import http.client
import sys
import threading
from urllib.parse import urlsplit

library, url, plan_name, pool_name, threads = sys.argv[1:6]
threads = int(threads)
pool = open(pool_name, "rb").read()
printing = threading.Lock()
DEADLINE = 60


class Request:
    def __init__(self, line):
        (self.id, self.method, self.target, self.framing, offset, size, piece,
         expect, close, headers) = line.rstrip("\n").split("\t")
        self.body = pool[int(offset):int(offset) + int(size)]
        self.piece, self.expect, self.close = int(piece), expect == "expect", close == "close"
        self.headers = {}
        for header in headers.split("\x1f") if headers else []:
            name, value = header.split(":", 1)
            self.headers[name] = value
        if self.close:
            self.headers["Connection"] = "close"

    def pieces(self):
        for at in range(0, len(self.body), self.piece):
            yield self.body[at:at + self.piece]

    async def pieces_later(self):
        for piece in self.pieces():
            yield piece

    def say(self, status, got, error=""):
        sent = hashlib.sha256(self.body).hexdigest()
        got = hashlib.sha256(got).hexdigest()
        with printing:
            print(self.id, status, sent, got, " ".join(error.split()), sep="\t", flush=True)


def use_requests(plan):
    import requests
    with requests.Session() as session:
        session.trust_env = False
        for r in plan:
            if r.expect:
                r.headers["Expect"] = "100-continue"
            data = {"none": None, "length": r.body, "chunked": r.pieces()}[r.framing]
            try:
                answer = session.request(r.method, url + r.target, headers=r.headers, data=data, timeout=DEADLINE)
                r.say(answer.status_code, answer.content)
            except Exception as e:
                r.say(0, b"", repr(e))


def use_http_client(plan):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=DEADLINE)
    for r in plan:
        if r.expect:
            r.headers["Expect"] = "100-continue"
        body = {"none": None, "length": r.body, "chunked": r.pieces()}[r.framing]
        try:
            connection.request(r.method, r.target, body, r.headers, encode_chunked=r.framing == "chunked")
            answer = connection.getresponse()
            r.say(answer.status, answer.read())
            if r.close:
                connection.close()
        except Exception as e:
            r.say(0, b"", repr(e))
            connection.close()


async def use_aiohttp(plan):
    import aiohttp
    import yarl
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        async def work(mine):
            for r in mine:
                data = {"none": None, "length": r.body, "chunked": r.pieces_later()}[r.framing]
                try:
                    async with session.request(r.method, yarl.URL(url + r.target, encoded=True), headers=r.headers,
                                               data=data, expect100=r.expect, allow_redirects=False) as answer:
                        r.say(answer.status, await answer.read())
                except Exception as e:
                    r.say(0, b"", repr(e))
        await asyncio.gather(*(work(plan[i::threads]) for i in range(threads)))


requests_to_make = [Request(line) for line in open(plan_name)]
if library == "aiohttp":
    asyncio.run(use_aiohttp(requests_to_make))
else:
    use = use_requests if library == "requests" else use_http_client
    crew = [threading.Thread(target=use, args=(requests_to_make[i::threads],)) for i in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
