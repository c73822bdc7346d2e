"""The module that writes many files in one step, by a play on this machine."""

import grp
import json
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.roles import ROOT

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture
def play(tmp_path: Path):
    """Return a function that writes records, and returns the result and what Ansible printed."""
    (tmp_path / "files/tree/below").mkdir(parents=True)
    (tmp_path / "files/tree/one").write_text("1\n")
    (tmp_path / "files/tree/below/two.py").write_bytes(b"\0\xff")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/greeting.j2").write_text(
        "# {{ ansible_managed }}\n{% if word %}\n{{ word }} {{ item.name | default() }}\n{% endif %}\n"
    )

    def run(*records: dict[str, Any], check: bool = False) -> tuple[dict[str, Any], str]:
        owned = [ME | record for record in records]
        tasks = [
            {"tandem.web.files": {"files": owned}, "register": "result", "ignore_errors": True},
            {
                "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(tmp_path / "result")},
                "check_mode": False,
            },
        ]
        plays = [{"hosts": "localhost", "gather_facts": False, "vars": {"word": "hello"}, "tasks": tasks}]
        (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "--diff", str(tmp_path / "play.yml")]
        done = subprocess.run([*command, *["--check"] * check], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (tmp_path / "result").exists(), done.stdout + done.stderr
        result = json.loads((tmp_path / "result").read_text())
        (tmp_path / "result").unlink()
        return result, done.stdout

    return run


def test_all_kinds_at_once_and_nothing_the_second_time(play: Any, tmp_path: Path) -> None:
    to = tmp_path / "to"
    records = [
        {"dest": str(to), "state": "directory", "mode": "0750"},
        {"dest": str(to / "below"), "state": "directory"},
        {"dest": f"{to}/", "src": "tree/"},
        {"dest": str(to / "{name}.txt"), "src": "greeting.j2", "loop": [{"name": "a"}, {"name": "b"}], "mode": "0600"},
        {"dest": str(to / "{item}"), "src": "tree/{item}", "loop": ["one"]},
        {"dest": str(to / "content"), "content": "x: {{ word }}\n"},
        {"dest": str(to / "not"), "content": "", "when": False},
    ]
    first, printed = play(*records)
    assert first["changed"]
    assert "+hello a" in printed
    assert sorted(path.name for path in to.rglob("*")) == ["a.txt", "b.txt", "below", "content", "one", "two.py"]
    assert (to / "a.txt").read_text() == "# Ansible managed\nhello a\n"
    assert (to / "below/two.py").read_bytes() == b"\0\xff"
    assert (to / "content").read_text() == "x: hello\n"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [to, *to.rglob("*")]}
    assert modes == {
        "to": 0o750,
        "below": 0o755,
        "one": 0o644,
        "two.py": 0o644,
        "a.txt": 0o600,
        "b.txt": 0o600,
        "content": 0o644,
    }

    again, _ = play(*records)
    assert not again["changed"]
    assert again["paths"] == []

    (to / "content").chmod(0o666)
    (to / "one").write_text("2\n")
    mended, _ = play(*records)
    assert mended["paths"] == [str(to / "one"), str(to / "content")]
    assert stat.S_IMODE((to / "content").stat().st_mode) == 0o644


def test_check_mode_says_and_does_not(play: Any, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old\n")
    result, printed = play(
        {"dest": str(tmp_path / "none/at/all"), "content": "new\n", "owner": "nobody-yet"},
        {"dest": str(tmp_path / "old"), "content": "new\n"},
        check=True,
    )
    assert result["paths"] == [str(tmp_path / "none/at/all"), str(tmp_path / "old")]
    assert "-old" in printed
    assert (tmp_path / "old").read_text() == "old\n"


def test_what_its_check_refuses_never_gets_there(play: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("good\n")
    result, _ = play({"dest": str(tmp_path / "file"), "content": "bad\n", "validate": "grep good %s /dev/null/x"})
    assert result["failed"]
    assert "/file was left as it is: grep" in result["msg"]
    assert (tmp_path / "file").read_text() == "good\n"


def test_absent(play: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    records = [{"dest": str(tmp_path / "file"), "state": "absent"}, {"dest": str(tmp_path / "not"), "state": "absent"}]
    assert play(*records)[0]["paths"] == [str(tmp_path / "file")]
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"dest": "/x", "source": "y"}, "A file has no source"),
        ({"dest": "/x"}, "has to have either src or content"),
        ({"dest": "/nowhere/at/all", "content": ""}, "There is no directory /nowhere/at for all"),
    ],
)
def test_mistakes_are_said(play: Any, record: dict[str, Any], says: str) -> None:
    result, _ = play(record)
    assert says in result["msg"]
