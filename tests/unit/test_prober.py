"""How a drill asks a host: by a process that stays there, and ends with whoever asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills.tandem_drill.commands import CommandFailedError
from tests.drills.tandem_drill.prober import PROBE, Prober

QUESTION = {"held": ("held", [])}


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `docker` in front of the real one that runs here what it should run there; return where it counts."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$3" >> {tmp_path}/begun\nshift 4\nexec {sys.executable} "$@"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "begun"


def test_one_process_answers_all_questions(begun: Path) -> None:
    prober = Prober("tandem-lb1")
    assert [prober.ask(QUESTION) for _ in range(3)] == [{"held": []}] * 3
    assert begun.read_text() == "tandem-lb1\n"


def test_another_begins_where_the_first_was_lost(begun: Path) -> None:
    prober = Prober("tandem-lb1")
    prober.ask(QUESTION)
    prober._process.kill()
    assert prober.ask(QUESTION) == {"held": []}
    assert begun.read_text() == "tandem-lb1\n" * 2


def test_a_host_that_cannot_be_asked_says_why(begun: Path) -> None:
    docker = begun.parent / "docker"
    docker.write_text("#!/bin/sh\necho Error: container tandem-lb1 is not running >&2\nexit 1\n")
    with pytest.raises(CommandFailedError, match="tandem-lb1 cannot be asked: Error: container tandem-lb1 is not"):
        Prober("tandem-lb1").ask(QUESTION)


def test_a_host_that_does_not_answer_is_given_up(begun: Path) -> None:
    (begun.parent / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(CommandFailedError, match=r"no answer within 0\.2 s"):
        Prober("tandem-lb1", limit=0.2).ask(QUESTION)


@pytest.mark.parametrize("command", [["answer"], ["watch", "[]"]])
def test_a_probe_ends_with_its_input(command: list[str]) -> None:
    probe = subprocess.Popen([sys.executable, "-c", PROBE, *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with probe:  # closes its input
        pass
    assert probe.returncode == 0
