"""Filter that reads a whole inventory and says, in sentences, what would not become a site."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from jinja2.exceptions import TemplateError

REQUIRED_TIERS = ("loadbalancers", "webservers", "databases")
TIERS = (*REQUIRED_TIERS, "monitoring")

# Settings of the site with a fixed vocabulary. Each has a default, so none has to be there.
CHOICES = {
    "mysql_engine": ("mysql", "mariadb"),
    "mysql_topology": ("replication", "cluster"),
    "site_recovery": ("fast", "normal", "wide"),
    "site_balance": ("roundrobin", "leastconn", "source"),
    "site_web_mode": ("active-active", "active-passive"),
    "site_tls": ("acme", "self-signed", "none"),
    "site_vip_provider": ("keepalived", "none"),
}
HIGHEST_WEIGHT = 256
HIGHEST_SERVER_ID = 2**32 - 1
HIGHEST_PORT = 65535

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{LABEL}\.)*(?=[a-z0-9-]*[a-z]){LABEL}", re.IGNORECASE)
DOMAIN = re.compile(rf"(?=.{{1,253}}$)(?:{LABEL}\.)+(?=[a-z]){LABEL}", re.IGNORECASE)
# Reserved for documentation (RFC 2606): nobody's site.
EXAMPLE_DOMAIN = re.compile(r"(?:.*\.)?(?:example\.(?:com|net|org)|example|invalid)", re.IGNORECASE)

PLACEHOLDER = re.compile(r"(?:change|replace)\W*_?me.*|todo|placeholder|secret|password|x+|<.*>", re.IGNORECASE)
SHORTEST_SECRET = 16
NEW_SECRET = "write a long random one, such as 'openssl rand -hex 24' prints"  # noqa: S105 - how to make one


class Inventory:
    """The hosts of the site with their variables; collects what is wrong with them."""

    def __init__(self, groups: Mapping[str, Iterable[str]], hostvars: Mapping[str, Mapping[str, Any]]) -> None:
        self.groups = {name: list(hosts) for name, hosts in groups.items()}
        self.tiers = {tier: self.groups.get(tier, []) for tier in TIERS}
        self.hosts = list(dict.fromkeys(host for tier in TIERS for host in self.tiers[tier]))
        self.hostvars = hostvars
        self.problems: list[str] = []

    def refuse(self, problem: str) -> None:
        """Note a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def knows(self, name: str) -> bool:
        """Whether any host has the variable."""
        return any(name in self.hostvars[host] for host in self.hosts)

    def values(self, name: str, hosts: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the variable by host, for the hosts that have it."""
        found = {}
        failed: dict[str, list[str]] = {}
        for host in self.hosts if hosts is None else hosts:
            try:
                if name in self.hostvars[host]:
                    found[host] = _evaluated(self.hostvars[host][name])
            except (AnsibleError, TemplateError) as error:
                reason = str(error).removeprefix("A captured exception marker was tripped: ").rstrip(".")
                failed.setdefault(reason, []).append(host)
        for reason, unlucky in failed.items():
            self.refuse(f"{name} of {_and(unlucky)} has no value; set what it refers to, or write the value: {reason}.")
        return found

    def each(self, name: str, check: Callable[[Any], str | None]) -> None:
        """Refuse every value of the variable for which `check` says what to write instead."""
        by_value: dict[str, list[str]] = {}
        advice = {}
        for host, value in self.values(name).items():
            if (instead := check(value)) is not None:
                by_value.setdefault(repr(value), []).append(host)
                advice[repr(value)] = instead
        for value, hosts in by_value.items():
            where = "" if hosts == self.hosts else f" on {_and(hosts)}"
            self.refuse(f"{name} is {value}{where}; {advice[value]}.")


def topology_problems(
    groups: Mapping[str, Iterable[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    ports: Mapping[str, Any],
    secrets: Iterable[str],
) -> list[str]:
    """Return one sentence per problem: which variable or host, what was given, what to write.

    :param groups: Ansible's ``groups``.
    :param hostvars: Ansible's ``hostvars``.
    :param ports: the site's ports, by the name of their variable.
    :param secrets: names of the variables that have to hold a secret.
    """
    site = Inventory(groups, hostvars)
    _check_groups(site)
    _check_addresses(site)
    _check_settings(site)
    _check_monitoring(site)
    _check_databases(site)
    _check_backup(site)
    _check_ports(site, ports)
    _check_secrets(site, secrets)
    return site.problems


def _check_groups(site: Inventory) -> None:
    for tier in REQUIRED_TIERS:
        if not site.tiers[tier]:
            state = "is empty" if tier in site.groups else "is missing"
            unknown = [group for group in site.groups if group not in (*TIERS, "all", "ungrouped", "arbitrators")]
            similar = difflib.get_close_matches(tier, unknown, n=1)
            hint = f"rename the group {similar[0]}" if similar else f"put at least one host into {tier}, better two"
            site.refuse(f"The group {tier} {state}; {hint}.")
    for host in site.hosts:
        tiers = [tier for tier in TIERS if host in site.tiers[tier]]
        if len(tiers) > 1:
            site.refuse(f"{host} is in {_and(tiers)}; leave it in one of them, a host has one task.")
        if not HOST_NAME.fullmatch(host):
            site.refuse(
                f"{host} is not a host name, which certificates need; "
                "call the host by a name such as web1, and write its address into ansible_host."
            )


def _check_addresses(site: Inventory) -> None:
    given = site.values("topology_address")
    for host in site.hosts:
        # What cannot be evaluated was refused when it was read.
        if not given.get(host) and "topology_address" not in site.hostvars[host]:
            site.refuse(
                f"{host} has no topology_address; "
                "write the IP address at which the other hosts reach it, such as 10.0.0.21."
            )

    owners: dict[str, list[str]] = {}
    for host, value in given.items():
        address = _address(value)
        if address is None or address.is_loopback or address.is_unspecified:
            site.refuse(
                f"topology_address of {host} is {value!r}; write the IP address at which the other hosts reach it, "
                "such as 10.0.0.21."
            )
        else:
            owners.setdefault(str(address), []).append(host)
    for address, hosts in owners.items():
        if len(hosts) > 1:
            site.refuse(f"topology_address {address} is used by {_and(hosts)}; give each host its own.")
    _check_reached(site)

    for vips in site.values("site_vips", site.tiers["loadbalancers"]).values():
        for vip in vips if isinstance(vips, list) else [vips]:
            written = str(vip.get("address") if isinstance(vip, Mapping) else vip)
            address = _address(written.partition("/")[0])
            if address is None or "/" not in written:
                site.refuse(
                    f"site_vips has {written!r}; list free addresses with their prefix, such as 203.0.113.10/24."
                )
            elif str(address) in owners:
                site.refuse(
                    f"site_vips has {written}, the topology_address of {_and(owners[str(address)])}; "
                    "write an address that no host has."
                )
            elif address.version == 6 and (without := _without_address6(site)):
                site.refuse(
                    f"site_vips has {written}, but {_and(without)} no topology_address6; "
                    "write the IPv6 address at which the other load balancers reach it."
                )


def _check_reached(site: Inventory) -> None:
    """Refuse a machine that is two hosts, by its other addresses."""
    ports = site.values("ansible_port")
    ways: dict[tuple[str, str], list[str]] = {}
    for host, value in site.values("topology_address6").items():
        address = _address(value)
        if value and (address is None or address.version != 6):
            site.refuse(f"topology_address6 of {host} is {value!r}; write an IPv6 address such as 2001:db8::21.")
        elif value:
            ways.setdefault(("topology_address6", str(address)), []).append(host)
    for host, value in site.values("ansible_host").items():
        # One address may lead to several machines, by ports.
        ways.setdefault(("ansible_host", f"{value}:{ports[host]}" if ports.get(host) else str(value)), []).append(host)
    for (variable, way), hosts in ways.items():
        if len(hosts) > 1:
            site.refuse(f"{variable} {way} is used by {_and(hosts)}; give each host its own.")


def _without_address6(site: Inventory) -> list[str]:
    """Return the load balancers that could not talk IPv6 about a virtual address."""
    balancers = site.tiers["loadbalancers"]
    if len(balancers) < 2 or "none" in site.values("site_vip_provider", balancers).values():
        return []
    own = [site.values(name, balancers) for name in ("topology_address", "topology_address6")]
    return [
        host
        for host in balancers
        if not any((address := _address(values.get(host))) and address.version == 6 for values in own)
    ]


def _check_settings(site: Inventory) -> None:
    if site.hosts and not site.knows("site_domain"):
        site.refuse("site_domain is not set; write the name under which clients reach the site.")

    def domain(value: Any) -> str | None:
        if not isinstance(value, str) or not DOMAIN.fullmatch(value):
            return "write a name such as www.your-company.com, without scheme, port or path"
        return "write the name of your own site" if EXAMPLE_DOMAIN.fullmatch(value) else None

    site.each("site_domain", domain)
    for name, choices in CHOICES.items():
        site.each(name, lambda value, known=choices: None if value in known else f"write {_or(known)}")
    site.each("site_weight", lambda value: _whole_number(value, 0, HIGHEST_WEIGHT))


def _check_monitoring(site: Inventory) -> None:
    """The central journal travels by the certificate with which a monitoring host proves itself."""
    if True not in site.values("site_journal").values():
        return
    watched = site.tiers["monitoring"] and True in site.values("site_monitoring").values()
    if not watched or False in site.values("site_metrics_tls").values():
        site.refuse(
            "site_journal is true without monitoring over TLS; put a host into the group monitoring, write "
            "site_monitoring: true and leave site_metrics_tls as it is, or write site_journal: false."
        )


def _check_databases(site: Inventory) -> None:
    members = site.tiers["databases"]
    for name in ("mysql_engine", "mysql_topology"):
        values = site.values(name, members)
        if len(set(map(str, values.values()))) > 1:
            given = _and([f"{value} on {host}" for host, value in values.items()])
            site.refuse(f"{name} is {given}; write one value for all databases, into group_vars/all.")

    clustered = "cluster" in site.values("mysql_topology", members).values()
    galera = clustered and "mariadb" in site.values("mysql_engine", members).values()
    arbitrators = site.groups.get("arbitrators", [])
    voters = [*members, *arbitrators]
    if clustered and members and (len(voters) == 1 or len(voters) % 2 == 0):
        better = f"{max(3, len(members) | 1)} databases" + " and no arbitrator" * bool(arbitrators)
        other = "put a host of another tier into the group arbitrators, " if galera and len(members) == 2 else ""
        site.refuse(
            f"mysql_topology is cluster and {_and(voters)} vote in it, {len(voters)} in all; a majority needs an odd "
            f"number, so make it {better}, {other}or write mysql_topology: replication."
        )
    if arbitrators and not galera:
        site.refuse(
            f"The group arbitrators is {_and(arbitrators)}, which only a Galera cluster has; write "
            "mysql_engine: mariadb and mysql_topology: cluster, or take the group away."
        )
    for host in arbitrators:
        if host in members or host not in site.hosts:
            what = "holds data itself" if host in members else "is in no tier"
            site.refuse(f"{host} of the group arbitrators {what}; put a host of webservers or monitoring there.")
    if len(arbitrators) > 1:
        site.refuse(f"The group arbitrators is {_and(arbitrators)}; one vote beside the databases is enough, keep one.")

    site.each("mysql_server_id", lambda value: _whole_number(value, 1, HIGHEST_SERVER_ID))
    ids = site.values("mysql_server_id", members)
    for server_id, count in Counter(map(str, ids.values())).items():
        if count > 1:
            hosts = [host for host, value in ids.items() if str(value) == server_id]
            site.refuse(
                f"mysql_server_id {server_id} is used by {_and(hosts)}; give each its own, or none: "
                "the address then makes a unique one."
            )


def _check_backup(site: Inventory) -> None:
    def repository(value: Any) -> str | None:
        # The credentials of other kinds of repositories, and their firewall rules, are nobody's here.
        if isinstance(value, str) and re.fullmatch(r"|/.+|sftp://[^@/]+@[^/]+//?.+|s3:.+", value):
            return None
        return (
            "write a path such as /srv/backup, sftp://user@host:22//path, s3:https://host/bucket, "
            'or "" for a site without backups'
        )

    site.each("site_backup_repository", repository)


def _check_ports(site: Inventory, ports: Mapping[str, Any]) -> None:
    users: dict[int, list[str]] = {}
    for name, value in ports.items():
        if (instead := _whole_number(value, 1, HIGHEST_PORT)) is not None:
            site.refuse(f"{name} is {value!r}; {instead}.")
        else:
            users.setdefault(int(value), []).append(name)
    for port, names in users.items():
        if len(names) > 1:
            site.refuse(f"Port {port} is given to {_and(names)}; give each its own.")


def _check_secrets(site: Inventory, required: Iterable[str]) -> None:
    required = list(required)
    others = {name for host in site.hosts for name in site.hostvars[host] if name.startswith("secret_")}
    for name in [*required, *sorted(others.difference(required))]:
        if site.hosts and not site.knows(name):
            site.refuse(f"{name} is not set; {NEW_SECRET}, into an encrypted file of group_vars/all.")
        for value in site.values(name).values():
            # What may be a real secret is never shown.
            if not isinstance(value, str) or not value.strip():
                site.refuse(f"{name} is empty; {NEW_SECRET}.")
            elif PLACEHOLDER.fullmatch(value.strip()):
                site.refuse(f"{name} is still {value!r}; {NEW_SECRET}.")
            elif len(value) < SHORTEST_SECRET:
                site.refuse(f"{name} has {len(value)} characters, fewer than {SHORTEST_SECRET}; {NEW_SECRET}.")


def _evaluated(value: Any) -> Any:
    """Read a value through, so that an undefined variable anywhere in it is noticed now."""
    if isinstance(value, Mapping):
        return {key: _evaluated(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_evaluated(item) for item in value]
    repr(value)  # an undefined value raises as soon as it is used
    return value


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _whole_number(value: Any, lowest: int, highest: int) -> str | None:
    if not isinstance(value, bool) and re.fullmatch(r"\d+", str(value)) and lowest <= int(value) <= highest:
        return None
    return f"write a whole number from {lowest} to {highest}"


def _and(names: Iterable[str]) -> str:
    return _listed(names, "and")


def _or(names: Iterable[str]) -> str:
    return _listed(names, "or")


def _listed(names: Iterable[str], last: str) -> str:
    *head, tail = map(str, names)
    return f"{', '.join(head)} {last} {tail}" if head else tail


class FilterModule:
    """The filters of ``tandem.web`` that check what was given."""

    def filters(self) -> dict[str, Any]:
        return {"topology_problems": topology_problems}
