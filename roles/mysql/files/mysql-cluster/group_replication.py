"""One member of MySQL Group Replication: what it is, and what can be done about it."""

from __future__ import annotations

from typing import Any

import pymysql

from database import Database
from decision import ALONE, DOWN, JOINING, LOST, OFFLINE, ONLINE, SETTLING, Report

FACTS = """
SELECT @@GLOBAL.gtid_executed AS holds, @@server_id AS number, @@GLOBAL.super_read_only AS read_only,
  GTID_SUBTRACT(COALESCE((SELECT received_transaction_set FROM performance_schema.replication_connection_status
                          WHERE channel_name = 'group_replication_applier'), ''), @@GLOBAL.gtid_executed) AS received,
  EXISTS (SELECT 1 FROM performance_schema.processlist WHERE info LIKE 'START GROUP_REPLICATION%') AS entering,
  COALESCE((SELECT service_state FROM performance_schema.replication_applier_status
            WHERE channel_name = 'group_replication_applier'), 'OFF') = 'ON' AS settling
"""
BEGIN = 300  # seconds that joining may take before the statement is given up


class Member(Database):
    """The server of this host, which runs in or out of the group."""

    def __init__(self, name: str, members: list[str], _config: dict[str, Any]) -> None:
        super().__init__(name, members)

    def report(self) -> Report:
        """Look; a server that does not answer is a report too."""
        try:
            return self._report()
        except (pymysql.MySQLError, OSError) as error:
            return Report(self.name, self.members, DOWN, why=str(error.args[-1] if error.args else error))

    def _report(self) -> Report:
        rows = self.query(
            "SELECT member_id = @@server_uuid AS own, member_state AS state, member_host AS address"
            " FROM performance_schema.replication_group_members"
        )
        # Read before what it holds: it can only hold more by the time that is read, and never less.
        own = next((row["state"] for row in rows if row["own"]), "OFFLINE")
        unreachable = sum(row["state"] == "UNREACHABLE" for row in rows)
        state = {"ONLINE": ONLINE, "RECOVERING": JOINING}.get(own, OFFLINE)
        if (state != OFFLINE and unreachable * 2 >= len(rows)) or own == "ERROR":
            state = LOST
        [facts] = self.query(FACTS)
        if state == OFFLINE and facts["entering"]:
            # Also when the one who said so was this program, and is gone.
            state = JOINING
        elif state == OFFLINE and not facts["read_only"]:
            state = ALONE
        elif state == OFFLINE and facts["settling"]:
            state = SETTLING
        return Report(
            self.name,
            self.members,
            state,
            facts["holds"].replace("\n", ""),
            facts["received"].replace("\n", ""),
            facts["number"],
            present=[] if state in (OFFLINE, SETTLING, ALONE) else [row["address"] for row in rows],
        )

    def settle(self, report: Report) -> None:
        """Execute what was received before the server stopped, so that it counts when members are compared."""
        if report.state == OFFLINE and report.received:
            self.query("START REPLICA SQL_THREAD FOR CHANNEL 'group_replication_applier'")
        elif report.state == SETTLING and not report.received:
            self.query("STOP REPLICA SQL_THREAD FOR CHANNEL 'group_replication_applier'")

    def join(self) -> None:
        """Enter the group; returns when it has begun to catch up."""
        # Who began a group may have been killed before it took this back, and would begin another one here.
        self.query("SET GLOBAL group_replication_bootstrap_group = OFF")
        self.query("START GROUP_REPLICATION", timeout=BEGIN)

    def begin_again(self, name: str) -> None:
        """Mark the data, so that whoever gets a copy of them is known to have taken part."""
        mark = f"SET SESSION gtid_next = '{name}:1'"
        self.query(mark, "BEGIN", "COMMIT", "SET SESSION gtid_next = AUTOMATIC")

    def form(self) -> None:
        """Begin the group anew, from the data of this server."""
        self.query("SET GLOBAL group_replication_bootstrap_group = ON")
        try:
            self.query("START GROUP_REPLICATION", timeout=BEGIN)
        finally:
            self.query("SET GLOBAL group_replication_bootstrap_group = OFF")

    def stop(self) -> None:
        """Leave the group; the server is read-only then."""
        self.query("STOP GROUP_REPLICATION", timeout=BEGIN)
