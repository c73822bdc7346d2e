"""Stands in for the application: answers with the request as it arrived, on a unix socket."""

import json
import pathlib
import socketserver
import time
from http.server import BaseHTTPRequestHandler

SOCKET = pathlib.Path("/run/application/application.sock")


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/slow":
            time.sleep(30)
        data = json.dumps(
            {
                "path": self.path,
                "received": len(body),
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "padding": "." * 4096,
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def address_string(self):
        return "nginx"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


SOCKET.unlink(missing_ok=True)
with Server(str(SOCKET), Handler) as server:
    SOCKET.chmod(0o660)
    server.serve_forever()
