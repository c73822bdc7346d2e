"""The example in each role's README would be accepted by the role."""

import re
from typing import Any

import pytest
import yaml

from tests.support.roles import ROLES, ROOT, options, refusals


def example(role: str) -> dict[str, Any]:
    """Return the play that the README shows, and check that it shows just one."""
    [block] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "roles" / role / "README.md").read_text(), re.M | re.S)
    [play] = yaml.safe_load(block)
    return play


def inputs(role: str) -> dict[str, Any]:
    """Return the variables that the example gives to the role."""
    play = example(role)
    [entry] = [each for each in play["roles"] if each["role"] == f"tandem.web.{role}"]
    return play.get("vars", {}) | entry.get("vars", {})


@pytest.mark.parametrize("role", ROLES)
def test_example_is_accepted(role: str) -> None:
    assert refusals(role, inputs(role)) == []


@pytest.mark.parametrize("role", ROLES)
def test_example_gives_what_is_required(role: str) -> None:
    required = {name for name, option in options(role).items() if option.get("required")}
    assert required - inputs(role).keys() == set()
