"""An HTTP client for tests that connects where it is told and shows what it was answered."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What a server said; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


def request(
    method: str,
    url: str,
    *,
    address: str | None = None,
    headers: dict[str, str] | None = None,
    json_body: Any = None,
    ca: Path | str | None = None,
    expect: int | None = 200,
    timeout: float = 10,
) -> Answer:
    """Ask `url`, at `address` instead of what its name resolves to, and expect a status.

    With `ca` (a PEM file) the server's certificate is verified, without it is not. Redirects are
    not followed. pytest shows the answers of a test when it fails; `expect=None` takes any status.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    sock = socket.create_connection((address or host, port), timeout=timeout)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        if ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        sock = context.wrap_socket(sock, server_hostname=host)
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    fields = {"Connection": "close", **(headers or {})}
    if json_body is not None:
        fields["Content-Type"] = "application/json"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        payload = None if json_body is None else json.dumps(json_body)
        connection.request(method, target, body=payload, headers=fields)
        response = connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read().decode(errors="replace"),
        )
    finally:
        connection.close()
    print(f"{method} {url} at {address or host}: {answer}")
    assert expect is None or answer.status == expect, f"{method} {url} answered {answer.status}, not {expect}"
    return answer


def get(url: str, **options: Any) -> Answer:
    """`request("GET", ...)`."""
    return request("GET", url, **options)


def post(url: str, json_body: Any, **options: Any) -> Answer:
    """`request("POST", ...)`, which a service that made something answers with 201."""
    return request("POST", url, json_body=json_body, **{"expect": 201, **options})
