"""What bin/test shows of a step that failed, and how long it lets a scenario take."""

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

from tests.run import ROOT, Scenario, read_junit, tail
from tests.support.wait import wait_until

OUTPUT = """
TASK [first] ***
fatal: [db1]: FAILED! => no package

TASK [second] ***
fatal: [db2]: FAILED! => never mind
...ignoring

TASK [third] ***
ok: [db2]

TASK [fourth] ***
[ERROR]: nobody is primary
fatal: [db2]: FAILED! => nobody is primary

PLAY RECAP ***
db1 : failed=1
"""


def test_every_task_that_failed_is_shown_and_nothing_else() -> None:
    shown = tail(OUTPUT.splitlines(keepends=True))
    assert "no package" in shown
    assert "nobody is primary" in shown
    assert "never mind" not in shown
    assert "third" not in shown
    assert "RECAP" not in shown


def test_without_a_task_that_failed_the_end_is_shown() -> None:
    lines = [f"line {number}\n" for number in range(99)]
    assert tail(lines, 3) == "line 96\nline 97\nline 98\n"


def test_the_drills_of_a_scenario_have_the_machine_and_all_the_time_when_the_others_have_ended(tmp_path: Path) -> None:
    other: Future[None] = Future()
    scenario = Scenario("default", after=[other])
    scenario.watch()
    before = scenario.watchdog
    scenario.give_the_machine(tmp_path / "alone")
    try:
        # What a cancelled timer is.
        assert before.finished.is_set()
        assert not (tmp_path / "alone").exists()
        other.set_result(None)
        wait_until((tmp_path / "alone").exists, 60, "the machine")
        assert not scenario.watchdog.finished.is_set()
    finally:
        scenario.watchdog.cancel()


def test_a_failed_test_shows_what_it_printed(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("def test_it():\n    print('fatal: [db1]: no room')\n    raise AssertionError\n")
    options = ["-c", str(ROOT / "pyproject.toml"), f"--junitxml={tmp_path / 'it.xml'}"]
    subprocess.run([sys.executable, "-m", "pytest", *options, str(test)], check=False, stdout=subprocess.DEVNULL)
    passed, [(_, cause)], skipped = read_junit(tmp_path)
    assert (passed, skipped) == (0, 0)
    assert "no room" in cause.rsplit("AssertionError", 1)[1]
