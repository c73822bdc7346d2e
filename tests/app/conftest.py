"""What the application's tests share: requests over its socket, releases, and load."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from tests.support.wait import wait_until

SOCKET = "/run/notes/notes.sock"
RELEASES = "/srv/notes/releases"


@dataclass(frozen=True)
class Answer:
    """What the application said; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


class Application:
    """The application on one host, as the web server's user reaches it."""

    def __init__(self, host: Host, socket: str = SOCKET) -> None:
        self.host = host
        self.socket = socket

    def ask(self, method: str, path: str, *, text: str | None = None, key: str | None = None) -> Answer:
        """Send one request over the socket."""
        fields = {"Content-Type": "application/json"} if text else {}
        fields |= {"Idempotency-Key": key} if key else {}
        script = (
            "import http.client, socket, sys, json\n"
            "c = http.client.HTTPConnection('localhost')\n"
            "c.sock = socket.socket(socket.AF_UNIX); c.sock.settimeout(30)\n"
            f"c.sock.connect({self.socket!r})\n"
            f"c.request({method!r}, {path!r}, {json.dumps({'text': text}) if text else None!r}, {fields!r})\n"
            "r = c.getresponse()\n"
            "print(json.dumps([r.status, {k.lower(): v for k, v in r.getheaders()}, r.read().decode()]))"
        )
        output = self.host.run("runuser -u www-data -- python3 -c %s", script)
        assert output.rc == 0, output.stderr
        answer = Answer(*json.loads(output.stdout))
        print(f"{method} {path}: {answer}")
        return answer

    def release(self) -> str:
        """Return the release that answers."""
        return self.ask("GET", "/whoami").json()["release"]

    def make_release(self, name: str, change: str = "true") -> str:
        """Copy the release that serves, and change the copy, which never served, with a shell command."""
        copy = f"cd {RELEASES} && rm -rf {name} && cp -r $(readlink ../current) {name} && cd {name}"
        self.host.run_expect([0], f"{copy} && touch .complete && rm -f .served && {change}")
        return name

    def roll(self, release: str, health_timeout: int = 30) -> dict[str, Any]:
        """Put a release into service with the module that the role uses."""
        arguments = {
            "name": "notes",
            "release": release,
            "directory": "/srv/notes",
            "watch": ["/etc/notes.env", "/etc/systemd/system/notes.service"],
            "health_path": "/healthz",
            "health_timeout": health_timeout,
        }
        return self.host.ansible("tandem.web.app_release", json.dumps(arguments), check=False)

    @contextmanager
    def load(self) -> Iterator[Callable[[], dict[str, Any]]]:
        """Ask without pause; what is yielded ends that and tells what was answered."""
        stop = "/tmp/load.stop"  # noqa: S108 - on a host of the lab
        script = (Path(__file__).parent / "load.py").read_text()
        self.host.run_expect([0], f"rm -f {stop}")
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.host.run, "python3 -c %s %s %s", script, SOCKET, stop)

            def finish() -> dict[str, Any]:
                self.host.run_expect([0], f"touch {stop}")
                output = future.result(90)
                assert output.rc == 0, output.stderr
                print(output.stdout)
                return json.loads(output.stdout)

            try:
                yield finish
            finally:
                self.host.run(f"touch {stop}")


@pytest.fixture
def notes(host: Host) -> Application:
    return Application(host)


@pytest.fixture
def hello(host: Host) -> Application:
    return Application(host, "/run/hello/hello.sock")


@pytest.fixture
def database(host: Host) -> Iterator[Callable[[str], str]]:
    """Ask MariaDB as root; whatever a test did to it is undone."""

    def query(statement: str) -> str:
        client = "mariadb --disable-ssl-verify-server-cert --batch --skip-column-names"
        output = host.run(f"{client} notes --execute %s", statement)
        assert output.rc == 0, output.stderr
        return output.stdout.strip()

    yield query
    host.run_expect([0], "systemctl start mariadb")
    wait_until(lambda: query("SET GLOBAL read_only = 0; SELECT 1"), 30, "MariaDB to answer")
