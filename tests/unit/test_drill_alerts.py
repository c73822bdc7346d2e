"""What a drill says about alerts, held against those that fired; and whether such alerts exist."""

import json
from types import SimpleNamespace

import pytest
import yaml

from tests.drills.tandem_drill import alerts
from tests.drills.tandem_drill.alerts import ALWAYS, Alerts, Prometheus
from tests.drills.tandem_drill.drill import drills
from tests.support.roles import ROOT

EXPECTED = Alerts(fire=("HostDown",), may=("LastWebServer",), within=60)
RULES = {
    rule["alert"]
    for path in ROOT.glob("roles/prometheus/files/rules/*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.mark.parametrize(
    ("fired", "said"),
    [
        ({}, "did not fire"),
        ({"HostDown": 61.0}, "after 61 s"),
        ({"HostDown": 20.0, "NoPrimary": 30.0}, "nothing to do with it fired: NoPrimary"),
    ],
)
def test_what_is_wrong_is_said(fired: dict[str, float], said: str) -> None:
    [problem] = EXPECTED.judge(fired)
    assert said in problem


def test_what_must_and_what_may_is_right() -> None:
    assert EXPECTED.judge({"HostDown": 20.0, "LastWebServer": 25.0, "Watchdog": 0.0}) == []
    assert EXPECTED.judge({"HostDown": 20.0}) == []


def test_a_planned_change_fires_none() -> None:
    assert Alerts().judge({"Watchdog": 0.0}) == []
    assert Alerts().judge({"WebServersDegraded": 5.0}) != []


def test_when_everything_is_lost_only_what_must_fire_is_asked_for() -> None:
    everything = Alerts(fire=("HostDown",), any_other=True)
    assert everything.judge({"HostDown": 20.0, "NoPrimary": 30.0}) == []
    assert everything.judge({"NoPrimary": 30.0}) != []


def test_prometheus_is_asked_for_when_each_began() -> None:
    answer = {"data": {"result": [{"metric": {"alertname": "HostDown"}, "value": [1, "1000.5"]}]}}
    asked: list[str] = []

    def run(*argv: str, **_: object) -> str:
        asked.append(argv[-1])
        return json.dumps(answer)

    assert Prometheus(SimpleNamespace(run=run)).firing(42.3) == {"HostDown": 1000.5}
    assert asked == [alerts.FIRING % 42]


@pytest.mark.parametrize("drill", drills(ROOT / "tests/drills"), ids=lambda drill: drill.name)
def test_each_alert_of_a_drill_exists(drill) -> None:
    assert {*drill.alerts.fire, *drill.alerts.may} <= RULES


def test_what_is_nobodys_surprise_exists() -> None:
    assert ALWAYS <= RULES
