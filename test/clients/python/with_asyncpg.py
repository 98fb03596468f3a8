"""asyncpg: the extended protocol in binary, without libpq."""

import asyncio
import io
import itertools
import os

import asyncpg

import sql


def numbered(statement):
    count = itertools.count(1)
    return "".join(f"${next(count)}" if c == "?" else c for c in statement)


class Client:
    async def connect(self, host):
        self.transaction = None
        self.connection = await asyncpg.connect(
            host=host, port=int(os.environ["PORT"]), user="postgres", database="postgres",
            server_settings={"application_name": os.environ["PGAPPNAME"]}, ssl=False)
        return self

    async def do(self, verb, statement, parameters):
        if verb == "run":
            await self.connection.execute(statement)
        elif verb == "prepared":
            await self.connection.fetch(numbered(statement), *parameters)
        elif verb == "refused":
            try:
                await self.connection.execute(statement)
            except asyncpg.PostgresError:
                return
            sql.fail(f"{statement} was not refused")
        elif verb == "begin":
            self.transaction = self.connection.transaction()
            await self.transaction.start()
        elif verb == "commit":
            await self.transaction.commit()
        elif verb == "copyin":
            data = io.BytesIO(("\t".join(map(str, parameters)) + "\n").encode())
            await self.connection.copy_to_table("items", source=data)
        elif verb == "copyout":
            await self.connection.copy_from_table("items", output=io.BytesIO())


async def main():
    clients = [await Client().connect(host) for host in sql.hosts()]
    _, prepared, values = sql.early()
    statements = [await client.connection.prepare(numbered(prepared)) for client in clients]
    sql.wait()
    for statement in statements:
        await statement.fetch(*values)
    for client in clients + [await Client().connect(host) for host in sql.hosts()]:
        for entry in sql.workload():
            await client.do(*entry)
        await client.connection.close()


asyncio.run(main())
