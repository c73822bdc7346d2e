"""Runs on a web server in the application's place: standin.py SOCKET STATUS SECONDS.

Every request, health checks too, gets this answer after that time.
"""

import http.server
import os
import socketserver
import sys
import time
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers all methods alike."""

    def address_string(self) -> str:
        """A Unix socket has no client address."""
        return "-"

    def do_GET(self) -> None:
        """Wait and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(float(sys.argv[3]))
        self.send_response(int(sys.argv[2]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One thread for each request, however many wait."""

    request_queue_size = 1024
    daemon_threads = True


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.umask(0)
    Server(str(path), Handler).serve_forever()
