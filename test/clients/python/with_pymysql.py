"""PyMySQL: MySQL's text protocol, with parameters written into the text."""

import os

import pymysql

import sql


class Client:
    def __init__(self, host):
        where = {"unix_socket": host} if host.startswith("/") else {"host": host, "port": int(os.environ["PORT"])}
        self.connection = pymysql.connect(user="root", database=os.environ["DATABASE"], autocommit=True, **where)
        self.cursor = self.connection.cursor()

    def do(self, verb, statement, parameters):
        if verb in ("run", "prepared"):
            self.cursor.execute(statement.replace("?", "%s") if parameters else statement, parameters or None)
        elif verb == "refused":
            try:
                self.cursor.execute(statement)
            except pymysql.Error:
                return
            sql.fail(f"{statement} was not refused")
        elif verb == "begin":
            self.connection.begin()
        elif verb == "commit":
            self.connection.commit()


clients = [Client(host) for host in sql.hosts()]
_, prepared, values = sql.early()
for client in clients:
    client.cursor.execute(f"PREPARE early FROM '{prepared}'")
sql.wait()
for client in clients:
    client.cursor.execute("EXECUTE early USING %s", values)
for client in clients + [Client(host) for host in sql.hosts()]:
    for entry in sql.workload():
        if entry[0] != "early":
            client.do(*entry)
    client.connection.close()
