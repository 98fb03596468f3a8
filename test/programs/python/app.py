"""A Flask application for gunicorn, calling out by requests."""

import time

import flask
import requests

import truth

app = flask.Flask(__name__)


@app.before_request
def note():
    flask.g.request = flask.request.headers.get("X-Request-Id") or flask.request.args.get("id", "")
    truth.record(request=flask.g.request)


@app.route("/", methods=["GET", "POST"])
def index():
    return f"hello {len(flask.request.get_data())}\n"


@app.route("/slow")
def slow():
    time.sleep(int(flask.request.args.get("ms", 200)) / 1000)
    return "slow\n"


@app.route("/error")
def error():
    return "error\n", 500


@app.route("/call")
def call():
    try:
        return requests.get(truth.call(flask.g.request, flask.request.args["url"]), timeout=60).text
    except requests.RequestException as problem:
        return f"{problem}\n", 502
