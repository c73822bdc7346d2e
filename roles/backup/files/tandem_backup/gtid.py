"""Transactions by their names: whether a set holds one, in either engine's words. Pure functions."""

from __future__ import annotations

import re
from functools import lru_cache

MYSQL_ONE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:[a-z_][a-z0-9_]*)?:[1-9]\d*", re.IGNORECASE)
MARIADB_ONE = re.compile(r"\d+-\d+-[1-9]\d*")


def is_one(text: str, engine: str) -> bool:
    """Whether the text names a single transaction."""
    return bool((MYSQL_ONE if engine == "mysql" else MARIADB_ONE).fullmatch(text))


def holds(known: str, one: str, engine: str) -> bool:
    """Whether a set of transactions holds one.

    MariaDB's is a list of the last number of each domain or server; all before it are held too.
    """
    if engine == "mariadb":
        domain, _, number = map(int, one.split("-"))
        return any(d == domain and number <= n for d, n in _mariadb(known))
    source, number = one.lower().rsplit(":", 1)
    return any(name == source and first <= int(number) <= last for name, first, last in _mysql(known))


def covers(known: str, other: str, engine: str) -> bool:
    """Whether a set of transactions holds all of another."""
    if engine == "mariadb":
        return all(holds(known, part.strip(), engine) for part in other.split(",") if part.strip())
    return all(
        any(name == source and first <= begin and end <= last for name, first, last in _mysql(known))
        for source, begin, end in _mysql(other)
    )


@lru_cache(64)
def _mariadb(text: str) -> list[tuple[int, int]]:
    parts = [part.strip().split("-") for part in text.split(",") if part.strip()]
    return [(int(domain), int(number)) for domain, _, number in parts]


@lru_cache(64)
def _mysql(text: str) -> list[tuple[str, int, int]]:
    found = []
    for part in re.sub(r"\s", "", text.lower()).split(","):
        source, tag = part.split(":", 1)[0], ""
        for interval in part.split(":")[1:]:
            if not interval[0].isdigit():
                tag = f":{interval}"
                continue
            first, _, last = interval.partition("-")
            found.append((source + tag, int(first), int(last or first)))
    return found


def newest(states: list[str]) -> str:
    """Return MariaDB's state after these: the last number of each server in each domain."""
    last: dict[tuple[int, int], int] = {}
    for state in states:
        for part in filter(None, (part.strip() for part in state.split(","))):
            domain, server, number = map(int, part.split("-"))
            # The one that came last stays last: it is the position of its domain.
            last[domain, server] = max(number, last.pop((domain, server), 0))
    return ",".join(f"{domain}-{server}-{number}" for (domain, server), number in last.items())


def position(state: str) -> str:
    """Return the last transaction of each domain of a MariaDB state."""
    last: dict[int, tuple[int, int]] = {}
    for part in filter(None, (part.strip() for part in state.split(","))):
        domain, server, number = map(int, part.split("-"))
        if number > last.get(domain, (0, 0))[1]:
            last[domain] = (server, number)
    return ",".join(f"{domain}-{server}-{number}" for domain, (server, number) in last.items())
