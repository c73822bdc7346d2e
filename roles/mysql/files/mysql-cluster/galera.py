"""One member of MariaDB Galera: what it is, and what can be done about it.

systemd does not start the server by itself, at boot or after a crash: a Galera server that finds no cluster ends.
This program starts it when there is one to join, or when it is the one to begin it.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pymysql

from database import Database
from decision import ALONE, DOWN, JOINING, LEFT, LOST, OFFLINE, ONLINE, SETTLING, Report

SERVICE = "mariadb.service"
GRASTATE = Path("/var/lib/mysql/grastate.dat")
WANTED = Path("/run/mysql-cluster/wanted")  # an operator wants this member to take the writes
FIRST = 1 << 32  # more than any rank
NOBODY = "00000000-0000-0000-0000-000000000000"
BEGIN = 300  # seconds that a start may take


def run(*argv: str, timeout: float = BEGIN) -> str:
    """Run a command and return what it printed; OSError with its last words when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            argv, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{argv[0]} took longer than {timeout:g} s") from None
    if done.returncode:
        raise OSError(f"{argv[0]}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")
    return done.stdout


class Member(Database):
    """The server of this host, which does not run without a cluster."""

    patience = 3.0

    def __init__(self, name: str, members: list[str], config: dict[str, Any]) -> None:
        super().__init__(name, members)
        self.rank = config["rank"]
        self.inside = False
        self.position: str | None = None  # of a server that does not run; found out once for each time it stops

    def _own(self, state: str, **more: Any) -> Report:
        rank = self.rank - FIRST if WANTED.exists() else self.rank
        return Report(self.name, self.members, state, rank=rank, self_healing=True, **more)

    def report(self) -> Report:
        """Look; a server that does not answer is a report too."""
        # While it is in its cluster the server itself says so, and systemd need not be asked at every look.
        if self.inside:
            with contextlib.suppress(pymysql.MySQLError, OSError):
                report = self._running(moving=False)
                if report.state == ONLINE:
                    return report
        report = self._look()
        self.inside = report.state == ONLINE
        return report

    def _look(self) -> Report:
        unit = run("systemctl", "show", "--property=ActiveState", "--value", SERVICE, timeout=10).strip()
        if unit in ("inactive", "failed"):
            if self.position is None:
                return self._own(SETTLING, why="it finds out what it holds")
            return self._own(OFFLINE, holds=self.position)
        self.position = None
        moving = unit in ("activating", "deactivating")
        try:
            return self._running(moving)
        except (pymysql.MySQLError, OSError) as error:
            return self._own(JOINING if moving else DOWN, why=str(error.args[-1] if error.args else error))

    def _running(self, moving: bool) -> Report:
        rows = self.query("SHOW GLOBAL STATUS LIKE 'wsrep%'")
        status = {row["Variable_name"]: row["Value"] for row in rows}
        writes = not self.query("SELECT @@GLOBAL.read_only AS read_only")[0]["read_only"]
        if status.get("wsrep_provider_name", "") == "":
            return self._own(ALONE)
        # While it gets its data it is not in the majority yet.
        if status["wsrep_local_state_comment"].startswith("Join"):
            state = JOINING
        # Cut off, it looks for the others all the time. It does not any more when its data differ from theirs, or when
        # what it lacked came incomplete: it says that it needs a restart, and runs on.
        elif status["wsrep_connected"] == "OFF":
            state = JOINING if moving else LEFT
        elif status["wsrep_cluster_status"] != "Primary":
            state = LOST
        else:
            state = ONLINE
        present = self._present() if state == ONLINE and status["wsrep_ready"] == "ON" else []
        holds = position(status["wsrep_local_state_uuid"], int(status["wsrep_last_committed"]))
        return self._own(state, holds=holds, writes=writes, present=present)

    def _present(self) -> list[str]:
        """Return the addresses of those in the cluster, as of its last change.

        Not wsrep_incoming_addresses: it lacks whoever came while this member got its data.
        """
        rows = self.query("SELECT node_incoming_address AS address FROM mysql.wsrep_cluster_members")
        return sorted(row["address"].rsplit(":", 1)[0] for row in rows if row["address"])

    def settle(self, report: Report) -> None:
        """Find out what a server that stopped holds: from its state file, or else from its data."""
        if report.state != SETTLING:
            return
        text = GRASTATE.read_text(encoding="ascii") if GRASTATE.exists() else ""
        uuid, number = re.search(r"uuid:\s*(\S+)", text), re.search(r"seqno:\s*(-?\d+)", text)
        if not uuid or uuid[1] == NOBODY:
            self.position = ""
        elif int(number[1]) >= 0:
            self.position = position(uuid[1], int(number[1]))
        else:
            found = re.search(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)", run("/usr/bin/galera_recovery"))
            if not found:
                raise OSError("galera_recovery does not tell what the server holds")
            self.position = position(found[1], int(found[2]))

    def lead(self, leader: bool) -> None:
        """Take writes, or leave that to another member."""
        if leader and not self._caught_up():
            return
        self.query(f"SET GLOBAL read_only = {'OFF' if leader else 'ON'}")

    def fulfilled(self) -> None:
        """Forget that an operator wanted it to take the writes: it does, and no longer than it has to."""
        WANTED.unlink(missing_ok=True)

    def _caught_up(self) -> bool:
        """Wait for what was committed on another member, so that nobody reads here what was there before it."""
        try:
            self.query("SET STATEMENT wsrep_sync_wait = 1 FOR SELECT 1")
        except pymysql.MySQLError:
            return False  # the next look asks again
        return True

    def join(self) -> None:
        """Start the server, which finds the others; the next looks see how it fares."""
        run("systemctl", "reset-failed", SERVICE)
        run("systemctl", "start", "--no-block", SERVICE)

    def begin_again(self, name: str) -> None:
        """Leave the data as they are: they are got by joining only, and whoever joins takes note."""

    def form(self) -> None:
        """Begin the cluster anew, from the data of this server."""
        text = GRASTATE.read_text(encoding="ascii")
        GRASTATE.write_text(re.sub(r"safe_to_bootstrap:\s*\d", "safe_to_bootstrap: 1", text), encoding="ascii")
        run("systemctl", "reset-failed", SERVICE)
        run("/usr/bin/galera_new_cluster")

    def stop(self) -> None:
        """Stop the server, which has no cluster any more."""
        run("systemctl", "stop", SERVICE)


def position(uuid: str, number: int) -> str:
    """Return a position as a set of transactions; Galera numbers those of a cluster without a gap."""
    if uuid == NOBODY or number < 0:
        return ""
    return f"{uuid}:1-{number}" if number else f"{uuid}:0"
