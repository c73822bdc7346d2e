"""Filter that turns virtual addresses and load balancers into VRRP instances."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

# The preferred owner's priority; each further load balancer is one below. 255 is reserved by the protocol, and the
# lower it is, the longer a backup waits beyond three advertisements (up to one more).
HIGHEST_PRIORITY = 254


def vrrp_instances(
    vips: Iterable[str | Mapping[str, Any]], members: list[Mapping[str, str]], name: str, first_router_id: int
) -> list[dict[str, Any]]:
    """Return the VRRP instances of the load balancer ``name``, one per virtual address.

    The n-th address of a family prefers the n-th load balancer, and after it the others in turn. So
    one address is active-passive, two or more are spread, and an IPv4 address and its IPv6 sibling
    stay together.

    :param vips: ``address/prefix``, or records of ``address`` and optionally ``interface`` and ``router_id``.
    :param members: the load balancers in order of preference: ``name``, ``address`` and optionally ``address6``.
    :param first_router_id: virtual router id of the first address; the others count on from it.
    """
    names = [member["name"] for member in members]
    if name not in names:
        raise AnsibleFilterError(f"{name} is not one of the load balancers: {', '.join(names)}")

    instances: list[dict[str, Any]] = []
    for index, vip in enumerate(vips):
        record = {"address": vip} if isinstance(vip, str) else dict(vip)
        interface = _interface(record["address"])
        preferred = sum(1 for other in instances if other["version"] == interface.version) % len(members)
        rank = (names.index(name) - preferred) % len(members)
        instances.append(
            {
                "address": str(interface.ip),
                "cidr": str(interface),
                "version": interface.version,
                "interface": record.get("interface", ""),
                "router_id": int(record.get("router_id", first_router_id + index)),
                "priority": HIGHEST_PRIORITY - rank,
                "preferred": rank == 0,
                "source": _source(members[names.index(name)], interface.version),
                "peers": [_source(member, interface.version) for member in members if member["name"] != name],
            }
        )

    router_ids = [instance["router_id"] for instance in instances]
    if len(set(router_ids)) != len(router_ids) or not all(1 <= router_id <= 255 for router_id in router_ids):
        raise AnsibleFilterError(f"virtual router ids must be distinct and 1 to 255, not {router_ids}")
    return instances


def _interface(address: str) -> Interface:
    try:
        return ipaddress.ip_interface(address)
    except ValueError as error:
        raise AnsibleFilterError(f"virtual address {address!r} is not ADDRESS/PREFIX: {error}") from error


def _source(member: Mapping[str, str], version: int) -> str:
    """Return the load balancer's own address of the given IP version."""
    for key in ("address", "address6"):
        if member.get(key) and ipaddress.ip_address(member[key]).version == version:
            return member[key]
    raise AnsibleFilterError(
        f"{member['name']} has no IPv{version} address, which a virtual IPv{version} address needs"
        + (" (declare topology_address6)" if version == 6 else "")
    )


class FilterModule:
    """The filters of ``tandem.web`` about VRRP."""

    def filters(self) -> dict[str, Any]:
        return {"vrrp_instances": vrrp_instances}
