"""psycopg2: libpq's simple protocol, with parameters written into the text."""

import io
import os
import threading

import psycopg2
import psycopg2.extensions

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

    def cancelled(self, statement):
        """Asks on another connection to cancel the statement, until that is done."""
        done = threading.Event()

        def cancel():
            while not done.wait(0.02):
                self.connection.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            self.cursor.execute(statement)
        except psycopg2.extensions.QueryCanceledError:
            return
        finally:
            done.set()
            canceller.join()
        sql.fail(f"{statement} was not cancelled")

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
    client.cancelled("SELECT pg_sleep(600)")
    client.connection.close()
