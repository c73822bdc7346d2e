"""The lab's hosts: how to ask them, and how to break them in ways that are always undone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.inventory import read_inventory

from . import session, standin
from .commands import CommandFailedError, run
from .prober import Prober

ROOT = Path(__file__).parents[3]
ACME_ROOT = "/etc/tandem/acme-root.pem"
"""Where lab/acme.yml puts the CA's root certificate on the client host."""
STAND_IN = Path(standin.__file__).read_text(encoding="utf-8")
SESSION = Path(session.__file__).read_text(encoding="utf-8")


@dataclasses.dataclass
class Faults:
    """What is broken now."""

    undo: list[Callable[[], object]] = dataclasses.field(default_factory=list)
    """The ways back; the last one is taken first."""
    struck: float | None = None
    """Unix time from which the last fault was in force, where that is known better than by the call's end."""


class Host:
    """One host of the lab. Each way to break it leaves the way back in `faults`."""

    def __init__(self, name: str, variables: dict[str, Any], faults: Faults) -> None:
        self.name = name
        self.address: str = variables["topology_address"]
        self.container: str = variables["ansible_host"]
        self._faults, self._undo = faults, faults.undo
        self._prober = Prober(self.container)

    def __repr__(self) -> str:
        return self.name

    def run(self, *argv: str, input: str | None = None, timeout: float = 120) -> str:  # noqa: A002
        """Run a command on the host and return its output; errors and time-out as in `run`."""
        return run("docker", "exec", "-i", self.container, *argv, input=input, timeout=timeout)

    def ask(self, **questions: tuple[str, Any]) -> dict[str, Any]:
        """Return the answers of `probe.answer`; a host that cannot be asked says why to each question."""
        if not questions:
            return {}
        try:
            return self._prober.ask(questions)
        except CommandFailedError as error:
            return dict.fromkeys(questions, str(error))

    @contextlib.contextmanager
    def held_session(self, app: str) -> Iterator[Callable[[], str]]:
        """Hold a database connection of the application of this web server; asked, it tells its number there.

        :raises CommandFailedError: when asked, and the connection is broken.
        """
        argv = ["docker", "exec", "-i", self.container, "python3", "-c", SESSION, f"{app}.service"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

            def number() -> str:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write("\n")
                if not (answer := process.stdout.readline()):
                    raise CommandFailedError(f"a database connection of {self.name} is broken")
                return answer.strip()

            try:
                yield number
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()

    # --- Faults -----------------------------------------------------------------------------------
    def kill(self) -> None:
        """Cut the power: every process is gone at once, and nothing more is heard of its network.

        Killing a container alone is something else: for some tenths of a second its kernel lives on without
        its processes, and refuses connections.
        """
        self._undo.append(self.start)
        self._link(self._link_index(), "down")
        run("docker", "kill", self.container)

    def start(self) -> None:
        """Switch the host on; nothing happens to one that runs."""
        run("docker", "start", self.container)

    def restart(self) -> None:
        """Shut down in good order and start again."""
        self._undo.append(self.start)
        run("docker", "restart", "--time", "60", self.container)

    def freeze(self) -> None:
        """Stop every process where it is; the kernel goes on answering for open ports."""
        self._undo.append(self._thaw)
        for left in reversed(range(5)):
            try:
                run("docker", "pause", self.container)
            except CommandFailedError as error:
                # A host whose processes come and go just then, and which can be frozen a moment later.
                if not left or "unable to freeze" not in str(error):
                    raise
            else:
                return

    def _thaw(self) -> None:
        if run("docker", "inspect", "--format", "{{.State.Paused}}", self.container).strip() == "true":
            run("docker", "unpause", self.container)

    def cut_link(self) -> None:
        """Pull the network cable: nothing arrives, nothing is refused, and the host sees its link down."""
        index = self._link_index()
        self._undo.append(lambda: self._link(index, "up"))
        self._link(index, "down")

    def _link_index(self) -> str:
        """Return the interface index of the machine's end of the cable."""
        return self.run("cat", "/sys/class/net/eth0/iflink").strip()

    def _link(self, index: str, state: str) -> None:
        """Set the machine's end of the cable up or down, and note when."""
        image = run("docker", "inspect", "--format", "{{.Image}}", self.container).strip()
        script = f'name=$(ip -o link | sed -n "s/^{index}: \\([^@:]*\\).*/\\1/p"); '
        if state == "up":  # one that lost its power meanwhile has a new cable
            script += '[ -z "$name" ] || '
        script += f'ip link set "$name" {state} && date +%s.%N'
        moment = run(
            "docker",
            "run",
            "--rm",
            "--network=host",
            "--cap-add=NET_ADMIN",
            "--entrypoint=/bin/sh",
            image,
            "-c",
            script,
        )
        self._faults.struck = float(moment)

    def part_from(self, others: list[Host]) -> None:
        """Cut the network between this host and others, of which neither hears anything; everybody else is reached."""
        rules = [
            f"{chain} {way} {other.address} -j DROP"
            for other in others
            for chain, way in (("INPUT", "-s"), ("OUTPUT", "-d"))
        ]
        self._undo.append(lambda: self.run("sh", "-c", "; ".join(f"iptables -D {rule}" for rule in rules) + "; true"))
        self.run("sh", "-ec", "; ".join(f"iptables -I {rule}" for rule in rules))

    def kill_unit(self, unit: str) -> None:
        """Kill every process of a systemd unit with SIGKILL; the unit is started again when undone."""
        self._undo.append(lambda: self.run("systemctl", "start", unit))
        self.run("systemctl", "kill", "--kill-whom=all", "--signal=KILL", unit)

    def stop_unit(self, unit: str) -> None:
        """Stop a systemd unit in good order; it is started again when undone."""
        self._undo.append(lambda: self.run("systemctl", "start", unit))
        self.run("systemctl", "stop", unit)

    def sql(self, statement: str) -> str:
        """Run statements on this host's database server as root, and return the rows, tab-separated."""
        client = "$(command -v mariadb || command -v mysql)"
        return self.run("sh", "-c", f'{client} -N -B -e "$1"', "sh", statement)

    def lag(self) -> None:
        """Let the database server of this host apply nothing that it receives; reads go on."""
        self._undo.append(lambda: self.run("systemctl", "stop", "drill-lag"))
        client = "exec $(command -v mariadb || command -v mysql) -e 'FLUSH TABLES WITH READ LOCK; DO SLEEP(600)'"
        self.run("systemd-run", "--collect", "--unit=drill-lag", "sh", "-c", client)

    def small_disk(self, engine: str, spare: int = 64) -> None:
        """Put the database server's data on a small file system of its own, with that many MiB to spare."""
        begin = f"""
            systemctl stop {engine}
            mkdir -p /mnt/drill
            mount -t tmpfs -o "mode=0700,size=$(($(du -sm /var/lib/mysql | cut -f1) + {spare}))m" tmpfs /mnt/drill
            cp -a /var/lib/mysql/. /mnt/drill
            mount --bind /mnt/drill /var/lib/mysql
            systemctl start {engine}"""
        end = f"""
            mountpoint -q /mnt/drill || exit 0
            rm -f /mnt/drill/filler
            systemctl stop {engine}
            umount /var/lib/mysql
            find /var/lib/mysql -mindepth 1 -delete
            cp -a /mnt/drill/. /var/lib/mysql
            umount /mnt/drill
            systemctl start {engine}"""
        self._undo.append(lambda: self.run("sh", "-ec", end, timeout=300))
        self.run("sh", "-ec", begin, timeout=300)

    def fill_disk(self) -> None:
        """Leave no room on that file system."""
        self._undo.append(self.free_disk)
        self.run("sh", "-c", "! dd if=/dev/zero of=/mnt/drill/filler bs=64k 2>/dev/null")

    def free_disk(self) -> None:
        """Let it have room again."""
        self.run("rm", "-f", "/mnt/drill/filler")

    def replace_application(self, name: str, status: int, seconds: float) -> None:
        """Put a server in the application's place that gives every request this answer after that time."""
        units = f"{name}.socket", f"{name}.service"
        stop = "! systemctl -q is-active drill-standin || systemctl stop drill-standin"
        self._undo += [lambda: self.run("systemctl", "start", *units), lambda: self.run("sh", "-c", stop)]
        self.run("systemctl", "stop", *units)
        self.run(
            "systemd-run",
            "--collect",
            "--unit=drill-standin",
            "python3",
            "-c",
            STAND_IN,
            f"/run/{name}/{name}.sock",
            str(status),
            str(seconds),
        )


class Site:
    """The site as its inventory describes it."""

    def __init__(self, inventory: str, url: str | None = None, ca: str | None = None) -> None:
        """Read the inventory.

        :param url: scheme and name under which the client asks; None: the site's name, HTTPS unless the
            inventory says that the site has none.
        :param ca: file on the client host with the CA of the site's certificate; None: the lab's ACME CA.
        """
        self.inventory = inventory
        self.faults = Faults()
        listing = read_inventory(inventory)
        self.variables = listing["_meta"]["hostvars"]

        def members(group: str) -> list[Host]:
            return [Host(name, self.variables[name], self.faults) for name in listing.get(group, {}).get("hosts", [])]

        self.loadbalancers = members("loadbalancers")
        self.webservers = members("webservers")
        self.databases = members("databases")
        self.hosts = [*self.loadbalancers, *self.webservers, *self.databases, *members("monitoring")]
        [self.client] = members("clients")
        shared = self.variables[self.client.name]
        # Who knows about alerts; nobody where the site is not watched.
        self.monitoring = members("monitoring") if shared.get("site_monitoring") else []
        self.engine: str = shared["mysql_engine"]
        self.replication = self.databases if shared.get("mysql_topology", "replication") == "replication" else []
        self.cluster = self.databases if shared.get("mysql_topology") == "cluster" else []
        self.name: str = shared["site_domain"]
        self.app: str = shared.get("app_name", "notes")
        tls = shared.get("site_tls", "acme")
        self.url = url or f"{'http' if tls == 'none' else 'https'}://{self.name}"
        self.ca = ca or (ACME_ROOT if self.url.startswith("https:") else None)
        self.acme_hosts = self.loadbalancers if tls == "acme" else []
        self.vips = [
            str(vip["address"] if isinstance(vip, dict) else vip).split("/")[0] for vip in shared.get("site_vips", [])
        ]
        self.addresses = self.vips or [host.address for host in self.loadbalancers]

    def heal(self) -> None:
        """Undo every fault, the last one first; one that cannot be undone does not keep the others.

        :raises CommandFailedError: with the first failure, after all were tried.
        """
        errors = []
        while self.faults.undo:
            try:
                self.faults.undo[-1]()
            except CommandFailedError as error:
                errors.append(error)
            # Only now: one that Ctrl-C interrupts is taken again.
            self.faults.undo.pop()
        self.faults.struck = None
        if errors:
            raise errors[0]

    def playbook(self, name: str, *options: str, **variables: object) -> None:
        """Run a playbook of this collection on the site, with these variables in place of the inventory's.

        :raises CommandFailedError: when it fails; carries the end of its output.
        """
        run(
            # A real controller is another machine, which takes no CPU time from the site and the client.
            *("nice", "-n", "19"),
            str(Path(sys.executable).with_name("ansible-playbook")),
            "--inventory",
            self.inventory,
            str(ROOT / name),
            *options,
            "--extra-vars",
            json.dumps(variables),
            timeout=1200,
        )

    def until(self, question: Callable[[], object], what: str, limit: float = 60) -> None:
        """Poll until the question is answered with something true.

        :raises CommandFailedError: when that takes longer than `limit` seconds; says `what` was waited for.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            with contextlib.suppress(CommandFailedError):
                if question():
                    return
            time.sleep(0.2)
        raise CommandFailedError(f"after {limit:g} s still waiting: {what}")

    def power_cut(self, first: list[Host], pause: float = 0.0, then: Iterable[Host] = ()) -> None:
        """Cut the power of these hosts at once, and switch the first of them on, and the others after a pause.

        :param pause: in seconds.
        """
        then = list(then)
        with ThreadPoolExecutor(len([*first, *then])) as pool:
            list(pool.map(Host.kill, [*first, *then]))
            list(pool.map(Host.start, first))
            time.sleep(pause)
            list(pool.map(Host.start, then))

    def turn(self) -> None:
        """Let the next run break another web server."""
        self.webservers = [*self.webservers[1:], *self.webservers[:1]]

    def give_back(self, host: Host) -> None:
        """Note that a primary whose place was taken has to be made a replica, once it is there again.

        Call it before the host is broken: what is noted last is undone first.
        """
        self.faults.undo.append(lambda: self.playbook("site.yml", "--tags", "mysql", mysql_reseed_errant=True))
        self.faults.undo.append(
            lambda: self.until(lambda: host.sql("SELECT 1"), f"the database of {host} to answer again", 60)
        )

    # --- Who does what now ------------------------------------------------------------------------
    def vip_owner(self, vip: str | None = None) -> Host:
        """Return the load balancer that holds the address, the first VIP if None.

        :raises CommandFailedError: when none does.
        """
        wanted = vip or self.vips[0]
        for host in self.loadbalancers:
            if host.ask(held=("held", [wanted]))["held"] == [wanted]:
                return host
        raise CommandFailedError(f"no load balancer holds {wanted}")

    def primary(self) -> Host:
        """Return the database host that takes writes.

        :raises CommandFailedError: when none does.
        """
        for host in self.databases:
            if self._role(host)["primary"] == 200:
                return host
        raise CommandFailedError("no database takes writes")

    def replicas(self) -> list[Host]:
        """Return the database hosts that are fit for reads."""
        return [host for host in self.databases if self._role(host)["replica"] == 200]

    def _role(self, host: Host) -> dict[str, Any]:
        return host.ask(
            **{
                role: ("http", {"address": host.address, "port": 9200, "path": f"/{role}"})
                for role in ("primary", "replica")
            }
        )

    def problems(self) -> list[str]:
        """Return what keeps the site from being healthy, an empty list if nothing does.

        Healthy: the site answers at each of its addresses, each load balancer finds each of its servers
        up and runs keepalived, each VIP is held once, one database takes writes and all others serve reads.
        """
        https = self.url.startswith("https:")
        target = {"port": 443 if https else 80, "path": "/readyz", "host": self.name}
        if https:
            target |= {"name": self.name, "ca": self.ca}
        questions = [(self.client, {address: ("http", target | {"address": address}) for address in self.addresses})]
        questions += [
            (
                host,
                {
                    "haproxy": ("haproxy", "/run/haproxy/admin.sock"),
                    "held": ("held", self.vips),
                    "keepalived": ("unit", "keepalived.service"),
                },
            )
            for host in self.loadbalancers
        ]
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda question: question[0].ask(**question[1]), questions))
            roles = dict(zip(self.databases, pool.map(self._role, self.databases), strict=True))

        found = [f"{address} answers {status}" for address, status in answers[0].items() if status != 200]
        for host, answer in zip(self.loadbalancers, answers[1:], strict=True):
            if isinstance(answer["haproxy"], str):
                found.append(f"{host}: {answer['haproxy']}")
            else:
                found += [
                    f"{host}: {server} is {state}" for server, state in answer["haproxy"].items() if state != "UP"
                ]
            # Whoever holds no address is asked too: it is to take over.
            if self.vips and answer["keepalived"] != "active":
                found.append(f"{host}: keepalived is {answer['keepalived']}")
        for vip in self.vips:
            holders = [
                host.name
                for host, answer in zip(self.loadbalancers, answers[1:], strict=True)
                if isinstance(answer["held"], list) and vip in answer["held"]
            ]
            if len(holders) != 1:
                found.append(f"{vip} is held by {' and '.join(holders) or 'none'}")
        primaries = [host.name for host, role in roles.items() if role["primary"] == 200]
        if len(primaries) != 1:
            found.append(f"the databases that take writes are {primaries}, not one")
        found += [
            f"{host}: answers /replica with {role['replica']}"
            for host, role in roles.items()
            if 200 not in role.values()
        ]
        return found

    def rows(self, run_name: str) -> list[str]:
        """Return the text of every note that this run wrote, from the database that takes writes."""
        return self.primary().sql(f"SELECT text FROM notes.notes WHERE text LIKE '{run_name} %'").splitlines()
