"""Ground truth: what this program knows about its own requests.

Every line of the file named by GROUND_TRUTH is one JSON object, written by one
write(2) on a file opened for appending, so that several processes can share it:
{"request": ID} for a request that came in, and {"request": ID, "call": CALL}
for a request that was sent while serving ID.
"""

import json
import os
import uuid

_path = os.environ.get("GROUND_TRUTH")


def record(**fields):
    if not _path:
        return
    line = (json.dumps(fields) + "\n").encode()
    fd = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def call(request, url):
    """Names an outgoing request made for `request`, and says where it goes."""
    name = uuid.uuid4().hex
    record(request=request, call=name)
    return url + ("&" if "?" in url else "?") + "id=" + name
