"""The site as its visitors see it, through either load balancer."""

import time
from typing import Any

import pytest

from tests.support.http import Answer, get, post
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def inventory(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read_inventory(request.config.option.ansible_inventory)


@pytest.fixture(scope="module")
def addresses(inventory: dict[str, Any]) -> dict[str, str]:
    return {name: values["topology_address"] for name, values in inventory["_meta"]["hostvars"].items()}


@pytest.fixture(scope="module")
def site(inventory: dict[str, Any]) -> str:
    values = inventory["_meta"]["hostvars"]["lb1"]
    return f"{'http' if values.get('site_tls') == 'none' else 'https'}://{values['site_domain']}"


@pytest.mark.parametrize("balancer", ["lb1", "lb2"])
def test_every_web_server_answers_through_it(
    balancer: str, site: str, inventory: dict[str, Any], addresses: dict[str, str]
) -> None:
    answers = [get(f"{site}/whoami", address=addresses[balancer]).json()["web"] for _ in range(8)]
    assert set(answers) == set(inventory["webservers"]["hosts"])


def test_note_written_through_one_is_read_through_the_other(site: str, addresses: dict[str, str]) -> None:
    key = f"test-{time.time_ns()}"
    written = post(
        f"{site}/notes", {"text": "from lb1"}, address=addresses["lb1"], headers={"Idempotency-Key": key}
    ).json()

    def read() -> Answer | None:
        answer = get(f"{site}/notes?key={key}", address=addresses["lb2"])
        return answer if answer.json() else None

    answer = wait_until(read, 10, "the note to reach a replica")
    assert [note["id"] for note in answer.json()] == [written["id"]]
    assert answer.headers["x-database"] != written["database"]


def test_repeated_write_is_done_once(site: str, addresses: dict[str, str]) -> None:
    key = f"test-{time.time_ns()}"
    first, second = (
        post(
            f"{site}/notes", {"text": "once"}, address=addresses[name], headers={"Idempotency-Key": key}, expect=None
        ).json()
        for name in ("lb1", "lb2")
    )
    assert first["id"] == second["id"]


def test_one_screen_says_what_everything_is(request: pytest.FixtureRequest, inventory: dict[str, Any]) -> None:
    run = play(request.config.option.ansible_inventory, "playbooks/status.yml")
    assert run.returncode == 0
    screen = " ".join(run.stdout.partition("Status | Screen")[2].split())
    assert "takes writes, 3 of 3 members are online" in screen
    assert "PROBLEM" not in screen
    assert "NOBODY" not in screen
    assert "Backups" in screen
    for name in inventory["_meta"]["hostvars"]:
        assert f" {name} " in screen or name == "client1"
