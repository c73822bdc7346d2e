#!/usr/bin/python
"""Makes a database server a member of its cluster, or says why it has to be seeded first."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_member
short_description: Make a MySQL server a member of its group
description:
  - A member that is online is left alone.
  - Another server is made ready to enter, which ends its replication from a primary and gives it the account by which
    it gets what it lacks; it then enters by itself, because the unit C(mysql-cluster) of its host sees to that.
  - What entering cannot mend (no data yet) comes back as C(seed).
  - Transactions that only this server holds are an error.
options:
  user:
    description: Account by which a member gets what it lacks from another.
    type: str
    required: true
  password:
    description: Password of the account.
    type: str
    required: true
  seeded:
    description: The server was seeded just now, so nothing has to be compared.
    type: bool
    default: false
  patience:
    description: Longest wait for it to be online, in seconds.
    type: int
    default: 120
extends_documentation_fragment: [tandem.web.mysql, tandem.web.mysql.member]
author: The Tandem founders
"""

EXAMPLES = r"""
- name: The first member
  tandem.web.mysql_member:
    engine: mysql
    step: form
    user: replication
    password: "{{ secret }}"
"""

RETURN = r"""
seed:
  description: Why the server has to be seeded first; empty when it need not be.
  returned: always
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql, mysql_errant, mysql_membership

CHANNEL = "group_replication_recovery"


class Member(mysql.Changes):
    """A server that belongs to a group."""

    def take(self) -> str:
        """Take the step; return why the server has to be seeded first, or nothing."""
        if not self.state["cluster"]:
            if self.module.check_mode:
                self.changed = True
                return ""
            self.module.fail_json(msg="The server runs without the plugin group_replication; restart it first.")
        inside = self.state["cluster"]["state"] in ("ONLINE", "RECOVERING")
        if self.params["step"] == "prepare" and not inside:
            return self.prepare()
        self.account()
        if self.params["step"] == "form" and not inside:
            self.form()
        if self.params["step"] != "prepare":
            self.wait()
        return ""

    def prepare(self) -> str:
        """End what keeps it from entering."""
        if not self.params["seeded"]:
            if self.state["blank"] and not self.state["replication"] and not self.state["cluster"]["formed"]:
                return "it holds no data yet"
            errant = self.server.gtid_missing_in(self.params["gtid"], self.params["source_gtid"])
            errant = errant or mysql_membership.kept_out_for()
            if errant:
                # Before they are given up, too.
                path = mysql_errant.save(self.module, self.server, errant, self.params["source_gtid"])
                if not self.params["reseed_errant"]:
                    self.module.fail_json(msg=mysql_membership.ERRANT.format(errant=errant, path=path))
                return f"it holds transactions that the cluster does not: {errant}"
        if self.state["writable"]:
            self.run("SET GLOBAL super_read_only = ON")
        self.leave()
        self.account()
        return ""

    def leave(self) -> None:
        """End replication from a primary; what it has received it keeps."""
        if self.state["replication"]:
            self.run("STOP REPLICA FOR CHANNEL ''")
            self.run("RESET REPLICA ALL FOR CHANNEL ''")

    def account(self) -> None:
        """Say by which account a member gets what it lacks."""
        wanted = self.params["user"], self.params["password"]
        rows = self.server.query("SELECT * FROM mysql.slave_master_info WHERE Channel_name = %s", (CHANNEL,))
        if not rows or (rows[0]["User_name"], rows[0]["User_password"]) != wanted:
            self.run(
                f"CHANGE REPLICATION SOURCE TO SOURCE_USER = %s, SOURCE_PASSWORD = %s FOR CHANNEL '{CHANNEL}'",
                wanted,
            )

    def form(self) -> None:
        """Begin the group."""
        mysql_membership.refuse_unfit(self.module, self.server)
        self.leave()
        self.run("SET GLOBAL group_replication_bootstrap_group = ON")
        try:
            self.run("START GROUP_REPLICATION")
        finally:
            self.run("SET GLOBAL group_replication_bootstrap_group = OFF")

    def wait(self) -> None:
        """Wait until it is online; the first member also until it takes writes."""
        deadline = time.monotonic() + self.params["patience"]
        while not self.module.check_mode:
            now = self.server.state()
            if now["cluster"]["state"] == "ONLINE" and (now["writable"] or self.params["step"] != "form"):
                return
            if time.monotonic() > deadline:
                self.module.fail_json(
                    msg=f"The server is {now['cluster']['state']} in its cluster after {self.params['patience']} s."
                    f" {mysql_membership.waits_for() or self.last_error()}"
                )
            time.sleep(0.5)

    def last_error(self) -> str:
        """Return what the server said last of its group."""
        rows = self.server.query(
            "SELECT data FROM performance_schema.error_log WHERE prio = 'Error' AND subsystem = 'Repl'"
            " ORDER BY logged DESC LIMIT 1"
        )
        return rows[0]["data"] if rows else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "seeded": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 120},
            **mysql_membership.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        member = Member(module)
        seed = member.take()
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=member.changed or bool(seed), seed=seed)


if __name__ == "__main__":
    main()
