"""A role's argument specification agrees with its defaults, and describes each input."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.roles import ROLES, defaults, options, refusals

pytestmark = pytest.mark.parametrize("role", ROLES)


def walk(known: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each option with its path, those of records too."""
    for name, option in known.items():
        yield f"{prefix}{name}", option
        yield from walk(option.get("options", {}), f"{prefix}{name}.")


def test_inputs_carry_the_roles_name(role: str) -> None:
    assert [name for name in options(role) if not name.startswith(f"{role}_")] == []


def test_each_default_is_specified_with_the_same_value(role: str) -> None:
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert specified == defaults(role)


def test_each_option_has_a_default_or_is_required(role: str) -> None:
    undecided = [
        name for name, option in options(role).items() if "default" not in option and not option.get("required")
    ]
    assert undecided == []


def test_each_option_is_described(role: str) -> None:
    bare = [path for path, option in walk(options(role)) if not option.get("description") or not option.get("type")]
    assert bare == []


def test_each_list_says_of_what(role: str) -> None:
    assert [path for path, option in walk(options(role)) if option["type"] == "list" and "elements" not in option] == []


def test_the_defaults_are_accepted(role: str) -> None:
    assert refusals(role, defaults(role)) == []
