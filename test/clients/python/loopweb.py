"""An ASGI application for uvicorn whose pages ask PostgreSQL by asyncpg. Its
queries are named as those of web.py."""

import os
import urllib.parse

import asyncpg


class App:
    pool = None

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            self.pool = await asyncpg.create_pool(
                host="127.0.0.1", port=int(os.environ["PGPORT"]), user="postgres", database="postgres", ssl=False,
                min_size=8, max_size=16)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        await receive()
        name = "q_" + dict(urllib.parse.parse_qsl(scope["query_string"].decode()))["id"].replace("-", "_")
        async with self.pool.acquire() as connection:
            await connection.execute(f"SELECT pg_sleep(random() * 0.004) AS {name}")
            await connection.fetch(f"SELECT abalance AS {name} FROM pgbench_accounts WHERE aid = 7")
            await connection.fetch(f"SELECT tbalance AS {name} FROM pgbench_tellers WHERE tid = $1", 3)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"done\n"})


app = App()
