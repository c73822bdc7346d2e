"""Binary logs by the engine's own program: which transactions they hold, and replaying them into a server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .engine import PROGRAMS, last_words
from .settings import Failure

AT = re.compile(r"# at (\d+)$")
# #251124  4:00:00 server id 1  end_log_pos 234 CRC32 0x...  GTID ...
EVENT = re.compile(r"#(\d{6}) +(\d+:\d\d:\d\d) server id (\d+) +end_log_pos (\d+)(?: CRC32 \S+)?[ \t]+(.*)$")
MYSQL_NEXT = re.compile(r"SET @@SESSION.GTID_NEXT= ?'([^']+:\d+)'")
COMMITTED = re.compile(r"original_committed_timestamp=(\d+)")
MARIADB_GTID = re.compile(r"GTID (\d+-\d+-\d+)")
MARIADB_LIST = re.compile(r"Gtid list \[(.*)\]?")


@dataclass(frozen=True)
class Transaction:
    """One transaction in a log."""

    gtid: str
    at: int
    """Where it begins in its file, in bytes."""
    time: float
    """When the primary committed it, as a Unix time; MariaDB counts whole seconds."""


def transactions(lines: Iterable[str]) -> Iterator[Transaction]:
    """Return the transactions of one log, from the text that the engine's program makes of it."""
    at, begun, when = 0, -1, 0.0
    for line in lines:
        if match := AT.match(line):
            at = int(match[1])
        elif match := EVENT.match(line):
            day, clock, kind = match[1], match[2], match[5]
            stamp = datetime.strptime(f"{day} {clock}", "%y%m%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
            if found := MARIADB_GTID.match(kind):
                yield Transaction(found[1], at, stamp)
            elif kind.startswith("GTID"):
                committed = COMMITTED.search(kind)
                begun, when = at, int(committed[1]) / 1e6 if committed and int(committed[1]) else stamp
        elif begun >= 0 and (match := MYSQL_NEXT.match(line)):
            yield Transaction(match[1].lower(), begun, when)
            begun = -1


def read(engine: str, file: Path) -> Iterator[Transaction]:
    """Return the transactions of a log.

    :raises Failure: when it cannot be read to its end.
    """
    words = [PROGRAMS[engine]["binlog"], "--no-defaults", "--base64-output=DECODE-ROWS", str(file)]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | {"TZ": "UTC"},
    )
    try:
        yield from transactions(process.stdout)
        said = process.stderr.read()
        if process.wait():
            raise Failure(f"The binary log {file.name} cannot be read: {last_words(said)}.")
    finally:
        process.kill()
        process.wait()


def replay(engine: str, files: list[Path], socket: str, start: int, stop: int | None, held: str = "") -> None:
    """Apply logs to a server.

    :param start: where to begin in the first file, in bytes; 0 for its beginning.
    :param stop: where to end in the last file; None for its end.
    :param held: transactions of MySQL that the server holds already. It would pass over them by itself, but not over a
        `USE` of a database that one of them has dropped.
    :raises Failure: with what the program or the server said.
    """
    binlog = [PROGRAMS[engine]["binlog"], "--no-defaults"]
    binlog += [f"--start-position={start}"] if start else []
    binlog += [f"--exclude-gtids={held}"] if held else []
    binlog += [f"--stop-position={stop}"] if stop is not None else []
    client = [PROGRAMS[engine]["client"], "--no-defaults", f"--socket={socket}", "--user=root", "--binary-mode"]
    client += ["--max-allowed-packet=1G"]
    reader = subprocess.Popen(
        [*binlog, *map(str, files)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer = subprocess.run(client, stdin=reader.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    reader.stdout.close()
    said = reader.stderr.read().decode(errors="replace")
    status = reader.wait()
    if writer.returncode:
        raise Failure(f"The binary logs could not be replayed: {last_words(writer.stderr.decode(errors='replace'))}.")
    if status:
        raise Failure(f"The binary logs could not be read to the end: {last_words(said)}.")
