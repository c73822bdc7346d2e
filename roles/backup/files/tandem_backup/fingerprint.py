"""Row counts and checksums of a server's tables at one point of its binary log, and of what was restored to it.

A database host makes one while it serves, and leaves it in the repository. The proof restores to that very point and
compares. So whoever proves needs no account on any database and no way to it: the repository is all it reads.
"""

from __future__ import annotations

import time
from typing import Any

from tandem_seam import mysql

from .archive import position
from .engine import connect
from .settings import Failure, Settings

LOCK_SECONDS = 3
"""The server's tables are locked for less than this, or not at all."""
ATTEMPTS = 10

COLUMNS = """
SELECT t.table_schema AS s, t.table_name AS t, c.column_name AS c
  FROM information_schema.tables t
  JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
 WHERE t.table_type = 'BASE TABLE'
   AND t.table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
 ORDER BY t.table_schema, t.table_name, c.ordinal_position
"""


def quoted(name: str) -> str:
    """Return a name as SQL takes any."""
    return "`" + name.replace("`", "``") + "`"


def statement(schema: str, table: str, columns: list[str]) -> str:
    """Return the statement that counts a table's rows and sums up a checksum of each."""
    values = ", ".join(f"ISNULL({quoted(name)}), {quoted(name)}" for name in columns)
    # NULL is left out by CONCAT_WS, which is why ISNULL stands before each.
    each = f"CRC32(CONCAT_WS('#', {values}))"
    return f"SELECT COUNT(*) AS n, COALESCE(SUM({each}), 0) AS s FROM {quoted(schema)}.{quoted(table)}"


def tables(server: mysql.Server) -> dict[str, list[int]]:
    """Return rows and checksum of each table, as the connection's transaction sees them."""
    columns: dict[tuple[str, str], list[str]] = {}
    for row in server.query(COLUMNS):
        columns.setdefault((row["s"], row["t"]), []).append(row["c"])
    found = {}
    for (schema, table), names in columns.items():
        [row] = server.query(statement(schema, table, names))
        found[f"{schema}.{table}"] = [int(row["n"]), int(row["s"])]
    return found


def take(settings: Settings) -> dict[str, Any]:
    """Return the fingerprint of this host's server as it is now.

    :raises Failure: when no moment of quiet was found to begin.
    """
    server = connect(settings)
    server.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    server.query("SET SESSION time_zone = '+00:00'")
    file, place, gtid = _begin(server, settings)
    when = time.time()
    found = tables(server)
    server.query("COMMIT")
    return {"time": when, "file": file, "position": place, "gtid": gtid, "tables": found}


def _begin(server: mysql.Server, settings: Settings) -> tuple[str, int, str]:
    """Begin to read at one point, and return where in the binary log that is."""
    if settings.engine == "mariadb":
        server.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        status = {row["Variable_name"]: row["Value"] for row in server.query("SHOW STATUS LIKE 'binlog_snapshot_%'")}
        name, place = status["Binlog_snapshot_file"], int(status["Binlog_snapshot_position"])
        return name, place, server.value("BINLOG_GTID_POS(%s, %s)", (name, place))
    server.query(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
    for attempt in range(ATTEMPTS):
        try:
            server.query("FLUSH TABLES WITH READ LOCK")
            break
        except mysql.DatabaseError as error:
            problem = str(error)
            time.sleep(attempt)
    else:
        raise Failure(f"{settings.name} was never quiet enough to read its tables at one point: {problem}.")
    try:
        server.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        return position(server)
    finally:
        server.query("UNLOCK TABLES")


def differences(wanted: dict[str, list[int]], found: dict[str, list[int]]) -> list[str]:
    """Return one sentence for each table that is not as it should be."""
    problems = []
    for name in sorted(wanted.keys() | found.keys()):
        ours, theirs = found.get(name), [int(value) for value in wanted.get(name, [])]
        if ours is None:
            problems.append(f"the table {name} is missing")
        elif not theirs:
            problems.append(f"the table {name} should not be there")
        elif ours[0] != theirs[0]:
            problems.append(f"{name} has {ours[0]} rows instead of {theirs[0]}")
        elif ours != theirs:
            problems.append(f"{name} has as many rows, but not the same")
    return problems
