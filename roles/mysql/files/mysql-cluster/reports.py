"""How members tell each other what they are: one question over TLS, in which both prove that they are members."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from decision import Report

PATIENCE = 2.0  # seconds that an answer may take


def _context(tls: dict[str, str], side: ssl.Purpose) -> ssl.SSLContext:
    # Made for each connection, so that a renewed certificate is used at once.
    context = ssl.create_default_context(side, cafile=tls["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls["cert"], tls["key"])
    return context


def ask(name: str, address: str, port: int, tls: dict[str, str], patience: float = PATIENCE) -> Report | None:
    """Return a member's report, None when it cannot be had; its certificate has to name the address."""
    try:
        context = _context(tls, ssl.Purpose.SERVER_AUTH)
        with contextlib.closing(
            http.client.HTTPSConnection(address, port, timeout=patience, context=context)
        ) as connection:
            connection.request("GET", "/")
            report = Report.of(json.loads(connection.getresponse().read(1 << 20)))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return report if report.name == name else None


def ask_all(
    members: Iterable[dict[str, Any]], port: int, tls: dict[str, str], patience: float = PATIENCE
) -> dict[str, Report | None]:
    """Ask several members at once."""
    answers: dict[str, Report | None] = {}

    def note(name: str, address: str) -> None:
        answers[name] = None
        answers[name] = ask(name, address, port, tls, patience)

    threads = [threading.Thread(target=note, args=(one["name"], one["address"])) for one in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Server(ThreadingHTTPServer):
    """Answers the members, and nobody else."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, tls: dict[str, str], members: list[str], tell: Callable) -> None:
        """Listen.

        :param members: addresses that may ask; a certificate has to name one of them.
        :param tell: returns the report.
        """
        self.tls, self.members, self.tell = tls, members, tell
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)

    def finish_request(self, request: socket.socket, client_address: Any) -> None:
        """Shake hands in the thread of the connection, so that a silent client keeps nobody waiting."""
        request.settimeout(PATIENCE)
        try:
            with _context(self.tls, ssl.Purpose.CLIENT_AUTH).wrap_socket(request, server_side=True) as secured:
                names = {value for _kind, value in secured.getpeercert().get("subjectAltName", ())}
                if names & set(self.members):
                    super().finish_request(secured, client_address)
        except (OSError, ValueError):
            pass  # a stranger, or one that has gone


class Handler(BaseHTTPRequestHandler):
    """Answers one question."""

    timeout = PATIENCE

    def do_GET(self) -> None:
        """Tell what this member is."""
        body = json.dumps(self.server.tell().record()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: a line for each question would fill the journal."""
