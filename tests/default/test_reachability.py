"""Who reaches what: every host is scanned from every other one, and all of it compared with the topology.

A port that the firewall lets through answers, by a connection or by a refusal; one that it does not
lets through is silent. So the whole matrix can be told, whether something listens there or not.
"""

import itertools
import json
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from plugins.module_utils import ufw
from tests.support.inventory import read_inventory

ROOT = Path(__file__).parents[2]
# Ports of nobody, or of services that are no business of other hosts; those in use are added.
ALWAYS = {"tcp": {7, 22, 111, 4567, 8404, 9100, 33060, 33061}, "udp": {53, 123, 443, 5353}}
# Who needs what, as docs/security.md has it: written down here, where the rules are computed from the inventory.
TIERS = ("loadbalancers", "webservers", "databases", "monitoring")
ANYBODY = (*TIERS, "clients")
NEEDED = [
    *((tier, "tcp", [22], ANYBODY) for tier in TIERS),
    *((tier, "tcp", [9100], ["monitoring"]) for tier in TIERS),
    ("loadbalancers", "tcp", [80, 443], ANYBODY),
    ("loadbalancers", "tcp", [8402, 10000], ["loadbalancers"]),
    ("loadbalancers", "vrrp", ["any"], ["loadbalancers"]),
    ("loadbalancers", "tcp", [8405], ["monitoring"]),
    ("webservers", "tcp", [8443], ["loadbalancers"]),
    ("webservers", "tcp", [8405, 9113, 9117], ["monitoring"]),
    ("databases", "tcp", [3306, 9200], ["webservers", "databases"]),
    ("databases", "tcp", [9201], ["databases"]),
    ("databases", "tcp", [9104], ["monitoring"]),
    ("monitoring", "tcp", [9443], ANYBODY),
    ("monitoring", "tcp", [2022], ["databases"]),
]
NEEDED_BY_CLUSTER = {
    "mysql": ("databases", "tcp", [33061], ["databases"]),
    "mariadb": ("databases", "tcp", [4444, 4567, 4568], ["databases"]),
}
SILENT = ("filtered", "open|filtered", "no-response")


@dataclass(frozen=True)
class Way:
    """One cell of the matrix."""

    source: str
    target: str
    family: str
    protocol: str
    port: int


