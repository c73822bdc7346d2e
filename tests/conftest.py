"""Shared by all tests. Those of a scenario reach its hosts by `--ansible-inventory`."""

import os
import time
from pathlib import Path

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

pytest.register_assert_rewrite("tests.support")

from tests.support.inventory import read_inventory  # noqa: E402 - after the line above, to be rewritten


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Refuse a run that proved nothing, because each of its tests was skipped."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and not terminal.stats.get("passed") and not session.config.option.collectonly:
        print("\nNo test of this run passed.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
