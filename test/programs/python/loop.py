"""An ASGI application for uvicorn, calling out by aiohttp: one thread, one loop."""

import asyncio
import os
import urllib.parse

import aiohttp

import truth

background = set()  # else nobody holds these tasks


def start(work):
    task = asyncio.create_task(work)
    background.add(task)
    task.add_done_callback(background.discard)


class App:
    def __init__(self):
        self.session = None

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        query = dict(urllib.parse.parse_qsl(scope["query_string"].decode()))
        headers = dict(scope["headers"])
        request = headers.get(b"x-request-id", query.get("id", "").encode()).decode()
        truth.record(request=request)
        status, body = await self.serve(scope["path"], query, request)
        await send({
            "type": "http.response.start", "status": status,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())],
        })
        await send({"type": "http.response.body", "body": body})

    async def live(self, receive, send):
        await receive()
        self.session = aiohttp.ClientSession()
        if os.environ.get("HEARTBEAT"):
            start(self.beat(os.environ["HEARTBEAT"]))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.session.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def serve(self, path, query, request):
        if path == "/slow":
            await asyncio.sleep(int(query.get("ms", 200)) / 1000)
            return 200, b"slow\n"
        if path == "/error":
            return 500, b"error\n"
        if path == "/call":
            try:
                return 200, await self.fetch(truth.call(request, query["url"]))
            except aiohttp.ClientError as problem:
                return 502, f"{problem}\n".encode()
        if path == "/later":
            start(self.later(int(query.get("ms", 50)) / 1000, truth.call(request, query["url"])))
            return 200, b"later\n"
        return (200, b"hello\n") if path == "/" else (404, b"not found\n")

    async def fetch(self, url):
        async with self.session.get(url) as response:
            return await response.read()

    async def later(self, wait, url):
        await asyncio.sleep(wait)
        await self.fetch(url)

    async def beat(self, url):
        while True:
            await self.fetch(truth.call("", url))
            await asyncio.sleep(0.025)


app = App()
