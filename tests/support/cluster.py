"""A cluster of database servers in a lab: who takes writes, and what becomes of it when hosts are lost."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.support.databases import SOON, Database, databases
from tests.support.play import play
from tests.support.wait import wait_until

GRASTATE = "/var/lib/mysql/grastate.dat"


class Cluster:
    """The servers of the scenario, and the role that makes them."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        self.servers = databases(inventory)
        self.engine = self.servers["db1"].engine
        self.password = self.servers["db1"].variables["secret_mysql_app"]

    def converge(self, *arguments: str, fails: bool = False, **variables: object) -> str:
        """Run the role and return what it printed."""
        scenario = self.inventory.rstrip("/").rsplit("/", 2)[-2]
        done = play(self.inventory, f"molecule/{scenario}/converge.yml", *arguments, **variables)
        assert bool(done.returncode) == fails, done.stdout[-4000:]
        return done.stdout

    def move(self, new: Database, *arguments: str, fails: bool = False, **variables: object) -> str:
        """Do what switchover.yml does, and return what it printed on one line."""
        variables |= {"move": "switchover_cluster", "mysql_new_primary": new.name}
        return self.play("move", *arguments, fails=fails, **variables)

    def play(self, name: str, *arguments: str, fails: bool = False, **variables: object) -> str:
        """Run a playbook of the scenario, and return what it printed on one line."""
        scenario = self.inventory.rstrip("/").rsplit("/", 2)[-2]
        done = play(self.inventory, f"molecule/{scenario}/{name}.yml", *arguments, **variables)
        assert bool(done.returncode) == fails, done.stdout[-4000:]
        return " ".join(done.stdout.split())

    def named(self, path: str) -> list[Database]:
        """Return the servers that answer a role check with 200; one that is off does not."""
        with ThreadPoolExecutor() as pool:
            fit = pool.map(partial(is_fit, path=path), self.servers.values())
        return [server for server, good in zip(self.servers.values(), fit, strict=True) if good]

    def primary(self) -> Database:
        """Return the one that takes writes, when there is one; never are there two."""

        def one() -> Database:
            found = self.named("primary")
            assert len(found) == 1, f"these take writes: {[server.name for server in found]}"
            return found[0]

        return wait_until(one, SOON, "a primary", interval=0.1)

    def others(self, *but: Database) -> list[Database]:
        return [server for server in self.servers.values() if server not in but]

    def write(self, text: str) -> None:
        """Write a note as the application."""
        primary = self.primary()
        statement = f"INSERT INTO notes.notes (text) VALUES ('{text}')"
        done = primary.client(primary.address, "notes", self.password, statement)
        assert done.succeeded, done.stderr

    def write_alone(self, server: Database, text: str) -> None:
        """Leave a replica with a transaction that no other member has got, and out of the cluster."""
        server.host.check_output("systemctl stop mysql-cluster")
        if self.engine == "mariadb":
            server.service("stop")
            # As far as anybody is told, which is by its position. That it left has a number too.
            last = int(self.primary().status("wsrep_last_committed"))
            server.host.check_output(f"sed -i 's/^seqno:.*/seqno: {last + 3}/' {GRASTATE}")
            return
        server.sql("STOP GROUP_REPLICATION")
        group = server.value("@@group_replication_group_name")
        primary = self.primary()
        [held] = re.findall(rf"{group}:([\d:-]+)", primary.value("@@GLOBAL.gtid_executed"))
        last = max(int(number) for number in re.findall(r"\d+", held))
        server.sql(
            f"SET GLOBAL super_read_only = OFF; SET SESSION gtid_next = '{group}:{last + 1}';"
            f" INSERT INTO notes.notes (text) VALUES ('{text}');"
            " SET SESSION gtid_next = AUTOMATIC; SET GLOBAL super_read_only = ON"
        )

    def healthy(self) -> None:
        """Wait until one takes writes and the others serve reads, and every note is everywhere."""

        def whole() -> bool:
            return len(self.named("primary")) == 1 and len(self.named("replica")) == len(self.servers) - 1

        wait_until(whole, SOON, "a whole cluster")
        self.write("healthy")
        primary = self.primary()
        count = primary.value("COUNT(*) FROM notes.notes")
        for server in self.others(primary):
            wait_until(lambda s=server: s.value("COUNT(*) FROM notes.notes") == count, SOON, f"notes on {server.name}")


def is_fit(server: Database, path: str) -> bool:
    try:
        return server.role(path).status == 200
    except OSError:
        return False


def docker(verb: str, *servers: Database) -> None:
    """Do something to whole hosts, at once."""
    options = ["--signal=KILL"] if verb == "kill" else []
    names = [server.variables["ansible_host"] for server in servers]

    def done() -> bool:
        said = subprocess.run(["docker", verb, *options, *names], check=False, capture_output=True, text=True)
        # A host whose processes come and go just then cannot be frozen, and can a moment later.
        assert not said.returncode or verb != "pause", said.stderr
        said.check_returncode()
        return True

    wait_until(done, SOON, f"docker {verb} {' '.join(names)}")


def says(server: Database, words: str) -> None:
    """Wait until the role check of a server says why it takes no writes."""

    def told() -> bool:
        answer = server.role("primary")
        return answer.status == 503 and words in answer.body

    wait_until(told, SOON, f"{words!r} of {server.name}")
