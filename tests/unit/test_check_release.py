"""A release that is not supported is refused at first contact, before anything is changed."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.roles import ROOT

PLAY = """
- hosts: old1
  connection: local
  gather_facts: false
  roles: [tandem.web.base]
"""


@pytest.mark.parametrize(
    ("distribution", "version", "release"),
    [("Debian", "11.9", "bullseye"), ("Ubuntu", "20.04", "focal"), ("Rocky", "9.4", "Blue Onyx")],
)
def test_unsupported_release(tmp_path: Path, distribution: str, version: str, release: str) -> None:
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    facts = {"distribution": distribution, "distribution_version": version, "distribution_release": release}
    # --check: were the host not refused, it would still not be changed.
    done = subprocess.run(
        ["ansible-playbook", "--check", "-i", "old1,", str(play), "-e", json.dumps({"ansible_facts": facts})],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert (
        f"old1 runs {distribution} {version} ({release}); supported are bookworm, trixie, jammy, noble." in done.stdout
    )
    assert "changed=0" in done.stdout
    assert done.stdout.count("TASK [") == 2  # the inputs, and the refusal
