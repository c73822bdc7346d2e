"""Each alert, by promtool on the host that uses the rules: it fires when it should, says so, and is quiet otherwise."""

import json

import pytest
import yaml

from tests.monitoring.cases import CASES
from tests.monitoring.conftest import Site
from tests.support.roles import ROOT

RULES = ROOT / "roles/prometheus/files/rules"


FILES = sorted({(file, case.step) for file, cases in CASES.items() for case in cases})


@pytest.mark.parametrize(("file", "step"), FILES)
def test_alerts_fire_when_they_should_and_only_then(site: Site, file: str, step: str) -> None:
    groups = yaml.safe_load((RULES / f"{file}.yml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    tests = {
        # As they were installed.
        "rule_files": [f"/etc/prometheus/rules/{name}.yml" for name in ("recording", file)],
        "evaluation_interval": step,
        "tests": [test for case in CASES[file] if case.step == step for test in case.tests(rules[case.alert])],
    }
    path = f"/run/{file}-{step}.test.yml"
    site.mon1.check_output("echo %s > %s", json.dumps(tests), path)
    done = site.mon1.run("promtool test rules %s", path)
    print(done.stdout, done.stderr)
    assert done.rc == 0
    assert "SUCCESS" in done.stdout
