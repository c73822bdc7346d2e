"""ufw's rules as data: from declared records to the files ufw reads, and back.

Nothing here touches a host; the module ufw_ruleset does. The text is what ufw itself writes, so that
`ufw status` and the other commands keep working on it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# The comment of a rule that was declared begins so; any other rule was added by hand.
OURS = "tandem: "
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
MOST_PORTS = 15  # of one multiport match; a range counts twice
TUPLE = "### tuple ### "
BEGIN, END = "### RULES ###\n", "### END RULES ###\n"


class RuleError(Exception):
    """A declared rule that means nothing."""


@dataclass(frozen=True)
class Rule:
    """One rule of one IP family, with ufw's words."""

    action: str
    protocol: str
    ports: str
    destination: str
    source: str
    direction: str
    comment: str = ""
    version: int = 4
    interface: str = ""

    @property
    def ours(self) -> bool:
        return self.comment.startswith(OURS)

    def __str__(self) -> str:
        words = [self.action, self.direction]
        if self.protocol != "any" or self.ports != "any":
            words.append(self.protocol + ("" if self.ports == "any" else f" {self.ports}"))
        for word, address in (("from", self.source), ("to", self.destination)):
            if address != ANYWHERE[self.version]:
                words += [word, address]
        if ANYWHERE[self.version] in (self.source, self.destination) and self.version == 6:
            words.append("(v6)")
        return " ".join(words) + (f"  # {self.comment}" if self.comment else "")

    def lines(self) -> list[str]:
        """Return the rule as ufw writes it: its tuple, and what iptables-restore reads."""
        comment = f" comment={self.comment.encode().hex()}" if self.comment else ""
        suffix = "6" if self.version == 6 else ""
        chain = f"ufw{suffix}-user-{'input' if self.direction == 'in' else 'output'}"
        match = f"-A {chain} -p {self.protocol}"
        if self.ports != "any":
            several = re.search("[,:]", self.ports)
            match += f" -m multiport --dports {self.ports}" if several else f" --dport {self.ports}"
        if self.destination != ANYWHERE[self.version]:
            match += f" -d {self.destination}"
        if self.source != ANYWHERE[self.version]:
            match += f" -s {self.source}"
        if self.action == "limit":
            new = f"{match} -m conntrack --ctstate NEW -m recent"
            jumps = [
                f"{new} --set",
                f"{new} --update --seconds 30 --hitcount 6 -j ufw{suffix}-user-limit",
                f"{match} -j ufw{suffix}-user-limit-accept",
            ]
        else:
            jumps = [f"{match} -j {'ACCEPT' if self.action == 'allow' else 'DROP'}"]
        head = [self.action, self.protocol, self.ports, self.destination, "any", self.source, self.direction]
        return [f"{TUPLE}{' '.join(head)}{comment}", *jumps]


