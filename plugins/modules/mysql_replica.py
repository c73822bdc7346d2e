#!/usr/bin/python
"""Makes a database server follow the primary, or says why it cannot before it is seeded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_replica
short_description: Make a database server follow the primary
description:
  - A replica that follows and applies is left alone. One that stopped, or follows somebody else, is made to follow
    again.
  - What following cannot mend (no data yet, binary logs purged, an applier that stops again) comes back as C(seed),
    the reason why the server has to be seeded from the primary before it can follow.
  - Transactions that only this server holds are an error, because following would hide them and seeding would
    lose them. They are written to a file in C(/var/backups) on the host.
options:
  source:
    description: Address of the primary.
    type: str
    required: true
  port:
    description: Port of the primary.
    type: int
    default: 3306
  user:
    description: The account for replication.
    type: str
    required: true
  password:
    description: Password of the account.
    type: str
    required: true
  tls_ca:
    description: The CA that the primary's certificate is verified with, against its address.
    type: path
    required: true
  gtid:
    description: The transactions this server held, read B(before) those of the primary.
    type: str
    default: ""
  source_gtid:
    description: The transactions the primary holds.
    type: str
    required: true
  seeded:
    description: The server was seeded from the primary just now, so nothing has to be compared.
    type: bool
    default: false
  reseed_errant:
    description: Seed although that loses transactions that only this server holds.
    type: bool
    default: false
  patience:
    description: Longest wait, in seconds, for replication to work after it was started.
    type: int
    default: 30
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Follow the primary
  tandem.web.mysql_replica:
    engine: mysql
    source: 192.0.2.31
    user: replication
    password: "{{ secret }}"
    tls_ca: /etc/tandem/pki/ca.pem
    gtid: "{{ before.state.gtid }}"
    source_gtid: "{{ primary.state.gtid }}"
  register: replica
"""

RETURN = r"""
seed:
  description: Why the server has to be seeded first; empty when it follows.
  returned: always
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql, mysql_errant

# The primary no longer has a binary log that this server needs, or cannot read it.
LOGS_GONE = (1236, 1789, 13114)
ERRANT = (
    "This server holds transactions that the primary {source} does not: {errant}. It may not follow with them, and"
    " seeding it again would lose them. They are saved in {path} on this host; look at them first, then run once"
    " with mysql_reseed_errant: true."
)


class Replica(mysql.Changes):
    """A server that has to follow another."""

    def make(self) -> str:
        """Make it follow; return why it has to be seeded first, or nothing."""
        if self.state["writable"]:
            self.run(f"SET GLOBAL {'super_' if self.server.engine == 'mysql' else ''}read_only = ON")
        if self.params["seeded"]:
            return self.follow()
        if self.state["blank"] and not self.state["replication"]:
            return "it holds no data yet"
        errant = self.server.gtid_missing_in(self.params["gtid"], self.params["source_gtid"])
        if errant:
            # Before they are given up, too.
            path = mysql_errant.save(self.module, self.server, errant, self.params["source_gtid"])
            if not self.params["reseed_errant"]:
                self.module.fail_json(msg=ERRANT.format(errant=errant, path=path, **self.params))
            return f"it holds transactions that the primary does not: {errant}"
        return self.follow()

    def follow(self) -> str:
        """Start replication where it is not as it should be; return why that cannot work, or nothing."""
        if self.configured() and self.runs(self.server.replication()):
            return ""
        if self.configured() and self.server.replication()["receiver"] == "Connecting" and self.settle() == "":
            return ""
        if self.state["replication"]:
            self.run("STOP REPLICA")
        elif self.server.engine == "mariadb":
            # What it wrote itself as a primary counts as received too.
            self.run("SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_current_pos")
        self.run(*self.server.source_statement(self.params))
        self.run("START REPLICA")
        return "" if self.module.check_mode else self.settle()

    def settle(self) -> str:
        """Wait until replication works; return why it has to be seeded instead, or nothing."""
        deadline = time.monotonic() + self.params["patience"]
        while True:
            now = self.server.replication()
            if now["applier"] == "No" and now["applier_errno"]:
                return f"its applier stopped: {now['applier_error']}"
            if now["receiver"] == "No" and now["receiver_errno"] in LOGS_GONE:
                return f"the primary cannot send what it lacks: {now['receiver_error']}"
            caught_up = not self.server.gtid_missing_in(self.params["source_gtid"], self.server.gtid())
            late = time.monotonic() > deadline
            if self.runs(now) and (caught_up or late):
                return ""
            if late:
                self.module.fail_json(
                    msg=f"Replication from {self.params['source']} does not start: {now['receiver_error'] or now}"
                )
            time.sleep(0.2)

    def runs(self, replication: dict) -> bool:
        """Tell whether transactions are received and applied."""
        return replication["receiver"] == "Yes" and replication["applier"] == "Yes"

    def configured(self) -> bool:
        """Tell whether it follows the right server with the right account."""
        now, wanted = self.state["replication"], self.params
        if not now or (now["source"], now["port"]) != (wanted["source"], wanted["port"]):
            return False
        if self.server.engine == "mysql":
            row = self.server.query("SELECT * FROM mysql.slave_master_info WHERE Channel_name = ''")[0]
            account = row["User_name"], row["User_password"]
        else:
            with open(f"{mysql.DATA_DIR}/master.info", encoding="utf-8") as file:
                account = tuple(file.read().splitlines()[4:6])
        return account == (wanted["user"], wanted["password"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **mysql.FOLLOW_ARGUMENTS,
            "gtid": {"type": "str", "default": ""},
            "source_gtid": {"type": "str", "required": True},
            "seeded": {"type": "bool", "default": False},
            "reseed_errant": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 30},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        replica = Replica(module)
        seed = replica.make()
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=replica.changed or bool(seed), seed=seed)


if __name__ == "__main__":
    main()