class Site:
    """All hosts of the inventory: those of the site have rules, the others (clients) only look at them."""

    def __init__(self, inventory: str) -> None:
        groups = read_inventory(inventory)
        self.variables = groups["_meta"]["hostvars"]
        self.tiers = {name: tier for tier in ANYBODY for name in groups[tier]["hosts"]}
        self.hosts = {name: testinfra.get_host(f"docker://{v['ansible_host']}") for name, v in self.variables.items()}
        # As a play sees them, which is what the role ufw gets.
        command = ["ansible", "-i", inventory, "--playbook-dir", "playbooks", "all", "--one-line"]
        command += ["-m", "ansible.builtin.debug", "-a", "var=ufw_rules"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        results = dict(line.split(" | SUCCESS => ") for line in answer.stdout.splitlines())
        records = {name: json.loads(results[name])["ufw_rules"] for name in self.hosts}
        self.rules = {name: ufw.declared(map(_complete, rules)) for name, rules in records.items() if rules}

    def address(self, name: str, family: str) -> str:
        return self.variables[name]["topology_address" if family == "IPv4" else "topology_address6"]

    def ports(self) -> dict[str, set[int]]:
        """Return what listens anywhere in the site, what is declared, and some ports that should be nobody's."""
        ports = {protocol: set(numbers) for protocol, numbers in ALWAYS.items()}
        for name, rules in self.rules.items():
            for protocol, option in (("tcp", "-t"), ("udp", "-u")):
                sockets = self.hosts[name].check_output("ss -H -l -n %s", option).splitlines()
                ports[protocol] |= {int(line.split()[3].rpartition(":")[2]) for line in sockets}
                ports[protocol] |= {
                    int(port)
                    for rule in rules
                    if rule.protocol == protocol and rule.direction == "in"
                    for port in rule.ports.split(",")
                }
        return ports

    def allowed(self, way: Way) -> bool:
        return ufw.admits(self.rules[way.target], self.address(way.source, way.family), way.port, way.protocol)


def _complete(record: dict) -> dict:
    defaults = {"action": "allow", "direction": "in", "protocol": "tcp", "ports": []}
    return defaults | {"sources": ["any"], "destinations": ["any"]} | record


def test_rules_are_what_each_tier_needs(site: Site) -> None:
    wanted = [*NEEDED, NEEDED_BY_CLUSTER[site.variables["db1"]["mysql_engine"]]]
    wrong = []
    for target, rules in site.rules.items():
        needed = {
            (protocol, str(port)): sources
            for tier, protocol, ports, sources in wanted
            for port in ports
            if tier == site.tiers[target]
        }
        declared = {(rule.protocol, port) for rule in rules if rule.direction == "in" for port in rule.ports.split(",")}
        wrong += [f"{target} {each}" for each in declared ^ needed.keys()]
        for source, ((protocol, port), tiers) in itertools.product(site.tiers, needed.items()):
            number = 0 if port == "any" else int(port)
            if ufw.admits(rules, site.address(source, "IPv4"), number, protocol) != (site.tiers[source] in tiers):
                wrong.append(f"{source} to {target} {protocol} {port}")
    assert wrong == []


def scan(site: Site, source: str, family: str, protocol: str, ports: set[int]) -> Iterator[tuple[Way, str]]:
    """Scan the site's other hosts from one, and say in which state each port seems to be."""
    targets = {site.address(name, family): name for name in site.rules if name != source}
    options = ["-sS" if protocol == "tcp" else "-sU", *(["-6"] if family == "IPv6" else [])]
    command = ["nmap", "-n", "-Pn", "--reason", "--max-retries", "2", "--min-rate", "100", "-oX", "-", *options]
    command += ["-p", ",".join(map(str, sorted(ports))), *targets]
    answer = site.hosts[source].check_output(" ".join(command))
    for host in ET.fromstring(answer).iter("host"):  # noqa: S314 - nmap's, of our own hosts
        target = targets[host.find("address[@addrtype!='mac']").get("addr")]
        states = [(port.get("portid"), port.find("state").get("state")) for port in host.iter("port")]
        # Many ports in the same state are one element.
        states += [
            (number, ports.get("state"))
            for ports in host.iter("extraports")
            for reason in ports.iter("extrareasons")
            for number in numbers(reason.get("ports"))
        ]
        for number, state in states:
            yield Way(source, target, family, protocol, int(number)), state


def numbers(ports: str) -> Iterator[int]:
    """Read nmap's way to write ports: `7,22,4567-4568`."""
    for part in ports.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def picture(site: Site, seen: dict[Way, str], ports: dict[str, set[int]]) -> str:
    """Return the matrix: for each target and port, who reaches it."""
    lines = []
    for target in site.rules:
        for protocol, numbers in ports.items():
            for port in sorted(numbers):
                ways = [way for way in seen if (way.target, way.protocol, way.port) == (target, protocol, port)]
                for family in sorted({way.family for way in ways}):
                    reached = [way for way in ways if way.family == family and seen[way] not in SILENT]
                    if reached:
                        states = ", ".join(f"{way.source} ({seen[way]})" for way in reached)
                        lines.append(f"{target:8} {protocol} {port:5} {family}  from {states}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Site:
    site = Site(request.config.option.ansible_inventory)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(install_scanner, site.hosts.values()))
    return site


def install_scanner(host: Host) -> None:
    """Install nmap, which is the test's and not the site's."""
    if not host.exists("nmap"):
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends nmap")


def test_every_way_is_as_open_or_closed_as_the_topology_says(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    ports = site.ports()
    families = [family for family in ("IPv4", "IPv6") if site.address(next(iter(site.rules)), family)]
    with ThreadPoolExecutor(4) as pool:
        scans = [
            pool.submit(lambda *what: list(scan(*what)), site, source, family, protocol, numbers)
            for source in site.hosts
            for family in families
            for protocol, numbers in ports.items()
        ]
        seen = dict(result for future in scans for result in future.result())
    with capsys.disabled():
        print(f"\nWho reaches what:\n{picture(site, seen, ports)}")

    # A UDP service that does not answer an empty packet is as silent as a closed port.
    surprises = [
        f"{way.source} to {way.target}, {way.family} {way.protocol} {way.port}: {state}, but should be "
        + ("let through" if site.allowed(way) else "silent")
        for way, state in seen.items()
        if site.allowed(way) != (state not in SILENT) and not (way.protocol == "udp" and site.allowed(way))
    ]
    assert not surprises, "\n".join(surprises)
    pairs = sum(source != target for source in site.hosts for target in site.rules)
    expected = pairs * len(families) * sum(map(len, ports.values()))
    assert len(seen) == expected, f"only {len(seen)} of {expected} ways were seen"


# Ten advertisements of a stranger, with the highest priority there is.
ADVERTISE = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
for _ in range(10):
    s.sendto({packet!r}, ({to!r}, 0))
"""
# Whose advertisements arrive in three seconds.
HEAR = """
import socket, time
s, end, heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112), time.monotonic() + 3, set()
s.settimeout(0.2)
while time.monotonic() < end:
    try:
        heard.add(s.recvfrom(100)[1][0])
    except TimeoutError:
        pass
print(*heard)
"""


def test_only_load_balancers_have_a_say_in_who_holds_the_virtual_address(site: Site) -> None:
    vip = site.variables["lb1"]["site_vips"][0].split("/")[0]
    holder, backup = sorted(
        ("lb1", "lb2"), key=lambda name: f" {vip}/" not in site.hosts[name].check_output("ip -o addr")
    )
    to = site.address(backup, "IPv4")
    packet = bytes([0x31, 1, 255, 1, 0, 20, 0, 0]) + socket.inet_aton(vip)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(site.hosts[backup].check_output, "python3 -c %s", HEAR)
        while not heard.done():
            site.hosts["web1"].check_output("python3 -c %s", ADVERTISE.format(packet=packet, to=to))
    assert heard.result().split() == [site.address(holder, "IPv4")]
