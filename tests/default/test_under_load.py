"""Three drills on the finished site; bin/drill runs all of them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]
# A red drill on a machine that was too busy to send in time says nothing about the site: it gets another chance, and
# where so much cannot be sent at all, with less.
RATES = (100, 100, 50, 25)  # requests per second
LATE = 0.1  # seconds


@pytest.fixture(scope="module", autouse=True)
def machine() -> None:
    """Wait until bin/test runs nothing else, for as long as it takes to run everything."""
    if alone := os.environ.get("TANDEM_TEST_ALONE"):
        wait_until(Path(alone).exists, 5400, "the machine", interval=1)


def drill(name: str, inventory: str, rate: int) -> dict:
    """Run a drill against the scenario's lab and return its record."""
    done = subprocess.run(
        [str(ROOT / "bin/drill"), "--inventory", inventory, f"--rate={rate}", name],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    print(done.stdout, done.stderr)
    page = next(line.strip() for line in reversed(done.stdout.splitlines()) if line.strip().endswith("report.html"))
    (record,) = json.loads(Path(page).with_name("report.json").read_text())["drills"]
    return record


@pytest.mark.parametrize("name", ["web-host-killed", "haproxy-reload", "vip-owner-killed"])
def test_drill_holds(name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    for rate in RATES:
        record = drill(name, request.config.option.ansible_inventory, rate)
        with capsys.disabled():
            print(f"\n{name} at {rate} requests/s: {'held' if record['passed'] else 'FAILED'}")
        if record["passed"]:
            return
        problems = [problem for run in record["runs"] for problem in run["problems"]]
        # No delay of the client loses a write, or gives an address to two hosts.
        assert not [each for each in problems if re.search("lost|more than once|two hosts", each)], problems
        lateness = max((run["numbers"]["lateness"]["p99"] for run in record["runs"] if run["numbers"]), default=0.0)
        assert lateness > LATE, problems
    pytest.fail(f"the machine was too busy to judge, even at {rate} requests/s: {lateness:.2f} s late")
