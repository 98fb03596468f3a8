"""A Flask application whose pages ask Redis by redis-py's pool, with Flask's own
server, which has a thread for each connection.

Each key names the page that it is for: q_ and the request's id.
"""

import os
import random
import time

import flask
import redis
import werkzeug.serving

app = flask.Flask(__name__)
host, port = os.environ["REDIS"].split(":")
cache = redis.Redis(host, int(port), password=os.environ["PASSWORD"])


@app.route("/page")
def page():
    key = "q_" + flask.request.args["id"].replace("-", "_")
    cache.set(key, "value", ex=60)
    time.sleep(random.random() * 0.002)
    cache.mget([key])
    time.sleep(random.random() * 0.002)
    cache.pipeline(transaction=False).exists(key).expire(key, 3600).execute()
    return "done\n"


host, port = os.environ["LISTEN"].split(":")
werkzeug.serving.WSGIRequestHandler.protocol_version = "HTTP/1.1"
werkzeug.serving.WSGIRequestHandler.log_request = lambda *_: None
app.run(host, int(port), threaded=True)
