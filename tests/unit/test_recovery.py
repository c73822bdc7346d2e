"""The timers of each preset fit together, as recovery.yml says they do."""

import re
from typing import Any

import pytest

from plugins.filter.topology import milliseconds
from tests.support.roles import ROOT, defaults, options, read_yaml

FILE = ROOT / "playbooks/group_vars/all/recovery.yml"
PRESETS = read_yaml(FILE)["topology_recoveries"]
RETRIES = defaults("haproxy")["haproxy_retries"]


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> dict[str, Any]:
    return PRESETS[request.param]


def test_an_operator_chooses_between_three() -> None:
    assert list(PRESETS) == ["fast", "normal", "wide"]
    assert len({str(sorted(flat(preset))) for preset in PRESETS.values()}) == 1


def flat(preset: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the names of every timer."""
    return [
        name
        for key, value in preset.items()
        for name in (flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
    ]


def test_a_waiting_write_gets_its_answer_before_the_load_balancer_gives_up(preset: dict[str, Any]) -> None:
    application, balancer = preset["application"], preset["balancer"]
    assert application["wait"] + application["connect"] + application["answer"] <= balancer["write"]


def test_a_write_with_a_key_may_wait_as_long_as_one_without(preset: dict[str, Any]) -> None:
    balancer = preset["balancer"]
    assert (1 + RETRIES) * balancer["keyed"] == balancer["write"]


def test_reads_are_given_up_sooner_than_writes(preset: dict[str, Any]) -> None:
    assert preset["balancer"]["read"] < preset["balancer"]["keyed"] < preset["balancer"]["write"]


def test_a_lost_replica_delays_a_commit_and_fails_none(preset: dict[str, Any]) -> None:
    assert preset["semi_sync"] < preset["application"]["answer"] < preset["balancer"]["keyed"]


def test_a_lost_primary_is_noticed_within_the_applications_patience(preset: dict[str, Any]) -> None:
    routing = {key: value if key == "fall" else milliseconds(value) / 1000 for key, value in preset["routing"].items()}
    check = milliseconds(preset["routing_timeout"]) / 1000
    noticed = 1 + routing["inter"] + check + (routing["fall"] - 1) * (routing["fastinter"] + check)
    assert noticed < preset["application"]["wait"] / 2


@pytest.mark.parametrize("name", ["normal", "wide"])
def test_a_cluster_replaces_its_primary_while_writes_wait(name: str) -> None:
    timers = read_yaml(FILE)["topology_cluster_recoveries"][name]
    assert max(7 + timers["expel"], timers["suspect"] + 2) < PRESETS[name]["application"]["wait"]


def test_waiting_writes_leave_room_for_readers() -> None:
    settings = (ROOT / "roles/app/files/notes/notes/settings.py").read_text()
    queue = int(re.search(r'"NOTES_QUEUE", "(\d+)"', settings)[1])
    assert defaults("app")["app_threads"] >= 2.5 * queue


def test_the_routing_takes_the_timers_as_they_are() -> None:
    known = options("haproxy")["haproxy_backends"]["options"]["check"]["options"]
    for preset in PRESETS.values():
        assert set(preset["routing"]) <= set(known)


@pytest.mark.parametrize(("text", "value"), [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("1m", 60000), ("250", 250)])
def test_times_in_haproxys_words(text: str, value: int) -> None:
    assert milliseconds(text) == value


@pytest.mark.parametrize("text", ["", "soon", "-1s", "2 s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        milliseconds(text)
