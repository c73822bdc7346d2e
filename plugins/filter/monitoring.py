"""Filters that turn the members of the tiers into what Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def targets(tiers: Mapping[str, Iterable[Mapping[str, Any]]], port: int) -> list[dict[str, Any]]:
    """Return a target, as the role ``prometheus`` takes it, for each member of each tier.

    :param tiers: members (records with name and address) by the name of their tier.
    :param port: where each of them answers.
    """
    return [
        {"instance": member["name"], "tier": tier, "target": f"{_host(member['address'])}:{port}"}
        for tier, members in tiers.items()
        for member in members
    ]


def probes(
    members: Iterable[Mapping[str, Any]], vips: Iterable[str], site: str, path: str, *, tls: bool
) -> list[dict[str, Any]]:
    """Return what a blackbox asks for: the site at each virtual address and at each load balancer.

    The label ``probe`` says what: ``https`` (or ``http`` where the site has no TLS) is the site itself, and
    ``redirect`` that HTTP leads there.

    :param members: the load balancers (records with name and address).
    :param vips: virtual addresses; their ``instance`` is the address itself.
    :param site: its name, for the request and for its certificate.
    :param path: what is asked for.
    """
    fronts = [(vip, vip) for vip in vips] + [(member["name"], member["address"]) for member in members]
    asked = [("https", "https"), ("redirect", "http")] if tls else [("http", "http")]
    return [
        {
            "instance": name,
            "tier": "loadbalancers",
            "target": f"{scheme}://{_host(address)}{path}",
            "labels": {"probe": probe, "address": address},
            "params": {"module": probe, "hostname": site},
        }
        for probe, scheme in asked
        for name, address in fronts
    ]


class FilterModule:
    """The filters of ``tandem.web`` about monitoring."""

    def filters(self) -> dict[str, Any]:
        return {"targets": targets, "probes": probes}
