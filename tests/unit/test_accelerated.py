"""The strategy that plays with Mitogen."""

import os
import subprocess
from pathlib import Path

from tests.run import ENVIRONMENT

PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.command: nproc
      register: found
      changed_when: false
    - ansible.builtin.debug: {msg: "{{ found.stdout }} processors"}
"""


def play(directory: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Play on this machine, with Mitogen."""
    (directory / "play.yml").write_text(PLAY)
    return subprocess.run(
        ["ansible-playbook", "--inventory=localhost,", "--connection=local", str(directory / "play.yml")],
        env=ENVIRONMENT | {"ANSIBLE_STRATEGY": "tandem.web.accelerated"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_a_task_starts_may_use_every_processor(tmp_path: Path) -> None:
    done = play(tmp_path, {})
    assert f"{len(os.sched_getaffinity(0))} processors" in done.stdout, done.stdout + done.stderr


def test_without_mitogen_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "ansible_mitogen.py").write_text("raise ImportError")
    done = play(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert done.returncode != 0
    assert "pip install mitogen, or unset ANSIBLE_STRATEGY" in done.stderr + done.stdout
