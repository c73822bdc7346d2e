"""Notes in the database: what is asked of it, and nothing about how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pymysql

from notes.database import Database, UnavailableError, connector

if TYPE_CHECKING:
    from notes.database import Row, Session
    from notes.settings import Settings

TABLE = """
CREATE TABLE IF NOT EXISTS notes (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `key`      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
  text       VARCHAR(1000) NOT NULL,
  web        VARCHAR(64) NOT NULL,
  `database` VARCHAR(64) NOT NULL,
  created    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4
"""
EXISTS = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'notes'"
INSERT = "INSERT INTO notes (`key`, text, web, `database`) VALUES (%s, %s, %s, %s)"
BY_KEY = "SELECT id, text, `key`, web, `database`, created FROM notes WHERE `key` = %s"
LATEST = "SELECT id, text, `key`, web, `database`, created FROM notes ORDER BY id DESC LIMIT %s"
STATE = "SELECT @@global.read_only AS read_only, (SELECT MAX(id) FROM notes) AS newest"

DUPLICATE_KEY = 1062


class KeyConflictError(Exception):
    """The key was used before, with another text."""


@dataclass(frozen=True)
class Reading:
    """Notes, and the server they were read from."""

    notes: list[Row]
    server: str


@dataclass(frozen=True)
class State:
    """What one address leads to at the moment."""

    ok: bool
    server: str | None = None
    read_only: bool | None = None
    newest: int | None = None  # the latest note it has
    error: str | None = None


class Store:
    """The notes, written to one database and read from another."""

    def __init__(self, write: Database, read: Database, web: str, wait: float) -> None:
        """Wait for either database for `wait` seconds; `web` is noted with each note."""
        self._write = write
        self._read = read
        self._web = web
        self._wait = wait

    @classmethod
    def from_settings(cls, settings: Settings) -> Store:
        """Make the store the settings describe; connects to nothing yet."""
        write, read = (
            Database(name, settings.pool, settings.queue, connector(settings, address))
            for name, address in (("write", settings.write), ("read", settings.read))
        )
        return cls(write, read, settings.web, settings.wait)

    def setup(self) -> bool:
        """Make the table; say whether there was none."""

        def create(session: Session) -> bool:
            if session.rows(EXISTS):
                return False
            session.rows(TABLE)
            return True

        return self._write.run(create, self._wait)

    def add(self, text: str, key: str, wait: float | None = None) -> Reading:
        """Write a note, or find the one that was written with this key.

        :param wait: seconds to wait for the database, where that is less than the store's own.

        :raises KeyConflictError: the note with this key has another text.
        """

        def insert(session: Session) -> Reading:
            try:
                session.rows(INSERT, key, text, self._web, session.server)
            except pymysql.IntegrityError as error:
                if error.args[0] != DUPLICATE_KEY:
                    raise
            return _select(session, BY_KEY, key)

        reading = self._write.run(insert, self._patience(wait))
        if reading.notes[0]["text"] != text:
            raise KeyConflictError
        return reading

    def latest(self, limit: int, *, fresh: bool = False, wait: float | None = None) -> Reading:
        """Return the newest notes; `fresh` ones include everything that was ever acknowledged."""
        return self._find(LATEST, limit, fresh=fresh, wait=wait)

    def by_key(self, key: str, *, fresh: bool = False, wait: float | None = None) -> Reading:
        """Return the note with this key, if there is one."""
        return self._find(BY_KEY, key, fresh=fresh, wait=wait)

    def states(self) -> dict[str, State]:
        """Ask both databases how they are, without patience; first the one that may be ahead."""
        return {"write": _state(self._write), "read": _state(self._read)}

    def _find(self, query: str, argument: object, *, fresh: bool, wait: float | None) -> Reading:
        database = self._write if fresh else self._read
        return database.run(lambda session: _select(session, query, argument), self._patience(wait))

    def _patience(self, wait: float | None) -> float:
        return self._wait if wait is None else min(wait, self._wait)


def _select(session: Session, query: str, argument: object) -> Reading:
    rows = session.rows(query, argument)
    for row in rows:
        row["created"] = row["created"].isoformat(timespec="milliseconds") + "Z"
    return Reading(rows, session.server)


def _state(database: Database) -> State:
    try:
        return database.run(_ask_state, wait=0)
    except UnavailableError as error:
        return State(ok=False, error=str(error))


def _ask_state(session: Session) -> State:
    [row] = session.rows(STATE)
    return State(ok=True, server=session.server, read_only=row["read_only"] in (1, "ON"), newest=row["newest"] or 0)
