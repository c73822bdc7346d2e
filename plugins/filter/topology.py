"""Filters that turn the inventory's groups into the records that roles take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def members(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], **extra: str) -> list[dict[str, Any]]:
    """Return one record per host, in the given order: its name, its address, and what was asked for.

    :param hosts: inventory names, as in ``groups.webservers``.
    :param hostvars: Ansible's ``hostvars``; each host declares ``topology_address`` there (an IP address).
    :param extra: more keys of the record, each with the name of the host variable it is read from;
        a host that does not set the variable has no such key.
    :raises KeyError: when a host declares no address; ``playbooks/check.yml`` says so before.

    Ansible renders another host's variables anew each time it is asked, and a firewall's rules ask a hundred times.
    They are the inventory's, which stays the same during a run: so each question is answered once in a process.
    """
    hosts = tuple(hosts)
    question = hosts, tuple(sorted(extra.items()))
    asked, known = _ANSWERS.get(question, (None, []))
    if asked is not hostvars:
        known = list(_members(hosts, hostvars, extra))
        _ANSWERS[question] = hostvars, known
    return [dict(record) for record in known]


# By question: the ``hostvars`` it was asked of, and the answer.
_ANSWERS: dict[Any, tuple[Any, list[dict[str, Any]]]] = {}


def _members(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], extra: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    for host in hosts:
        variables = hostvars[host]
        record = {"name": host, "address": variables["topology_address"]}
        record |= {key: variables[variable] for key, variable in extra.items() if variable in variables}
        yield record


def addresses(vips: Iterable[str | Mapping[str, Any]]) -> list[str]:
    """Return the bare addresses of virtual addresses.

    :param vips: ``address/prefix`` each, or records with such an ``address``, as in ``site_vips``.
    """
    return [(vip if isinstance(vip, str) else vip["address"]).split("/")[0] for vip in vips]


def endpoint(address: str, port: int) -> str:
    """Return an IP address and a port as one word, the IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def milliseconds(duration: str) -> int:
    """Return a time in HAProxy's words (``500ms``, ``2s``, ``1.5s``, ``1m``, or a number of ms) in milliseconds.

    :raises ValueError: when it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", duration.strip())
    if not match:
        raise ValueError(f"{duration!r} is no time; write one such as 500ms, 2s or 1m")
    return int(float(match[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[match[2] or "ms"])


class FilterModule:
    """The filters of ``tandem.web`` about the topology."""

    def filters(self) -> dict[str, Any]:
        return {"members": members, "addresses": addresses, "endpoint": endpoint, "milliseconds": milliseconds}