def declared(records: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Return the rules that records ask for, one per family and pair of addresses, each once.

    A record whose list of sources or destinations is empty opens nothing.
    """
    rules: dict[Rule, None] = {}
    for record in records:
        ports = _ports(record)
        for source in record["sources"]:
            for destination in record["destinations"]:
                for version in _versions(source, destination, record):
                    rule = Rule(
                        record["action"],
                        record["protocol"],
                        ports,
                        _address(destination, version),
                        _address(source, version),
                        record["direction"],
                        OURS + record["comment"],
                        version,
                    )
                    rules[rule] = None
    return list(rules)


def _ports(record: Mapping[str, Any]) -> str:
    ports = [str(port) for port in record["ports"]]
    for port in ports:
        numbers = port.split(":")
        if not (re.fullmatch(r"\d+(:\d+)?", port) and all(1 <= int(number) <= 65535 for number in numbers)):
            raise RuleError(f"rule {record['comment']!r}: {port!r} is neither a port nor a range FIRST:LAST")
    if ports and record["protocol"] not in ("tcp", "udp"):
        raise RuleError(f"rule {record['comment']!r}: protocol {record['protocol']} has no ports")
    if not ports and record["protocol"] in ("tcp", "udp"):
        raise RuleError(f"rule {record['comment']!r}: name its {record['protocol']} ports")
    if sum(port.count(":") + 1 for port in ports) > MOST_PORTS:
        raise RuleError(f"rule {record['comment']!r}: more than {MOST_PORTS} ports; make it two rules")
    return ",".join(ports) or "any"


def _network(address: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(address, strict=False)


def _versions(source: str, destination: str, record: Mapping[str, Any]) -> list[int]:
    try:
        versions = {_network(address).version for address in (source, destination) if address != "any"}
    except ValueError as error:
        raise RuleError(f"rule {record['comment']!r}: {error}") from error
    # Between the families there is nothing to open.
    return [] if len(versions) == 2 else sorted(versions or {4, 6})


def _address(address: str, version: int) -> str:
    if address == "any":
        return ANYWHERE[version]
    network = _network(address)
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def blocks(text: str) -> list[str]:
    """Return the rules of a file as ufw wrote them, one block of lines each."""
    body = text.partition(BEGIN)[2].partition(END)[0]
    return [TUPLE + block.strip() for block in body.split(TUPLE)[1:]]


def parsed(block: str, version: int) -> Rule:
    """Return the rule of a block."""
    words = block.splitlines()[0].removeprefix(TUPLE).split()
    comment = ""
    if words[-1].startswith("comment="):
        comment = bytes.fromhex(words.pop().removeprefix("comment=")).decode(errors="replace")
    action, protocol, ports, destination, _, source, direction = (*words[:6], words[-1])
    direction, _, interface = direction.partition("_")
    return Rule(action, protocol, ports, destination, source, direction, comment, version, interface)


def by_hand(text: str, version: int) -> tuple[list[str], list[str]]:
    """Return the blocks of a file that nobody declared: those before the first declared one, and the others."""
    everything = blocks(text)
    ours = [parsed(block, version).ours for block in everything]
    first = ours.index(True) if True in ours else len(ours)
    return everything[:first], [block for block, declared in zip(everything, ours, strict=True) if not declared][first:]


def render(text: str, rules: Iterable[Rule], before: Iterable[str] = (), after: Iterable[str] = ()) -> str:
    """Return the file with these rules, and blocks to keep before and after them, in place of the ones it has."""
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    body = [*before, *("\n".join(rule.lines()) for rule in rules), *after]
    return head + BEGIN + "".join(f"\n{block}\n" for block in body) + "\n" + END + tail


def admits(rules: Iterable[Rule], source: str, port: int, protocol: str = "tcp") -> bool:
    """Tell whether new connections from an address to a port get in. As in ufw, the first match decides."""
    address = ipaddress.ip_address(source)
    if address.is_loopback:
        return True
    for rule in rules:
        if (
            not rule.action.startswith("route:")
            and rule.direction == "in"
            and rule.version == address.version
            and rule.protocol in (protocol, "any")
            and address in _network(rule.source)
            and _covers(rule.ports, port)
        ):
            if rule.action.partition("_")[0] not in ("allow", "limit"):  # or allow_log
                return False
            # Which interface the connection comes by is not known here, so such a rule is no promise.
            if not rule.interface and rule.destination == ANYWHERE[rule.version]:
                return True
    return False


def _covers(ports: str, port: int) -> bool:
    if ports == "any":
        return True
    ranges = ([int(number) for number in part.split(":")] for part in ports.split(","))
    return any(numbers[0] <= port <= numbers[-1] for numbers in ranges)


def policies(text: str, outgoing: str) -> str:
    """Return /etc/default/ufw with the policies: nothing comes in, and going out is allowed or not."""
    values = {
        "IPV6": "yes",
        "DEFAULT_INPUT_POLICY": '"DROP"',
        "DEFAULT_OUTPUT_POLICY": f'"{verdict(outgoing)}"',
    }
    for name, value in values.items():
        text, found = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        text += "" if found else f"{name}={value}\n"
    return text


def verdict(policy: str) -> str:
    return "ACCEPT" if policy == "allow" else "DROP"


def transaction(text: str, outgoing: str, version: int) -> str:
    """Return what `iptables-restore --noflush` needs to put a file's rules in force as one change.

    Naming a chain empties it, all within the one commit. Outgoing policy is spread over three places.
    """
    name = f"ufw{'6' if version == 6 else ''}"
    lines = [
        ":INPUT DROP [0:0]",
        f":OUTPUT {verdict(outgoing)} [0:0]",
        f":{name}-skip-to-policy-output - [0:0]",
        f":{name}-track-output - [0:0]",
        f"-A {name}-skip-to-policy-output -j {verdict(outgoing)}",
    ]
    if outgoing == "allow":
        lines += [
            f"-A {name}-track-output -p {protocol} -m conntrack --ctstate NEW -j ACCEPT" for protocol in ("tcp", "udp")
        ]
    return text.rstrip().removesuffix("COMMIT") + "\n".join(lines) + "\nCOMMIT\n"
