"""The repository, by restic: everything that is saved, listed, read or forgotten passes here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from .settings import CACHE_DIR, PASSWORD_FILE, SSH_CONFIG, Failure, Settings

SHORT = 300
"""Longest time for a command that moves little data, in seconds."""
INCOMPLETE = 3
"""restic's exit status when a file went away while it was saved."""

# What restic and ssh say, and what the operator should know; the first that matches.
CAUSES = [
    ("wrong password or no key found", "the key does not open it; give secret_backup_password its old value"),
    ("Host key verification failed", "its host key is not the one that was pinned; run site.yml if the host is new"),
    (r"Permission denied \(publickey", "it does not accept this host's key; run site.yml, which introduces it"),
    ("unable to open config file|Is there a repository|does not exist", "there is no repository; run site.yml"),
    ('no space left on device|disk quota exceeded|sftp: "Failure" .SSH_FX_FAILURE', "it has no space left"),
    ("already locked", "another process works on it and did not end in time"),
    (
        "Connection refused|Connection timed out|No route to host|Could not resolve|Connection closed|unexpected EOF"
        "|connection lost|timed out",
        "it does not answer",
    ),
    ("ciphertext verification failed|invalid data returned|pack .* damaged|does not match", "its data is damaged"),
]


def explain(repository: str, doing: str, said: str) -> str:
    """Return one sentence: what was done, where, and why it failed, from what restic printed."""
    for pattern, cause in CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return f"The repository {repository} could not be used to {doing}: {cause}. ({_last(said)})"
    return f"The repository {repository} could not be used to {doing}: {_last(said) or 'restic said nothing'}."


def _last(said: str) -> str:
    lines = [_plain(line) for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("Fatal")]
    return (fatal or lines or [""])[-1].rstrip(".")


def _plain(line: str) -> str:
    """Return a line of restic's as text: with --json, its errors are JSON too."""
    try:
        return str(json.loads(line)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return line.strip()


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, as `restic snapshots` lists it."""

    id: str
    time: float
    """The moment that it holds, as a Unix time."""
    host: str
    tags: tuple[str, ...]
    path: str
    """The directory that was saved."""

    def tagged(self, prefix: str) -> str:
        """Return what follows the prefix in the tag that begins with it, or nothing."""
        return next((tag.removeprefix(prefix) for tag in self.tags if tag.startswith(prefix)), "")


def moment(text: str) -> float:
    """Return a time of restic's, with its nine decimals, as a Unix time."""
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", text).replace("Z", "+00:00")
    return datetime.fromisoformat(text).timestamp()


def utc(when: float) -> str:
    """Return a Unix time as people and restic write it."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


class Repository:
    """The site's repository."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.repository
        self._options = []
        if settings.upload_kib:
            self._options.append(f"--limit-upload={settings.upload_kib}")

    def _way(self, log: str) -> list[str]:
        """Return the options by which restic gets to the repository; ssh writes to a log what it has to say."""
        if not self.url.startswith("sftp://"):
            return []
        way = urlsplit(self.url)
        command = f"ssh -E {log} -F {SSH_CONFIG} -p {way.port or 22} -l {way.username} {way.hostname} -s sftp"
        return ["-o", f"sftp.command={command}"]

    def run(
        self, *arguments: str, doing: str, timeout: float | None = SHORT, give: bytes | None = None, accept: int = 0
    ) -> str:
        """Run restic and return what it printed.

        :param doing: what for, as in "could not be used to ...".
        :param accept: an exit status beside 0 that is no failure.
        :raises Failure: with one sentence about the cause.
        """
        environment = os.environ | self.settings.environment
        environment |= {
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD_FILE": str(PASSWORD_FILE),
            "RESTIC_CACHE_DIR": CACHE_DIR,
            "TZ": "UTC",
        }
        # restic passes on what ssh says, but not always before it ends itself.
        with tempfile.NamedTemporaryFile(prefix="tandem-backup-ssh-") as log:
            try:
                done = subprocess.run(
                    ["restic", *self._options, *self._way(log.name), *arguments],
                    env=environment,
                    input=give,
                    stdin=subprocess.DEVNULL if give is None else None,
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                said = (log.read() + (error.stderr or b"")).decode(errors="replace")
                raise Failure(explain(self.url, doing, f"{said}\ntimed out after {timeout:g} s")) from None
            ssh = log.read().decode(errors="replace")
        if done.returncode not in (0, accept):
            said = f"{ssh}\n{done.stderr.decode(errors='replace')}".strip()
            raise Failure(explain(self.url, doing, said or done.stdout.decode(errors="replace")[-2000:]))
        return done.stdout.decode(errors="replace")

    def create(self) -> bool:
        """Make the repository where there is none; return whether it was made."""
        try:
            self.run("cat", "config", "--no-lock", doing="be opened")
        except Failure as failure:
            if "there is no repository" not in str(failure):
                raise
            self.run("init", doing="be made")
            return True
        return False

    def snapshots(self, *tags: str) -> list[Snapshot]:
        """Return the snapshots that carry all of these tags, the oldest first."""
        answer = self.run("snapshots", "--json", "--no-lock", "--tag", ",".join(tags), doing="list what it holds")
        found = [
            Snapshot(
                id=each["id"],
                time=moment(each["time"]),
                host=each.get("hostname", ""),
                tags=tuple(each.get("tags") or ()),
                # A binary log of its own is saved beside the directory that describes it.
                path=next((path for path in each["paths"] if not re.search(r"\.\d+$", path)), ""),
            )
            for each in json.loads(answer or "[]") or []
        ]
        return sorted(found, key=lambda each: (each.time, each.id))

    def save(self, paths: Iterable[Path], *tags: str, when: float, host: str = "") -> dict:
        """Save files and return restic's summary (data_added, total_bytes_processed, ...).

        :param when: the moment that they hold.
        """
        words = [word for tag in tags for word in ("--tag", tag)]
        common = ["--json", "--host", host or self.settings.name, "--time", utc(when), *words]
        printed = self.run("backup", *common, *map(str, paths), doing="save a backup", timeout=None)
        return _summary(printed)

    def note(self, name: str, content: str, *tags: str, when: float) -> None:
        """Save a short text under a name."""
        words = [word for tag in tags for word in ("--tag", tag)]
        common = ["--json", "--host", self.settings.name, "--time", utc(when), *words]
        self.run("backup", *common, "--stdin", "--stdin-filename", name, doing=f"save {name}", give=content.encode())

    def text(self, snapshot: Snapshot, path: str) -> str:
        """Return the content of one file of a snapshot."""
        return self.run("dump", "--no-lock", snapshot.id, path, doing=f"read {path}")

    def fetch(self, snapshot: Snapshot, target: Path, paths: Iterable[str] = ()) -> None:
        """Write a snapshot, or some of its paths, below a directory; each under its whole old path."""
        words = [word for path in paths for word in ("--include", path)]
        self.run(
            *("restore", "--no-lock", snapshot.id, "--target", str(target), *words),
            doing="restore a backup",
            timeout=None,
        )


def _summary(printed: str) -> dict:
    for line in reversed(printed.splitlines()):
        if '"message_type":"summary"' in line:
            return json.loads(line)
    return {}
