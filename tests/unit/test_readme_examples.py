"""The example in each role's README would be accepted by the role, and the README's application by the site."""

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


def test_an_application_of_ones_own_is_brought_by_what_the_readme_says() -> None:
    """The role would take its words, and the site's own are read somewhere."""
    chapter = (ROOT / "README.md").read_text().split("## Your application")[1]
    [block] = re.findall(r"^```yaml\n(.*?)^```", chapter.split("\n## ")[0], re.M | re.S)
    variables = yaml.safe_load(block)
    own = {name: value for name, value in variables.items() if name.startswith("app_")}
    assert refusals("app", own) == []
    playbooks = "".join(path.read_text() for path in (ROOT / "playbooks").rglob("*.yml"))
    assert [name for name in variables.keys() - own.keys() if not re.search(rf"\b{name}\b", playbooks)] == []
    [user] = variables["site_database_users"]
    user |= {"password": "what a vault holds", "networks": ["192.0.2.1"]}
    assert refusals("mysql", {"mysql_databases": variables["site_databases"], "mysql_users": [user]}) == []
