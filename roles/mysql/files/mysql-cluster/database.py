"""The database server of this host, whichever engine it runs."""

from __future__ import annotations

from typing import Any

import pymysql

SOCKET = "/run/mysqld/mysqld.sock"


class Database:
    """Asked over its unix socket, as root; each question on a connection of its own."""

    patience = 5.0  # seconds that an answer may take

    def __init__(self, name: str, members: list[str]) -> None:
        self.name, self.members = name, members

    def query(self, *statements: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """Run statements, and return the rows of the last one."""
        connection = pymysql.connect(
            unix_socket=SOCKET,
            user="root",
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
            connect_timeout=self.patience,
            read_timeout=timeout or self.patience,
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
