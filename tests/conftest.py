"""Shared by all tests. Those of a scenario reach its hosts by `--ansible-inventory`."""

import os
import time
from pathlib import Path

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

pytest.register_assert_rewrite("tests.support")

from tests.support.inventory import read_inventory  # noqa: E402 - after the line above, to be rewritten

SECOND_ENGINE = ("mariadb", "galera")
"""Scenarios whose tests are those of another one, on the other engine."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fill in the inventory's variables for Testinfra, and report to bin/test when it asks for it."""
    inventory = config.option.ansible_inventory
    if inventory:
        # It would take the values as they are written, Jinja and all.
        AnsibleRunner.get_runner(inventory).inventory = read_inventory(inventory)
    reports = os.environ.get("TANDEM_TEST_REPORTS")
    if reports:
        # One file per run of pytest: a scenario may verify more than once.
        config.option.xmlpath = str(Path(reports) / f"{time.time_ns()}.xml")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what bin/test has run on one engine already, unless it is to run everything."""
    scenario = Path(config.option.ansible_inventory or ".").parent.name
    if os.environ.get("TANDEM_TEST_ONCE") and scenario in SECOND_ENGINE:
        again = [item for item in items if item.get_closest_marker("once")]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Refuse a run that proved nothing, because each of its tests was skipped."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and not terminal.stats.get("passed") and not session.config.option.collectonly:
        print("\nNo test of this run passed.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
