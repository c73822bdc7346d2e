"""Every alert is complete: who is to wake, what to say, what to do about it, and a test of both."""

import re
from typing import Any

import pytest
import yaml

from tests.monitoring.cases import CASES
from tests.support.roles import ROOT, defaults

FILES = {path.stem: yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/prometheus/files/rules/*.yml")}
ALERTS = [
    (file, rule)
    for file, content in sorted(FILES.items())
    for group in content["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
each_alert = pytest.mark.parametrize(("file", "rule"), ALERTS, ids=[rule["alert"] for _, rule in ALERTS])


def sections(document: str) -> set[str]:
    """Return the anchors of a Markdown file's headings, as they are made where it is shown."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_there_are_alerts_and_the_role_uses_each_file() -> None:
    assert len(ALERTS) > 40
    assert sorted(FILES) == sorted(defaults("prometheus")["prometheus_rules"])


def test_names_are_used_once() -> None:
    names = [rule["alert"] for _, rule in ALERTS]
    assert sorted(names) == sorted(set(names))


@each_alert
def test_it_says_whom_it_wakes(file: str, rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert (rule["labels"]["severity"] == "none") == (rule["alert"] == "Watchdog")


@each_alert
def test_it_names_the_host(file: str, rule: dict[str, Any]) -> None:
    """Or the server, as HAProxy calls a host."""
    assert re.search(r"[Ll]abels\.(instance|server)\b", rule["annotations"]["summary"])


@each_alert
def test_its_runbook_is_there(file: str, rule: dict[str, Any]) -> None:
    document, _, section = rule["annotations"]["runbook"].partition("#")
    assert section in sections(document)


@each_alert
def test_both_of_its_outcomes_are_tested(file: str, rule: dict[str, Any]) -> None:
    cases = [case for case in CASES[file] if case.alert == rule["alert"]]
    assert cases
    assert all(case.fires and (case.quiet or rule["alert"] == "Watchdog") for case in cases)


def test_no_case_is_of_an_alert_that_is_gone() -> None:
    named = {(file, case.alert) for file, cases in CASES.items() for case in cases}
    assert named == {(file, rule["alert"]) for file, rule in ALERTS}
