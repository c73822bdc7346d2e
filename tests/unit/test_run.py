"""What bin/test shows of a step that failed, and how long it lets a scenario take."""

from tests.run import Scenario, tail

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


def test_a_scenario_that_waits_for_the_others_has_all_its_time_afterwards() -> None:
    scenario = Scenario("default")
    scenario.watch()
    before = scenario.watchdog
    scenario.hold()
    try:
        # What a cancelled timer is.
        assert before.finished.is_set()
        assert not scenario.watchdog.finished.is_set()
    finally:
        scenario.watchdog.cancel()
