"""Runs on the host: asks the application without pause until a file appears, and counts every answer.

Usage: load.py SOCKET STOP_FILE. Each request is a connection of its own, as the web server's are.
"""

import collections
import http.client
import json
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

SOCKET, STOP_FILE = sys.argv[1], Path(sys.argv[2])
END = time.monotonic() + 60  # whatever happens


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def connect(self):
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(SOCKET)


def ask(method, path, body=None):
    """Return the status and the body of one request."""
    connection = Connection("localhost")
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())} if body else {}
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


def work(counts, releases):
    """Ask, and note what came of it."""
    while time.monotonic() < END and not STOP_FILE.exists():
        for method, path, body in (
            ("GET", "/whoami", None),
            ("GET", "/notes?limit=1", None),
            ("POST", "/notes", '{"text": "load"}'),
        ):
            try:
                status, answer = ask(method, path, body)
                counts[f"{method} {status}"] += 1
                if path == "/whoami":
                    releases.add(json.loads(answer)["release"])
            except (OSError, http.client.HTTPException) as error:
                counts[f"{method} {type(error).__name__}: {error}"] += 1
            time.sleep(0.02)


counts, releases = collections.Counter(), set()
threads = [threading.Thread(target=work, args=(counts, releases)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"counts": counts, "releases": sorted(releases)}))
