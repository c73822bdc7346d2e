"""Which alerts a drill makes fire, and how soon: those that it names must, and no others may, unless it says so."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hosts import Host

ALWAYS = frozenset({"Watchdog", "WebServerFlaps"})
"""The one fires on a healthy site, as it should; the other when many drills follow one another."""
FIRING = 'min by (alertname) (min_over_time(timestamp(ALERTS{alertstate="firing"})[%ds:1s]))'
"""When each alert fired first within so many seconds."""
ASK = """
import sys, urllib.parse, urllib.request
query = urllib.parse.urlencode({"query": sys.argv[1]})
print(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/query?" + query, timeout=10).read().decode())
"""


@dataclasses.dataclass(frozen=True)
class Alerts:
    """What a drill expects of a site that is watched."""

    fire: tuple[str, ...] = ()
    """These must fire while the fault lasts, ..."""
    within: float = 60.0
    """... all of them within so many seconds of it."""
    may: tuple[str, ...] = ()
    """These may, as it depends on who is hit, or on how long the fault lasts. Any other must not, ..."""
    any_other: bool = False
    """... unless so much is lost at once that none is a surprise."""

    def judge(self, fired: dict[str, float]) -> list[str]:
        """Return what is wrong with the alerts that fired.

        :param fired: seconds from the fault by name.
        """
        problems = []
        for name in self.fire:
            if name not in fired:
                problems.append(f"the alert {name} did not fire")
            elif fired[name] > self.within:
                problems.append(f"the alert {name} fired after {fired[name]:.0f} s, allowed are {self.within:g} s")
        surprises = sorted(set(fired) - set(self.fire) - set(self.may) - ALWAYS)
        if surprises and not self.any_other:
            problems.append(f"alerts that have nothing to do with it fired: {', '.join(surprises)}")
        return problems


class Prometheus:
    """The site's own, asked on its host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def firing(self, seconds: float) -> dict[str, float]:
        """Return when each alert fired first within the last seconds; Unix seconds by name.

        :raises CommandFailedError: when Prometheus does not answer.
        """
        answer = json.loads(self._host.run("python3", "-c", ASK, FIRING % max(1, round(seconds)), timeout=20))
        return {each["metric"]["alertname"]: float(each["value"][1]) for each in answer["data"]["result"]}

    def known(self, names: tuple[str, ...], limit: float = 60) -> set[str]:
        """Return what fires already, as soon as none of these alerts does, or `limit` seconds are over."""
        until = time.time() + limit
        while (firing := set(self.firing(1))) & set(names) and time.time() < until:
            time.sleep(1)
        return firing

    def wait_for(self, names: tuple[str, ...], since: float, limit: float, hold: Callable[[float], None]) -> None:
        """Wait until all these alerts fire, or `limit` seconds are over since the fault."""
        while time.time() < since + limit and not set(names) <= set(self.firing(time.time() - since)):
            hold(1.0)


# What else follows from a fault, depending on how long it lasts and on how many hosts there are.
MAY_WEB = ("HostDown", "TargetDown", "UnitFailed", "WebServersDegraded", "NginxDown")
MAY_LB = ("AddressUnreachable", "RedirectBroken", "TargetDown", "VirtualAddressUnprotected", "LoadBalancersDegraded")
MAY_DB = (
    "BackupFailed",
    "DatabaseDown",
    "DatabasesDegraded",
    "LastDatabase",
    "NoSemiSync",
    "ReplicationBroken",
    "TargetDown",
)
MAY_PRIMARY = (*MAY_DB, "ApplicationWaitsForDatabase", "NoPrimary", "NoWayToWrites", "UnitFailed")
MAY_CLUSTER = ("HostDown", "QuorumAtRisk", *MAY_PRIMARY)
