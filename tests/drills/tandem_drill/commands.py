"""Commands, and what is said when they fail."""

from __future__ import annotations

import subprocess


class CommandFailedError(RuntimeError):
    """A command on a host, or one about it, ended with an error."""


def run(*argv: str, input: str | None = None, timeout: float = 120) -> str:  # noqa: A002 - as in subprocess
    """Run a command and return its output.

    :param timeout: seconds after which it is given up.
    :raises CommandFailedError: when it fails or takes too long; carries the command and what it said.
    """
    try:
        done = subprocess.run(
            argv, input=input, timeout=timeout, capture_output=True, text=True, check=False, start_new_session=True
        )  # Ctrl-C is for us: a fault must not be left half made
    except subprocess.TimeoutExpired as error:
        raise CommandFailedError(f"{' '.join(argv)[:200]}: no end after {timeout} s") from error
    if done.returncode:
        raise CommandFailedError(f"{' '.join(argv)[:200]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
