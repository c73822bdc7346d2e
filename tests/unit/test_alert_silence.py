"""Silences: matchers as people write them, and an Alertmanager that is asked, or is not there."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from plugins.modules.alert_silence import Alertmanager, parse


@pytest.mark.parametrize(
    ("text", "is_regex", "is_equal"),
    [
        ('tier="web"', False, True),
        ('tier!="web"', False, False),
        ('tier=~"w.*"', True, True),
        ('tier!~"w.*"', True, False),
    ],
)
def test_a_matcher_is_read(text: str, is_regex: bool, is_equal: bool) -> None:
    value = text.split('"')[1]
    assert parse(text) == {"name": "tier", "value": value, "isRegex": is_regex, "isEqual": is_equal}


@pytest.mark.parametrize("text", ["tier", "tier=web", '="web"', 'tier=="web"'])
def test_what_is_no_matcher_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write one such as"):
        parse(text)


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An Alertmanager's API over a list of silences."""
    silences: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() if body is not None else b"")

        def do_GET(self) -> None:
            self.answer(silences)

        def do_POST(self) -> None:
            silence = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            silences.append(silence | {"id": str(len(silences)), "status": {"state": "active"}})
            self.answer({"silenceID": silences[-1]["id"]})

        def do_DELETE(self) -> None:
            silences[int(self.path.rsplit("/", 1)[1])]["status"]["state"] = "expired"
            self.answer(None)

        def log_message(self, *_: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever).start()
    yield f"http://127.0.0.1:{http.server_port}", silences
    http.shutdown()
    http.server_close()


def test_a_silence_is_found_again_by_its_name_and_ended(server: tuple[str, list[dict[str, Any]]]) -> None:
    url, silences = server
    alertmanager = Alertmanager(url)
    identifier = alertmanager.add("site.yml", [parse('tier="web"')], 30)
    alertmanager.add("deploy.yml", [parse('tier="web"')], 30)
    assert alertmanager.ours("site.yml") == [identifier]
    assert silences[0]["startsAt"] < silences[0]["endsAt"]
    alertmanager.remove(identifier)
    assert alertmanager.ours("site.yml") == []
    assert len(alertmanager.ours("deploy.yml")) == 1


def test_a_silence_that_somebody_else_made_is_not_ours(server: tuple[str, list[dict[str, Any]]]) -> None:
    url, silences = server
    Alertmanager(url).add("site.yml", [parse('tier="web"')], 30)
    silences[0]["createdBy"] = "somebody"
    assert Alertmanager(url).ours("site.yml") == []
