"""What the role check answers for a member of a cluster. The program mysql-role-check loads it."""

from __future__ import annotations

import time
from pathlib import Path

STATUS = Path("/run/mysql-cluster/status")
STALE = 1.0
# A server that stood still for so long may have been expelled, and takes up to so long to notice when it goes on.
SUSPECTED, NOTICES = 4.0, 6.0  # seconds
# How long ago the oldest transaction that is being applied was committed on the primary.
FACTS = """
SELECT @@GLOBAL.read_only AS read_only, COALESCE((SELECT MAX(TIMESTAMPDIFF(MICROSECOND, began, NOW(6))) FROM (
  SELECT applying_transaction_original_commit_timestamp AS began
  FROM performance_schema.replication_applier_status_by_worker
  WHERE channel_name = 'group_replication_applier' AND applying_transaction <> ''
  UNION ALL SELECT processing_transaction_original_commit_timestamp
  FROM performance_schema.replication_applier_status_by_coordinator
  WHERE channel_name = 'group_replication_applier' AND processing_transaction <> '') AS busy), 0) AS behind
"""


def watch(base: type, engine: str) -> object:
    """Return what looks at the server, and remembers what it saw as the role check does of a replica."""
    return type("Watch", ({"mysql": GroupReplication, "mariadb": Galera}[engine], base), {})()


class GroupReplication:
    """A member of MySQL Group Replication."""

    state, primary, majority, read_only, lag = "OFFLINE", False, False, True, 0.0
    doubtful_until = float("-inf")

    def ask(self) -> None:
        """Ask once."""
        members = self.query(
            "SELECT member_id = @@server_uuid AS own, member_state AS state, member_role AS role"
            " FROM performance_schema.replication_group_members"
        )
        [facts] = self.query(FACTS)
        own = next((row for row in members if row["own"]), {"state": "OFFLINE", "role": ""})
        reachable = sum(row["state"] != "UNREACHABLE" for row in members)
        self.state, self.primary = own["state"], own["role"] == "PRIMARY"
        self.majority = reachable * 2 > len(members)
        self.read_only, self.lag = bool(facts["read_only"]), max(0.0, float(facts["behind"]) / 1e6)
        self.listen()

    def listen(self) -> None:
        """Note that the server answered, and whether it was silent for long."""
        now = time.monotonic()
        if SUSPECTED < now - self.heard < float("inf"):
            self.doubtful_until = now + NOTICES
        self.heard = now

    def answer(self, path: str, max_lag: float, now: float) -> tuple[bool, str]:
        """Return whether the server is fit for what a path asks, and the reason."""
        if now - self.heard > STALE:
            return False, self.silence()
        if path == "/alive":
            return True, "the server answers"
        if path == "/state":
            return False, "the server is a member of a cluster, whose members ask each other elsewhere"
        if self.state != "ONLINE":
            return False, f"the server is {self.state} in its cluster{_why()}"
        if not self.majority:
            return False, "the server is cut off from the majority of its cluster"
        if path == "/primary" and now < self.doubtful_until:
            return False, "the server stood still, and may have been replaced meanwhile"
        if path == "/primary":
            fit = self.primary and not self.read_only
            return fit, "the server takes writes" if fit else "the server is read-only"
        if self.primary:
            return False, "the server is not a replica"
        return self.lag <= max_lag, f"{self.lag:.0f} s behind, of {max_lag:g} allowed"

    def silence(self) -> str:
        """Return what is known of a server that does not answer."""
        return f"the server does not answer: {self.error}"


class Galera(GroupReplication):
    """A member of MariaDB Galera: what is committed anywhere is on every member, so that none lags."""

    def ask(self) -> None:
        """Ask once."""
        rows = self.query("SHOW GLOBAL STATUS LIKE 'wsrep%'")
        status = {row["Variable_name"]: row["Value"] for row in rows}
        self.read_only = bool(self.query("SELECT @@GLOBAL.read_only AS read_only")[0]["read_only"])
        self.majority = status.get("wsrep_cluster_status") == "Primary"
        inside = status.get("wsrep_local_state_comment", "Disconnected")
        self.state = "ONLINE" if status.get("wsrep_ready") == "ON" and inside == "Synced" else inside
        # One that gives its data to another goes on taking writes, if that is its task.
        self.primary = not self.read_only
        if self.primary and self.majority and inside == "Donor/Desynced":
            self.state = "ONLINE"
        self.listen()

    def silence(self) -> str:
        """Return what is known of a server that does not answer: without a cluster, it does not run."""
        words = _why()
        return f"the server does not run{words}" if words else super().silence()


def _why() -> str:
    """Return what the unit mysql-cluster waits for."""
    try:
        words = STATUS.read_text(encoding="utf-8").strip()
    except OSError:
        words = "the unit mysql-cluster does not run"
    return f": {words}" if words else ""
