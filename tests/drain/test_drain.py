"""A change is rolled: one server at a time, out of rotation, and no further than the first that stays sick."""

import csv
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import get
from tests.support.inventory import read_inventory
from tests.support.wait import wait_until

CONVERGE = Path(__file__).parents[2] / "molecule/drain/converge.yml"


@pytest.fixture(scope="module")
def balancer(request: pytest.FixtureRequest) -> str:
    inventory = read_inventory(request.config.option.ansible_inventory)
    return inventory["_meta"]["hostvars"]["lb1"]["topology_address"]


@pytest.fixture
def converge(request: pytest.FixtureRequest) -> Any:
    """Run the scenario's play again; return its exit status and output."""

    def run(**variables: Any) -> tuple[int, str]:
        command = ["ansible-playbook", "-i", request.config.option.ansible_inventory, str(CONVERGE)]
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)], capture_output=True, text=True, check=False, timeout=300
        )
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout

    return run


def states(balancer: str) -> dict[str, str]:
    rows = csv.DictReader(get("http://lb:8404/stats;csv", address=balancer).body.lstrip("# ").splitlines())
    return {
        row["svname"]: row["status"] for row in rows if row["pxname"] == "web" and row["svname"] in ("web1", "web2")
    }


def answers(balancer: str) -> set[str]:
    return {get("http://lb/text", address=balancer).body for _ in range(6)}


@contextmanager
def watched(balancer: str) -> Iterator[tuple[list[int], list[set[str]]]]:
    """Ask the site all the time, and note which servers are drained meanwhile."""
    over, failed, drained = threading.Event(), [], []

    def watch() -> None:
        while not over.wait(0.05):
            status = get("http://lb/text", address=balancer, expect=None).status
            if status != 200:
                failed.append(status)
            out = {name for name, state in states(balancer).items() if state.startswith("DRAIN")}
            if not drained or drained[-1] != out:
                drained.append(out)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield failed, drained
    finally:
        over.set()
        thread.join()


def test_change_is_rolled_one_drained_server_at_a_time(balancer: str, converge: Any) -> None:
    with watched(balancer) as (failed, drained):
        status, _ = converge(text="second")
    assert status == 0
    assert failed == []
    assert [out for out in drained if out] == [{"web1"}, {"web2"}]
    assert answers(balancer) == {"web1 second", "web2 second"}


def test_run_that_changes_nothing_drains_nobody(balancer: str, converge: Any) -> None:
    with watched(balancer) as (_, drained):
        _, output = converge(text="second")
    assert "changed=0" in output
    assert drained == [set()]


def test_server_that_stays_sick_stops_the_run_and_the_next_one_is_untouched(balancer: str, converge: Any) -> None:
    with watched(balancer) as (failed, _):
        status, output = converge(text="third", health=500)
    assert status != 0
    assert "web/web1 stays drained: after 5 s its health check still says L7STS" in output
    assert failed == []
    assert answers(balancer) == {"web2 second"}

    # The next run, with the mistake corrected, puts it back.
    status, _ = converge(text="third")
    assert status == 0
    wait_until(lambda: answers(balancer) == {"web1 third", "web2 third"}, 30, "both servers in rotation")


def test_server_that_a_lost_run_left_drained_is_put_back(balancer: str, converge: Any, request: Any) -> None:
    inventory = request.config.option.ansible_inventory
    drain = ["ansible", "lb1", "-i", inventory, "-m", "tandem.web.haproxy_server"]
    subprocess.run([*drain, "-a", "backend=web server=web2 state=drained"], check=True, capture_output=True)
    assert states(balancer)["web2"].startswith("DRAIN")
    assert converge(text="third")[0] == 0
    assert states(balancer)["web2"] == "UP"
