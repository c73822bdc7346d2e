"""No secret is printed, however verbose the run: the scenario keeps a -vvv --diff log of all of its runs."""

import os
from pathlib import Path

import pytest

from tests.support.inventory import read_inventory


@pytest.fixture(scope="module")
def log() -> str:
    path = os.environ.get("ANSIBLE_LOG_PATH")
    if not path:
        pytest.skip("only `molecule test` keeps the log of its runs")
    return Path(path).read_text()


@pytest.fixture(scope="module")
def secrets(request: pytest.FixtureRequest) -> dict[str, str]:
    hostvars = read_inventory(request.config.option.ansible_inventory)["_meta"]["hostvars"]
    values = next(iter(hostvars.values()))
    return {name: value for name, value in values.items() if name.startswith("secret_")}


def test_log_is_of_verbose_runs_of_the_site(log: str) -> None:
    assert log.count("PLAY RECAP") >= 2
    assert "invocation:" in log


def test_no_secret_is_in_the_log(log: str, secrets: dict[str, str]) -> None:
    assert len(secrets) >= 3
    assert [name for name, value in secrets.items() if len(value) < 16 or value in log] == []


def test_no_private_key_is_in_the_log(log: str) -> None:
    assert "PRIVATE KEY-----" not in log
