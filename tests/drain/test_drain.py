"""A change is rolled: one server at a time, out of rotation, and no further than the first that stays sick."""

import csv
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.http import get
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def balancers(request: pytest.FixtureRequest) -> list[str]:
    """Return the addresses of both load balancers."""
    variables = read_inventory(request.config.option.ansible_inventory)["_meta"]["hostvars"]
    return [variables[name]["topology_address"] for name in ("lb1", "lb2")]


@pytest.fixture
def converge(request: pytest.FixtureRequest) -> Any:
    """Run the scenario's play again; return its exit status and output."""

    def run(**variables: Any) -> tuple[int, str]:
        done = play(request.config.option.ansible_inventory, "molecule/drain/converge.yml", timeout=300, **variables)
        return done.returncode, done.stdout

    return run


def states(balancer: str) -> dict[str, str]:
    rows = csv.DictReader(get("http://lb:8404/stats;csv", address=balancer).body.lstrip("# ").splitlines())
    return {
        row["svname"]: row["status"] for row in rows if row["pxname"] == "web" and row["svname"] in ("web1", "web2")
    }


def answers(balancers: list[str]) -> set[str]:
    return {get("http://lb/text", address=balancer).body for balancer in balancers for _ in range(6)}


def drained(balancer: str) -> set[str]:
    return {name for name, state in states(balancer).items() if state.startswith("DRAIN")}


@dataclass
class Watched:
    """What was seen of a site meanwhile."""

    failed: list[int] = field(default_factory=list)
    """Answers that were none."""
    everywhere: list[set[str]] = field(default_factory=list)
    """Which servers were drained on both load balancers, one after the other."""
    anywhere: list[set[str]] = field(default_factory=list)
    """Which were drained on either."""

    def look(self, balancers: list[str]) -> None:
        for balancer in balancers:
            status = get("http://lb/text", address=balancer, expect=None).status
            self.failed += [status] if status != 200 else []
        out = [drained(balancer) for balancer in balancers]
        for seen, now in ((self.everywhere, set.intersection(*out)), (self.anywhere, set.union(*out))):
            if not seen or seen[-1] != now:
                seen.append(now)


@contextmanager
def watched(balancers: list[str]) -> Iterator[Watched]:
    """Ask the site all the time, and note which servers are drained meanwhile."""
    over, seen = threading.Event(), Watched()

    def watch() -> None:
        while not over.wait(0.05):
            seen.look(balancers)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield seen
        finally:
            over.set()
        watching.result()


def test_change_is_rolled_one_drained_server_at_a_time(balancers: list[str], converge: Any) -> None:
    with watched(balancers) as seen:
        status, _ = converge(text="second")
    assert status == 0
    assert seen.failed == []
    assert [out for out in seen.everywhere if out] == [{"web1"}, {"web2"}]
    assert all(len(out) <= 1 for out in seen.anywhere)
    assert answers(balancers) == {"web1 second", "web2 second"}


def test_run_that_changes_nothing_drains_nobody(balancers: list[str], converge: Any) -> None:
    with watched(balancers) as seen:
        _, output = converge(text="second")
    assert "changed=0" in output
    assert seen.anywhere == [set()]


def test_server_that_stays_sick_stops_the_run_and_the_next_one_is_untouched(
    balancers: list[str], converge: Any
) -> None:
    with watched(balancers) as seen:
        status, output = converge(text="third", health=500)
    assert status != 0
    assert "web/web1 stays drained: after 5 s its health check still says L7STS" in output
    assert seen.failed == []
    assert answers(balancers) == {"web2 second"}

    # The next run, with the mistake corrected, puts it back.
    status, _ = converge(text="third")
    assert status == 0
    wait_until(lambda: answers(balancers) == {"web1 third", "web2 third"}, 30, "both servers in rotation")


def test_server_that_a_lost_run_left_drained_is_put_back(balancers: list[str], converge: Any, request: Any) -> None:
    inventory = request.config.option.ansible_inventory
    drain = ["ansible", "lb2", "-i", inventory, "-m", "tandem.web.haproxy_server"]
    subprocess.run([*drain, "-a", "backend=web server=web2 state=drained"], check=True, capture_output=True)
    assert states(balancers[1])["web2"].startswith("DRAIN")
    assert converge(text="third")[0] == 0
    assert [states(balancer)["web2"] for balancer in balancers] == ["UP", "UP"]
