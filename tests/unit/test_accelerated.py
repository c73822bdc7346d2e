"""The strategy that plays with Mitogen."""

import os
import re
import subprocess
from pathlib import Path

from tests.run import ENVIRONMENT

PROCESSORS = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.command: nproc
      register: found
      changed_when: false
    - ansible.builtin.debug: {msg: "{{ found.stdout }} processors"}
"""
TEMPLATES = r"""
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: '{{ "a\tb" | length }} characters'}
    - ansible.builtin.debug: {msg: '{{ lookup("ansible.builtin.template", "file.j2") }}'}
    - &kept
      ansible.builtin.debug: {msg: 'kept {{ lookup("ansible.builtin.pipe", "ls -i $ANSIBLE_LOCAL_TEMP/*/*.jinja") }}'}
    - *kept
"""


def play(directory: Path, environment: dict[str, str], book: str = PROCESSORS) -> subprocess.CompletedProcess[str]:
    """Play on this machine, with Mitogen."""
    (directory / "play.yml").write_text(book)
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


def test_templates_are_compiled_once_and_are_what_they_are_without_that(tmp_path: Path) -> None:
    """The same text is another template in a playbook, where a backslash is one, than in a file."""
    (tmp_path / "file.j2").write_text(r'{{ "a\tb" | length }} characters')
    done = play(tmp_path, {"ANSIBLE_LOCAL_TEMP": str(tmp_path)}, TEMPLATES)
    assert re.findall(r"(\d+) characters", done.stdout) == ["4", "3"], done.stdout + done.stderr
    # Whoever compiles it again puts another file in its place.
    first, second = (set(re.findall(r"(\d+) \S+\.jinja", part)) for part in done.stdout.split("kept ")[1:])
    assert len(first) >= 2
    assert first <= second


def test_without_mitogen_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "ansible_mitogen.py").write_text("raise ImportError")
    done = play(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert done.returncode != 0
    assert "pip install mitogen, or unset ANSIBLE_STRATEGY" in done.stderr + done.stdout
