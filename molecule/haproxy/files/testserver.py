"""Stands in for a web server and for a database: what it answers is set by files in /run/testserver.

8443  HTTPS  /healthz is 503 while `unfit` exists, everything else is 503 while `failing` exists,
             otherwise the request as it arrived, as JSON.
9200  HTTP   200 for the path named in `role`, and for /alive unless that is broken, else 503.
3306  TCP    sends the host's name, then keeps the connection.
"""

import json
import pathlib
import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATE = pathlib.Path("/run/testserver")
NAME = socket.gethostname()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Web(Handler):
    def handle_request(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        failing = (STATE / ("unfit" if self.path == "/healthz" else "failing")).exists()
        self.answer(503 if failing else 200, {"web": NAME, "headers": dict(self.headers)})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


class Role(Handler):
    def do_GET(self):
        role = (STATE / "role").read_text().strip()
        fit = self.path == f"/{role}" or (self.path == "/alive" and role != "broken")
        self.answer(200 if fit else 503, {"database": NAME})


class Database(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(NAME.encode() + b"\n")
        self.request.recv(1)


class TCPServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


web = ThreadingHTTPServer(("", 8443), Web)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain("/etc/testserver.pem", "/etc/testserver.key")
# The handshake belongs to the connection's thread, not to the one that accepts.
web.socket = tls.wrap_socket(web.socket, server_side=True, do_handshake_on_connect=False)
servers = [web, ThreadingHTTPServer(("", 9200), Role), TCPServer(("", 3306), Database)]
for server in servers:
    threading.Thread(target=server.serve_forever).start()
