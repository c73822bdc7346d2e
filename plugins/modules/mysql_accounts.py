#!/usr/bin/python
"""Makes the databases and accounts of a database server what they are declared to be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_accounts
short_description: Databases and accounts of a database server
description:
  - One call for all of them, on the primary; replicas receive the same statements by replication.
  - An account exists once for each of its networks, with exactly the declared privileges. The same name from another
    network is removed.
  - Accounts and databases nobody declared are left alone, but for what a server should never have, which are
    anonymous accounts, C(root) from elsewhere, and an empty database C(test).
options:
  databases:
    description: Databases that have to exist. None is ever dropped or altered.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      collation:
        description: Collation of a new database; the server's default when not given.
        type: str
  users:
    description: Accounts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      password:
        description:
          - Password. An account without one is for the operating system's user of the same name, on this host.
        type: str
      privileges:
        description: Lists of privileges by level, such as C(notes.*).
        type: dict
        default: {}
      networks:
        description: Addresses or networks in CIDR notation that it may connect from, with TLS.
        type: list
        elements: str
        default: []
      state:
        description: Whether the account exists.
        type: str
        choices: [present, absent]
        default: present
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: The application's account
  tandem.web.mysql_accounts:
    engine: mysql
    databases: [{name: notes}]
    users:
      - name: notes
        password: "{{ secret }}"
        networks: [192.0.2.21, 192.0.2.22]
        privileges: {notes.*: [SELECT, INSERT]}
"""

RETURN = r"""
changes:
  description: What was changed, in words without secrets.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql
from ansible_collections.tandem.web.plugins.module_utils import mysql_accounts as accounts


class Accounts:
    """Brings one server's databases and accounts to what is declared, and remembers what that took."""

    def __init__(self, server: mysql.Server, check_mode: bool) -> None:
        """Read which accounts there are."""
        self.server = server
        self.check_mode = check_mode
        self.changes: list[str] = []
        self.present = {
            (row["User"], row["Host"]): row
            for row in server.query(
                "SELECT User, Host, plugin, ssl_type, HEX(authentication_string) AS secret FROM mysql.user"
            )
        }

    def change(self, words: str, statement: str, values: tuple | None = None) -> None:
        """Run a statement that changes something."""
        self.changes.append(words)
        if not self.check_mode:
            self.server.query(statement, values)

    def leftovers(self, declared: set[str]) -> None:
        """Remove what a server should never have."""
        for user, host in self.present:
            if user == "" or (user == "root" and host != "localhost"):
                self.change(f"'{user}'@'{host}' removed", "DROP USER %s@%s", (user, host))
        if self.server.query("SELECT 1 FROM mysql.db WHERE User = '' LIMIT 1"):
            self.change("grants to anybody removed", "DELETE FROM mysql.db WHERE User = ''")
            self.change("grants read again", "FLUSH PRIVILEGES")
        test = self.server.query(
            "SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'test') AS tables_in_it "
            "FROM information_schema.schemata WHERE schema_name = 'test'"
        )
        if test and "test" not in declared and not test[0]["tables_in_it"]:
            self.change("empty database test removed", "DROP DATABASE test")

    def database(self, name: str, collation: str | None) -> None:
        """Create a database that is missing."""
        if not self.server.query("SHOW DATABASES WHERE `Database` = %s", (name,)):
            options = f" COLLATE {collation}" if collation else ""
            self.change(f"database {name} created", f"CREATE DATABASE `{name}`{options}")

    def user(self, user: dict) -> None:
        """Make an account what it is declared to be, from each of its networks and from no other."""
        networks = user["networks"] if user["password"] else ["localhost"]
        if user["state"] == "absent":
            networks = []
        wanted = [accounts.host_pattern(network, self.server.engine) for network in networks]
        for name, host in self.present:
            if name == user["name"] and host not in wanted:
                self.change(f"'{name}'@'{host}' removed", "DROP USER %s@%s", (name, host))
        for host in wanted:
            self.account(user, host)

    def account(self, user: dict, host: str) -> None:
        """Make one account, which is a name and a host pattern, what it is declared to be."""
        who, label = (user["name"], host), f"'{user['name']}'@'{host}'"
        row = self.present.get(who)
        if not row or not self.authenticates(user, row):
            verb = "ALTER" if row else "CREATE"
            method, secret = self.authentication(user)
            require = "SSL" if user["password"] else "NONE"
            self.change(
                f"{label} {'authentication changed' if row else 'created'}",
                f"{verb} USER %s@%s IDENTIFIED {method} REQUIRE {require}",
                (*who, *secret),
            )
        wanted = accounts.privileges(user["privileges"], self.server.engine)
        granted = self.granted(who) if row or not self.check_mode else {}
        for level in granted.keys() | wanted.keys():
            surplus = granted.get(level, set()) - wanted.get(level, set())
            missing = wanted.get(level, set()) - granted.get(level, set())
            # The driver reads a lone % as the place of a value.
            place = level.replace("%", "%%")
            if surplus:
                names = ", ".join(sorted(surplus))
                self.change(f"{label} loses {names} on {level}", f"REVOKE {names} ON {place} FROM %s@%s", who)
            if missing:
                names = ", ".join(sorted(missing - {"GRANT OPTION"})) or "USAGE"
                option = " WITH GRANT OPTION" if "GRANT OPTION" in missing else ""
                self.change(
                    f"{label} gets {names}{option} on {level}", f"GRANT {names} ON {place} TO %s@%s{option}", who
                )

    def granted(self, who: tuple[str, str]) -> dict[str, set[str]]:
        """Return the privileges an account has, by level."""
        rows = self.server.query("SHOW GRANTS FOR %s@%s", who)
        return accounts.parse_grants([next(iter(row.values())) for row in rows])

    def authentication(self, user: dict) -> tuple[str, tuple]:
        """Return how an account proves itself, as SQL and the values of it."""
        if not user["password"]:
            return ("VIA " if self.server.engine == "mariadb" else "WITH ") + self.server.words["socket_plugin"], ()
        if self.server.engine == "mariadb":
            return "VIA mysql_native_password USING %s", (accounts.native_hash(user["password"]),)
        return "WITH caching_sha2_password BY %s", (user["password"],)

    def authenticates(self, user: dict, row: dict) -> bool:
        """Tell whether an account that exists proves itself as it should."""
        stored = bytes.fromhex(row["secret"] or "")
        if not user["password"]:
            return row["plugin"] == self.server.words["socket_plugin"]
        if row["ssl_type"] != "ANY":
            return False
        if self.server.engine == "mariadb":
            native = accounts.native_hash(user["password"])
            return row["plugin"] == "mysql_native_password" and stored.decode() == native
        return row["plugin"] == "caching_sha2_password" and accounts.sha2_matches(user["password"], stored)


def main() -> None:
    """Run the module."""
    database = {"name": {"type": "str", "required": True}, "collation": {"type": "str"}}
    user = {
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "privileges": {"type": "dict", "default": {}},
        "networks": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "options": database, "default": []},
            "users": {"type": "list", "elements": "dict", "options": user, "default": []},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        work = Accounts(mysql.connect(module), module.check_mode)
        work.leftovers({database["name"] for database in module.params["databases"]})
        for database in module.params["databases"]:
            work.database(**database)
        for user in module.params["users"]:
            work.user(user)
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(work.changes), changes=work.changes)


if __name__ == "__main__":
    main()
