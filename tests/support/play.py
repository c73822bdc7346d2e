"""Runs a playbook against the hosts of a scenario, as an operator would."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def play(
    inventory: str, playbook: str | Path, *arguments: str, timeout: float = 1800, **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection; its output is shown when the test fails.

    :param arguments: more words for ansible-playbook.
    :param timeout: seconds until subprocess.TimeoutExpired.
    :param variables: what it is told by --extra-vars.
    """
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    try:
        done = subprocess.run(
            ["ansible-playbook", "--inventory", inventory, playbook, *extra, *arguments],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        print((late.stdout or b"").decode(errors="replace"))
        raise
    print(done.stdout)
    return done
