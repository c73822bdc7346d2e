"""Binary logs into the repository, each minute: what a restore to any moment is made of.

Each host archives its own logs, so that one archive suffices and none depends on another host or on an election;
whichever host is lost, the others' go on. What goes is the files as they are: the closed ones from the data
directory, which restic knows already after the first time, and of the active one a copy up to the last whole
transaction. So no log has to be rotated for it, no connection has to be held, and what restic sends each minute is
what was appended. A file beside them says up to which moment they are complete.

That the active log is read up to the position which the server reports, and not followed as a replica does, may
archive a transaction that a crash just then takes back. Nobody was told that it succeeded, so either is right.
"""

from __future__ import annotations

import json
import shutil
import struct
import time
from pathlib import Path
from typing import Any

from tandem_seam import mysql

from .engine import connect, lag
from .repository import Repository, Snapshot
from .settings import Failure, Settings, write

MAGIC = b"\xfebin"
MARKER = ".tandem-archive"
"""Beside MariaDB's data: gone when the data is another, as its binary logs then are."""


def created(file: Path) -> int:
    """Return when a binary log was begun, as a Unix time: the time of its first event."""
    with file.open("rb") as stream:
        head = stream.read(8)
    if head[:4] != MAGIC:
        raise Failure(f"{file} is not a plain binary log, so it cannot be archived; set binlog_encryption to OFF.")
    return struct.unpack("<I", head[4:])[0]


def timeline(server: mysql.Server, settings: Settings) -> str:
    """Return a name for this server's unbroken sequence of binary logs.

    One that was seeded or restored begins another, whose transactions may have the numbers of those before.
    """
    if settings.engine == "mysql":
        return str(server.value("@@server_uuid"))
    marker = settings.data_dir / MARKER
    if not marker.exists():
        write(marker, f"{time.time_ns()}\n", 0o644)
    return marker.read_text().strip()


def position(server: mysql.Server) -> tuple[str, int, str]:
    """Return the active log, its length up to the last whole transaction, and the transactions up to there."""
    if server.engine == "mysql":
        [row] = server.query("SHOW BINARY LOG STATUS")
        return row["File"], int(row["Position"]), row["Executed_Gtid_Set"].replace("\n", "")
    [row] = server.query("SHOW MASTER STATUS")
    return row["File"], int(row["Position"]), server.value("@@gtid_binlog_state")


def before(server: mysql.Server, first: str) -> str:
    """Return the transactions that were before the first of the logs that are left."""
    if server.engine == "mysql":
        return server.value("@@gtid_purged").replace("\n", "")
    return server.value("BINLOG_GTID_POS(%s, 4)", (first,)) or ""


def append(source: Path, target: Path, length: int) -> None:
    """Bring the copy of the active log up to a length; begin anew where it is not the same file's."""
    have = target.stat().st_size if target.exists() else 0
    if have > length or (have and _head(source) != _head(target)):
        target.unlink()
        have = 0
    with source.open("rb") as reader, target.open("ab") as writer:
        reader.seek(have)
        missing = length - have
        while missing > 0 and (chunk := reader.read(min(missing, 1 << 20))):
            writer.write(chunk)
            missing -= len(chunk)
    if missing:
        raise Failure(f"{source} is {missing} bytes shorter than the server says; the next run tries again.")


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(64)


def archive(repository: Repository, settings: Settings) -> dict[str, Any]:
    """Save the binary logs of this host; return numbers for the metrics."""
    server = connect(settings)
    place = settings.work_dir / "archive"
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)

    # In this order: what is committed after the clock was read may be in it, what was before must be.
    state, now = server.state(), time.time()
    until = now - lag(server, state)
    if until < 0:
        raise Failure(f"{settings.name} does not follow the primary, so its binary logs hold nothing new to archive.")
    active, length, gtid = position(server)
    logs = [row["Log_name"] for row in server.query("SHOW BINARY LOGS")]
    logs = logs[: logs.index(active) + 1]
    for old in place.glob("*.[0-9]*"):
        if old.name != active:
            old.unlink()
    append(settings.data_dir / active, place / active, length)
    closed = [settings.data_dir / name for name in logs[:-1]]
    about = {
        "engine": settings.engine,
        "until": until,
        "files": [
            {"name": file.name, "path": str(file), "created": created(file)} for file in [*closed, place / active]
        ],
        "gtid": gtid,
        "before": before(server, logs[0]),
    }
    write(place / "archive.json", json.dumps(about, indent=1) + "\n", 0o600)
    tags = ("binlog", f"timeline-{timeline(server, settings)}")
    summary = repository.save([place, *closed], *tags, when=until)
    return {"archive_until": until, "added": summary.get("data_added", 0)}


def clean(settings: Settings) -> None:
    """Remove the copy of the active log."""
    shutil.rmtree(settings.work_dir / "archive", ignore_errors=True)


def about(repository: Repository, snapshot: Snapshot) -> dict[str, Any]:
    """Return what an archive says of itself."""
    return json.loads(repository.text(snapshot, f"{snapshot.path}/archive.json"))
