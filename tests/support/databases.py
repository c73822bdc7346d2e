"""Database servers of a lab, asked directly: by SQL as root on their hosts, as a client over the network, by HTTP."""

from functools import partial
from typing import Any, Self

import testinfra

from tests.support.http import Answer, get
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until

SOON = 120  # seconds, for a busy machine; how fast it is belongs to the drills


class Database:
    """One database server."""

    def __init__(self, name: str, variables: dict[str, Any]) -> None:
        self.name = name
        self.variables = variables
        self.address: str = variables["topology_address"]
        self.engine: str = variables["mysql_engine"]
        self.host = testinfra.get_host(f"docker://{variables['ansible_host']}")

    def sql(self, statement: str) -> list[list[str]]:
        """Run statements as root and return the rows."""
        output = self.host.check_output("%s -N -B -e %s", self.engine, statement)
        return [line.split("\t") for line in output.splitlines()]

    def value(self, expression: str) -> str:
        """Return what an expression evaluates to."""
        return self.sql(f"SELECT {expression}")[0][0]

    def status(self, name: str) -> str:
        """Return a status variable, by the name that MySQL has for it."""
        if self.engine == "mariadb":
            name = name.replace("source", "master").replace("replica", "slave")
        return self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1]

    def replication(self) -> dict[str, str]:
        """Return what the server says of its replication, by MySQL's names; empty when there is none."""
        # A row with its names: -N would leave them out.
        lines = self.host.check_output("%s -E -e 'SHOW REPLICA STATUS'", self.engine).splitlines()
        pairs = [line.split(":", 1) for line in lines if ":" in line]
        return {
            key.strip().replace("Master", "Source").replace("Slave", "Replica"): value.strip() for key, value in pairs
        }

    def read_only(self, wanted: bool) -> None:
        """Make the server read-only, or let it take writes."""
        name = "super_read_only" if wanted and self.engine == "mysql" else "read_only"
        self.sql(f"SET GLOBAL {name} = {int(wanted)}")

    def client(self, target: str, user: str, password: str, statement: str, tls: bool = True) -> Any:
        """Connect from this host to another server as an application does, and return the command's outcome."""
        options = {
            ("mysql", True): "--ssl-mode=VERIFY_IDENTITY --ssl-ca=/etc/tandem/pki/ca.pem",
            ("mysql", False): "--ssl-mode=DISABLED --get-server-public-key",
            ("mariadb", True): "--ssl-verify-server-cert --ssl-ca=/etc/tandem/pki/ca.pem",
            ("mariadb", False): "--skip-ssl",
        }[self.engine, tls]
        return self.host.run(
            f"MYSQL_PWD=%s %s -h %s -u %s {options} -N -B -e %s", password, self.engine, target, user, statement
        )

    def role(self, path: str, expect: int | None = None) -> Answer:
        """Ask the role check."""
        return get(f"http://{self.address}:9200/{path}", expect=expect, timeout=3)

    def service(self, verb: str) -> None:
        """Start, stop, restart or kill the server."""
        self.host.check_output(f"systemctl {verb} {self.engine}.service")


def databases(inventory: str) -> dict[str, Database]:
    """Return every host of an inventory as a database server, by name."""
    hostvars = read_inventory(inventory)["_meta"]["hostvars"]
    return {name: Database(name, variables) for name, variables in hostvars.items() if name.startswith("db")}


class Topology:
    """The servers of the scenario, and the role that makes them."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        self.servers = databases(inventory)
        self.db1, self.db2, self.db3 = (self.servers[name] for name in ("db1", "db2", "db3"))
        self.members = "databases"

    @classmethod
    def that_is_there(cls, inventory: str) -> Self:
        """Return the servers that earlier tests have left, with a table to write to."""
        topology = cls(inventory)
        if topology.db3.host.run("systemctl is-active %s", topology.db3.engine).succeeded:
            topology.members = "databases:later"
        else:
            del topology.servers["db3"]
        topology.primary().sql(
            "CREATE TABLE IF NOT EXISTS notes.notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(99))"
        )
        return topology

    def converge(
        self, *arguments: str, begin: str = "Mysql | Topology", fails: bool | None = False, **variables: object
    ) -> str:
        """Run the role from one of its tasks on, as a whole if `begin` is empty; return what it printed.

        `fails` says whether it has to fail; None takes either.
        """
        if begin:
            arguments = (*arguments, "--start-at-task", f"tandem.web.mysql : {begin}")
        scenario = self.inventory.rstrip("/").rsplit("/", 2)[-2]
        variables = {"scenario_hosts": self.members, **variables}
        done = play(self.inventory, f"molecule/{scenario}/converge.yml", *arguments, **variables)
        assert fails is None or bool(done.returncode) == fails, done.stdout[-4000:]
        return done.stdout

    def move(self, how: str, *arguments: str, fails: bool = False, **variables: object) -> str:
        """Do what switchover.yml (``switchover_replication``) or failover.yml (``failover``) does."""
        scenario = self.inventory.rstrip("/").rsplit("/", 2)[-2]
        variables = {"scenario_hosts": self.members, "move": how, **variables}
        done = play(self.inventory, f"molecule/{scenario}/move.yml", *arguments, **variables)
        assert bool(done.returncode) == fails, done.stdout[-4000:]
        return done.stdout

    def primary(self) -> Database:
        """Return the server that takes writes."""
        said = {}
        for server in self.servers.values():
            answer = server.role("primary")
            if answer.status == 200:
                return server
            said[server.name] = answer.body
        raise AssertionError(f"No server takes writes: {said}")

    def write(self, text: str) -> None:
        """Write a note, as the application on db2, to whoever is primary."""
        self.client(self.primary(), f"INSERT INTO notes.notes (text) VALUES ('{text}')")

    def client(self, server: Database, statement: str) -> str:
        """Run a statement as the application on db2."""
        password = self.db2.variables["secret_mysql_app"]
        done = self.db2.client(server.address, "notes", password, statement)
        assert done.succeeded, done.stderr
        return done.stdout


def has(server: Database, text: str) -> bool:
    """Tell whether a server holds a note."""
    return server.value(f"COUNT(*) FROM notes.notes WHERE text = '{text}'") != "0"


def replicated(server: Database, text: str) -> None:
    """Wait until a server holds a note."""
    wait_until(partial(has, server, text), SOON, f"{text!r} on {server.name}")


def answers(server: Database, path: str, status: int, words: str = "") -> None:
    """Wait until the role check answers with a status and some words."""

    def fits() -> bool:
        answer = server.role(path)
        return answer.status == status and words in answer.body

    wait_until(fits, SOON, f"{status} {words!r} at /{path} of {server.name}", interval=0.1)
