"""Pure functions about sets of transactions, for both engines: what one holds that another lacks."""

from __future__ import annotations

Interval = tuple[int, int]


def missing(engine: str, mine: str, theirs: str) -> str:
    """Return which of the transactions ``mine`` are not in ``theirs``; empty when there are none.

    :param mine: what a server says it holds: a GTID set of MySQL, or MariaDB's last number of each server.
    """
    return mysql_missing(mine, theirs) if engine == "mysql" else mariadb_missing(mine, theirs)


def mysql_missing(mine: str, theirs: str) -> str:
    """Return what GTID_SUBTRACT(mine, theirs) returns."""
    known = _mysql_set(theirs)
    left = {source: _without(intervals, known.get(source, [])) for source, intervals in _mysql_set(mine).items()}
    return ",".join(
        ":".join([source, *(f"{begin}-{end}" if end > begin else f"{begin}" for begin, end in intervals)])
        for source, intervals in sorted(left.items())
        if intervals
    )


def mariadb_missing(mine: str, theirs: str) -> str:
    """Return which of the transactions in MariaDB's binlog state ``mine`` the state ``theirs`` lacks.

    A state lists the last number that each server wrote in each domain ("0-1-100,0-2-140"). A server that holds
    a number holds all before it of the same server, so one comparison for each pair is enough.
    """
    known = mariadb_state(theirs)
    return ",".join(
        f"{domain}-{server}-{number}"
        for (domain, server), number in mariadb_state(mine).items()
        if known.get((domain, server), 0) < number
    )


def mariadb_state(text: str) -> dict[tuple[int, int], int]:
    """Return the last number by domain and server."""
    last: dict[tuple[int, int], int] = {}
    for item in filter(None, text.replace(" ", "").split(",")):
        domain, server, number = (int(part) for part in item.split("-"))
        last[domain, server] = max(number, last.get((domain, server), 0))
    return last


def count(engine: str, held: str) -> int:
    """Return a number that grows with the transactions held, to show and to sort by; no proof of anything."""
    if engine == "mysql":
        return sum(end - begin + 1 for intervals in _mysql_set(held).values() for begin, end in intervals)
    return max(mariadb_state(held).values(), default=0)


def _mysql_set(text: str) -> dict[str, list[Interval]]:
    """Return intervals by source; a tag ("uuid:tag:1-3") is part of the source."""
    found: dict[str, list[Interval]] = {}
    for group in filter(None, "".join(text.split()).split(",")):
        uuid, *parts = group.split(":")
        source = uuid
        for part in parts:
            if not part[0].isdigit():
                source = f"{uuid}:{part}"
                continue
            begin, _, end = part.partition("-")
            found.setdefault(source, []).append((int(begin), int(end or begin)))
    return {source: sorted(intervals) for source, intervals in found.items()}


def _without(intervals: list[Interval], known: list[Interval]) -> list[Interval]:
    left = intervals
    for low, high in known:
        left = [
            part
            for begin, end in left
            for part in ((begin, min(end, low - 1)), (max(begin, high + 1), end))
            if part[0] <= part[1]
        ]
    return left
