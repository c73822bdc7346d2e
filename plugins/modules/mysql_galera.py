#!/usr/bin/python
"""Makes a MariaDB server a member of its Galera cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_galera
short_description: Make a MariaDB server a member of its Galera cluster
description:
  - A member that is online is left alone.
  - Another server is stopped, after its transactions were compared with those of the first member; it then enters by
    itself, because the unit C(mysql-cluster) of its host sees to that, and gets a copy of the data.
  - Transactions that only this server holds are an error.
options:
  patience:
    description: Longest wait for it to be online, in seconds.
    type: int
    default: 3600
extends_documentation_fragment: [tandem.web.mysql, tandem.web.mysql.member]
author: The Tandem founders
"""

EXAMPLES = r"""
- name: The first member
  tandem.web.mysql_galera: {engine: mariadb, step: form}
"""

RETURN = r"""
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql, mysql_errant, mysql_gtid, mysql_membership

GRASTATE = Path(mysql.DATA_DIR, "grastate.dat")


class Member:
    """A server that belongs to a cluster; it need not run."""

    def __init__(self, module: AnsibleModule) -> None:
        """Read what the server is."""
        self.module, self.params = module, module.params
        self.state = self.look()
        self.changed = False

    def look(self) -> dict:
        """Return what the server is now."""
        try:
            return mysql.Server("mariadb", self.params["socket"]).state()
        except mysql.DatabaseError:
            return mysql.absent()

    def systemctl(self, *words: str) -> None:
        """Have systemd do something."""
        self.run("systemctl", *words, "mariadb.service")

    def run(self, *command: str) -> None:
        """Run a command that changes something."""
        self.changed = True
        if self.module.check_mode:
            return
        code, output, problem = self.module.run_command(list(command))
        if code:
            self.module.fail_json(msg=f"{command[0]} failed: {(problem or output).strip()}")

    def take(self) -> None:
        """Take the step."""
        inside = bool(self.state["cluster"]) and self.state["cluster"]["state"] == "ONLINE"
        if self.params["step"] == "wait":
            self.wait()
        elif not inside and self.params["step"] == "form":
            self.form()
        elif not inside and not self.state["cluster"]:
            self.prepare()

    def form(self) -> None:
        """Begin the cluster."""
        if self.state["running"]:
            mysql_membership.refuse_unfit(self.module, mysql.connect(self.module))
            self.leave()
            self.systemctl("stop")
        if GRASTATE.exists() and not self.module.check_mode:
            text = GRASTATE.read_text(encoding="ascii").replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1")
            GRASTATE.write_text(text, encoding="ascii")
        self.run("galera_new_cluster")
        self.wait()

    def prepare(self) -> None:
        """End what keeps it from entering, if it may give its data for the cluster's."""
        if not self.state["running"]:
            return
        errant = mysql_gtid.missing("mariadb", self.params["gtid"], self.params["source_gtid"])
        if errant and not self.state["blank"]:
            # Before they are given up, too.
            path = mysql_errant.save(self.module, mysql.connect(self.module), errant, self.params["source_gtid"])
            if not self.params["reseed_errant"]:
                self.module.fail_json(msg=mysql_membership.ERRANT.format(errant=errant, path=path))
        self.leave()
        self.systemctl("stop")

    def leave(self) -> None:
        """End replication from a primary."""
        if self.state["replication"] and not self.module.check_mode:
            server = mysql.connect(self.module)
            server.query("STOP REPLICA")
            server.query("RESET REPLICA ALL")

    def wait(self) -> None:
        """Wait until it is online; one that is kept out for what it holds gives that up, if it may."""
        deadline = time.monotonic() + self.params["patience"]
        kept_out = False
        while not self.module.check_mode:
            now = self.look()
            if now["cluster"].get("state") == "ONLINE":
                return
            why = mysql_membership.waits_for() or "see its journal"
            if mysql_membership.KEPT_OUT in why and not kept_out:
                kept_out = True
                if not self.params["reseed_errant"]:
                    self.module.fail_json(msg=f"The server stays out of its cluster: {why}")
                # Without it, it has no history, and gets all data from another member.
                GRASTATE.unlink(missing_ok=True)
                self.run("systemctl", "restart", "mysql-cluster.service")
            if time.monotonic() > deadline:
                self.module.fail_json(msg=f"The server is not in its cluster after {self.params['patience']} s: {why}")
            time.sleep(0.5)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "patience": {"type": "int", "default": 3600},
            **mysql_membership.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        member = Member(module)
        member.take()
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=member.changed)


if __name__ == "__main__":
    main()
