"""Filters that turn the inventory's groups into the records that roles take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def members(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], **extra: str) -> list[dict[str, Any]]:
    """Return one record per host, in the given order: its name, its address, and what was asked for.

    :param hosts: inventory names, as in ``groups.webservers``.
    :param hostvars: Ansible's ``hostvars``; each host declares ``topology_address`` there (an IP address).
    :param extra: more keys of the record, each with the name of the host variable it is read from;
        a host that does not set the variable has no such key.
    :raises KeyError: when a host declares no address; ``playbooks/check.yml`` says so before.
    """
    records = []
    for host in hosts:
        variables = hostvars[host]
        record = {"name": host, "address": variables["topology_address"]}
        record |= {key: variables[variable] for key, variable in extra.items() if variable in variables}
        records.append(record)
    return records


def addresses(vips: Iterable[str | Mapping[str, Any]]) -> list[str]:
    """Return the bare addresses of virtual addresses.

    :param vips: ``address/prefix`` each, or records with such an ``address``, as in ``site_vips``.
    """
    return [(vip if isinstance(vip, str) else vip["address"]).split("/")[0] for vip in vips]


class FilterModule:
    """The filters of ``tandem.web`` about the topology."""

    def filters(self) -> dict[str, Any]:
        return {"members": members, "addresses": addresses}
