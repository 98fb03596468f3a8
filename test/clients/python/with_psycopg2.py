"""psycopg2: libpq's simple protocol, with parameters written into the text."""

import io
import os

import psycopg2

import sql


class Client:
    def __init__(self, host):
        self.connection = psycopg2.connect(host=host, port=os.environ["PORT"], user="postgres", dbname="postgres")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def run(self, statement, parameters):
        self.cursor.execute(statement.replace("?", "%s") if parameters else statement, parameters or None)
        if self.cursor.description:
            self.cursor.fetchall()

    def do(self, verb, statement, parameters):
        if verb == "refused":
            try:
                self.run(statement, parameters)
            except psycopg2.Error:
                return
            sql.fail(f"{statement} was not refused")
        elif verb == "begin":
            self.connection.autocommit = False
        elif verb == "commit":
            self.connection.commit()
            self.connection.autocommit = True
        elif verb == "copyin":
            self.cursor.copy_expert(statement, io.StringIO("\t".join(map(str, parameters)) + "\n"))
        elif verb == "copyout":
            self.cursor.copy_expert(statement, io.StringIO())
        else:
            self.run(statement, parameters)


clients = [Client(host) for host in sql.hosts()]
_, prepared, values = sql.early()
for client in clients:
    client.cursor.execute("PREPARE early AS " + prepared.replace("?", "$1"))
sql.wait()
for client in clients:
    client.cursor.execute("EXECUTE early(%s)", values)
for client in clients + [Client(host) for host in sql.hosts()]:
    for entry in sql.workload():
        if entry[0] != "early":
            client.do(*entry)
    client.connection.close()
