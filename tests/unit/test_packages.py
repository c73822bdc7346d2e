"""What group_vars install ahead of the roles is what the roles install: another name would be a package of nobody."""

import re
from pathlib import Path

import pytest

from tests.support.roles import ROOT, defaults, read_yaml

GROUP_VARS = ROOT / "playbooks/group_vars"
ROLES = "\n".join(path.read_text() for path in Path(ROOT, "roles").glob("*/[dtv]*/*.yml"))
WORDS = {"all": "topology_packages"} | dict.fromkeys(
    ("loadbalancers", "webservers", "databases", "monitoring"), "base_packages_later"
)


@pytest.mark.parametrize("tier", WORDS)
def test_packages_ahead_are_those_of_roles(tier: str) -> None:
    path = GROUP_VARS / ("all/topology.yml" if tier == "all" else f"{tier}.yml")
    names = set(re.findall(r"'([a-z0-9-]+)'", read_yaml(path)[WORDS[tier]])) - {"acme"}
    assert names
    assert {name for name in names if not re.search(rf"\b{name}\b", ROLES)} == set()


def test_the_application_is_the_roles_own() -> None:
    ahead = read_yaml(GROUP_VARS / "webservers.yml")["topology_app_packages"]
    assert re.findall(r"'([a-z0-9-]+)'", ahead) == defaults("app")["app_packages"]
