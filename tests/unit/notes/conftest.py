"""The notes service on databases of Python: everything above a session is the real thing."""

import datetime
import sys
from pathlib import Path
from typing import Any

import pymysql
import pytest
from flask import Flask
from flask.testing import FlaskClient

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/app/files/notes"))

from notes import create_app, database, store
from notes.settings import Settings


class Server:
    """A database server; `faults` are raised one by one, before a statement or (`late`) after it."""

    def __init__(self, name: str, rows: list[dict[str, Any]], read_only: bool = False) -> None:
        self.server = name
        self.table = rows
        self.read_only = read_only
        self.faults: list[Exception] = []
        self.late: list[Exception] = []
        self.connects = 0

    def connect(self) -> "Server":
        self.connects += 1
        return self

    def close(self) -> None:
        pass

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        if self.faults:
            raise self.faults.pop(0)
        result = self._run(query, *arguments)
        if self.late:
            raise self.late.pop(0)
        return result

    def _run(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        if query == store.INSERT:
            key, text, web, server = arguments
            if self.read_only:
                raise pymysql.OperationalError(1290, "running with the --read-only option")
            if any(row["key"] == key for row in self.table):
                raise pymysql.IntegrityError(1062, "Duplicate entry")
            self.table.append(
                {"id": len(self.table) + 1, "text": text, "key": key, "web": web, "database": server}
                | {"created": datetime.datetime(2026, 1, 2, 3, 4, 5, 6000)}
            )
            return []
        if query == store.BY_KEY:
            return [dict(row) for row in self.table if row["key"] == arguments[0]]
        if query == store.LATEST:
            return [dict(row) for row in self.table[::-1][: arguments[0]]]
        if query == store.STATE:
            return [{"read_only": int(self.read_only), "newest": len(self.table) or None}]
        raise AssertionError(query)


class Site:
    """A primary db1 with a replica db2, and one web server's application."""

    def __init__(self) -> None:
        table: list[dict[str, Any]] = []
        self.primary = Server("db1", table)
        self.replica = Server("db2", table, read_only=True)
        self.write = database.Database("write", 2, 2, self.primary.connect)
        self.read = database.Database("read", 2, 2, self.replica.connect)
        settings = Settings.from_environment({"NOTES_WEB": "web1"})
        self.app: Flask = create_app(store.Store(self.write, self.read, "web1", wait=0.2), settings)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0.01)
    return Site()


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.app.test_client()
