"""Filter that gives each host its part of the site's table of who may reach what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def firewall_rules(table: Iterable[Mapping[str, Any]], host: str) -> list[dict[str, Any]]:
    """Return the rules of one host, as the role ``ufw`` takes them.

    :param table: records as ``ufw_rules`` has them, each with ``hosts``: the members (records with a name) it is for.
    """
    return [
        {key: value for key, value in rule.items() if key != "hosts"}
        for rule in table
        if host in (member["name"] for member in rule["hosts"])
    ]


class FilterModule:
    """The filters of ``tandem.web`` about the firewall."""

    def filters(self) -> dict[str, Any]:
        return {"firewall_rules": firewall_rules}
