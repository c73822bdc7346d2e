"""A probe that stays on its host, because to start one costs the site more CPU time than what it is asked."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from . import probe
from .commands import CommandFailedError

PROBE = Path(probe.__file__).read_text(encoding="utf-8")


class Prober:
    """Asks a host. It ends with whoever made it, because its input does."""

    def __init__(self, container: str, limit: float = 20) -> None:
        """Nothing runs on the host before the first question.

        :param limit: seconds after which an answer is not waited for any more.
        """
        self._container, self._limit = container, limit
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, questions: dict[str, Any]) -> dict[str, Any]:
        """Return the answers of `probe.answer`.

        :raises CommandFailedError: when the host cannot be asked; carries what Docker said.
        """
        with self._lock:
            if self._process:  # it may be from before the host was switched off
                try:
                    return self._answer(self._process, questions)
                except OSError:
                    self._end()
            self._process = subprocess.Popen(
                ["docker", "exec", "-i", self._container, "python3", "-c", PROBE, "answer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
            try:
                return self._answer(self._process, questions)
            except OSError as error:
                self._end()
                raise CommandFailedError(f"{self._container} cannot be asked: {error}") from error

    def _answer(self, process: subprocess.Popen[bytes], questions: dict[str, Any]) -> dict[str, Any]:
        """Return its answers.

        :raises OSError: when there are none, because it has ended or did not answer in time.
        """
        with contextlib.suppress(BrokenPipeError):  # then what it said in the end is why
            process.stdin.write(json.dumps(questions).encode() + b"\n")
        deadline, text = time.monotonic() + self._limit, b""
        while not text.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise OSError(f"no answer within {self._limit:g} s")
            part = process.stdout.read(65536)
            if not part:
                break
            text += part
        try:
            return json.loads(text)
        except ValueError as error:
            raise OSError(text.decode(errors="replace").strip() or "it ended") from error

    def _end(self) -> None:
        self._process.kill()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._process = None
