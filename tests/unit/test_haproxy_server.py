"""The module that drains a server of a running HAProxy and puts it back, against a socket that plays HAProxy."""

import csv
import io
import json
import socket
import threading
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.modules import haproxy_server

FIELDS = ["pxname", "svname", "status", "scur", "check_status", "hanafail", "chkfail", "last_chk", "check_desc"]


class Haproxy:
    """A runtime socket that knows two servers, and remembers what it was told."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.said: list[str] = []
        self.drained: set[str] = set()
        self.fenced: set[str] = set()
        self.servers = {name: self.row(name) for name in ("web1", "web2")}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @staticmethod
    def row(name: str) -> dict[str, str]:
        return dict.fromkeys(FIELDS, "") | {
            "pxname": "web",
            "svname": name,
            "status": "UP",
            "scur": "0",
            "check_status": "L7OK",
            "hanafail": "0",
            "chkfail": "0",
        }

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.sendall(self._answer(connection.recv(1000).decode().strip()).encode())

    def _answer(self, command: str) -> str:
        if command == "show stat":
            text = io.StringIO()
            writer = csv.DictWriter(text, FIELDS)
            writer.writeheader()
            writer.writerows(self.servers.values())
            return "# " + text.getvalue()
        if command == "show servers state":
            admin = {name: 8 * (name in self.drained) + (name in self.fenced) for name in self.servers}
            lines = [f"3 web 1 {name} 192.0.2.1 2 {admin[name]} 1" for name in self.servers]
            return "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n" + "\n".join(
                [*lines, ""]
            )
        self.said.append(command)
        if command.startswith("shutdown"):
            return "\n"
        *_, name, _, state = command.replace("/", " ").split()
        self.drained.discard(name)
        self.fenced.discard(name)
        {"drain": self.drained, "maint": self.fenced, "ready": set()}[state].add(name)
        return "\n"


@pytest.fixture
def haproxy(tmp_path: Path) -> Haproxy:
    return Haproxy(tmp_path / "admin.sock")


def run(haproxy: Haproxy, capsys: pytest.CaptureFixture[str], state: str, **more: object) -> dict[str, object]:
    """Run the module for web1 and return what it answers."""
    given = {"backend": "web", "server": "web1", "state": state, "socket": haproxy.path, "timeout": 2} | more
    with patch_module_args(given), pytest.raises(SystemExit):
        haproxy_server.main()
    return json.loads(capsys.readouterr().out)


def test_drains_and_waits_for_the_requests(haproxy, capsys):
    haproxy.servers["web1"]["scur"] = "1"
    threading.Timer(0.5, lambda: haproxy.servers["web1"].update(scur="0")).start()
    answer = run(haproxy, capsys, "drained")
    assert answer["changed"]
    assert answer["waited"] >= 0.4
    assert haproxy.said == ["set server web/web1 state drain"]


def test_goes_on_when_requests_do_not_end(haproxy, capsys):
    haproxy.servers["web1"]["scur"] = "1"
    assert run(haproxy, capsys, "drained", timeout=1)["changed"]


def test_never_drains_the_last_one_that_serves(haproxy, capsys):
    haproxy.servers["web2"]["status"] = "DOWN"
    haproxy.servers["web2-unchecked"] = haproxy.row("web2-unchecked") | {"status": "no check"}
    answer = run(haproxy, capsys, "drained")
    assert not answer["changed"]
    assert answer["reason"] == "web/web1 is the last one that serves"
    assert haproxy.said == []


def test_a_second_drain_changes_nothing(haproxy, capsys):
    run(haproxy, capsys, "drained")
    assert not run(haproxy, capsys, "drained")["changed"]


def test_check_mode_only_says_what_it_would_do(haproxy, capsys):
    assert run(haproxy, capsys, "drained", _ansible_check_mode=True)["changed"]
    assert haproxy.said == []


def test_puts_back_a_healthy_server(haproxy, capsys):
    haproxy.drained.add("web1")
    assert run(haproxy, capsys, "ready", timeout=10)["changed"]
    assert haproxy.said == ["set server web/web1 state ready"]


def test_leaves_a_sick_server_drained_and_says_why(haproxy, capsys):
    haproxy.drained.add("web1")
    haproxy.servers["web1"].update(status="DOWN", check_status="L7STS", last_chk="HTTP status 500")
    answer = run(haproxy, capsys, "ready", timeout=1)
    assert answer["failed"]
    assert "web/web1 stays drained" in answer["msg"]
    assert "HTTP status 500" in answer["msg"]
    assert haproxy.said == []


def test_does_not_touch_a_server_that_is_not_drained(haproxy, capsys):
    assert not run(haproxy, capsys, "ready")["changed"]


def test_no_haproxy_is_nothing_to_drain_from(haproxy, capsys):
    answer = run(haproxy, capsys, "drained", socket="/nonexistent/admin.sock")
    assert not answer["changed"]
    assert "no HAProxy answers on /nonexistent/admin.sock" in answer["reason"]


def test_unknown_server_is_nothing_to_drain(haproxy, capsys):
    assert not run(haproxy, capsys, "drained", server="web9")["changed"]


def test_fences_a_server_whoever_else_is_up(haproxy, capsys):
    haproxy.servers["web2"]["status"] = "DOWN"
    assert run(haproxy, capsys, "fenced")["changed"]
    assert haproxy.said == ["set server web/web1 state maint", "shutdown sessions server web/web1"]
    assert not run(haproxy, capsys, "fenced")["changed"]


def test_a_fence_is_taken_away(haproxy, capsys):
    assert not run(haproxy, capsys, "unfenced")["changed"]
    run(haproxy, capsys, "fenced")
    assert run(haproxy, capsys, "unfenced")["changed"]
    assert not haproxy.fenced


def test_waits_until_a_server_is_the_one_that_is_used(haproxy, capsys):
    haproxy.servers = {name: haproxy.row(name) for name in ("web2", "web1")}
    threading.Timer(0.3, lambda: haproxy.servers["web2"].update(status="DOWN 1/2")).start()
    answer = run(haproxy, capsys, "routed")
    assert not answer["changed"]
    assert answer["waited"] >= 0.25
    assert answer["at"] > 0


def test_says_which_server_is_used_instead(haproxy, capsys):
    haproxy.servers = {name: haproxy.row(name) for name in ("web2", "web1")}
    answer = run(haproxy, capsys, "routed", timeout=1)
    assert "web/web1 is not used after 1 s; web2 is" in answer["msg"]
