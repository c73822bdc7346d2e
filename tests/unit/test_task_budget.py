"""How many tasks each role has: one costs each host a fifth of a second in every run, so that more are a decision."""

from typing import Any

import pytest

from tests.support.roles import ROLES, ROOT, read_yaml

BUDGET = {
    "alertmanager": 7,
    "app": 24,
    "arbitrator": 6,
    "backup": 23,
    "base": 10,
    "certbot": 8,
    "drain": 0,
    "exporters": 6,
    "haproxy": 13,
    "journal": 3,
    "keepalived": 13,
    "mysql": 160,
    "nginx": 9,
    "overview": 12,
    "pki": 11,
    "prometheus": 8,
    "ufw": 12,
}


def count(tasks: list[dict[str, Any]]) -> int:
    """Return how many tasks there are, those in blocks included."""
    parts = [task[part] for task in tasks for part in ("block", "rescue", "always") if part in task]
    return sum("block" not in task for task in tasks) + sum(map(count, parts))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_more_tasks_than_its_budget(role: str) -> None:
    tasks = sum(count(read_yaml(path) or []) for path in ROOT.glob(f"roles/{role}/tasks/*.yml"))
    assert tasks == BUDGET[role], "let one task do more, or change the budget and say why (and lower it when one goes)"
