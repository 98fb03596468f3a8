"""A Flask application for gunicorn whose pages ask PostgreSQL by psycopg2.

Each query names the page that it is for in the alias of its column, which is no
value and so stays in a span: q_ and the request's id.
"""

import os

import flask
import psycopg2.pool

app = flask.Flask(__name__)
pool = psycopg2.pool.ThreadedConnectionPool(
    int(os.environ["POOL"]), int(os.environ["POOL"]), host="127.0.0.1", user="postgres", dbname="postgres")


@app.route("/page")
def page():
    name = "q_" + flask.request.args["id"].replace("-", "_")
    connection = pool.getconn()
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"SELECT pg_sleep(random() * 0.004) AS {name}")
        cursor.execute(f"SELECT abalance AS {name} FROM pgbench_accounts WHERE aid = 7")
        cursor.execute(f"SELECT tbalance AS {name} FROM pgbench_tellers WHERE tid = %s", [3])
        return "done\n"
    finally:
        pool.putconn(connection)
