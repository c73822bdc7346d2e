"""Shared by all tests. A scenario's tests reach their hosts by `--ansible-inventory`."""

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

from tests.support.inventory import read_inventory


def pytest_configure(config: pytest.Config) -> None:
    """Give Testinfra the inventory with its variables filled in; it would take them as written."""
    path = config.option.ansible_inventory
    if path:
        AnsibleRunner.get_runner(path).inventory = read_inventory(path)
