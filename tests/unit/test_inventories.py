"""The inventories agree with one another: the lab is what production looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

INVENTORIES = Path(__file__).parents[2] / "inventory"
TIERS = ("loadbalancers", "webservers", "databases", "monitoring")


def groups(inventory: str) -> dict[str, dict]:
    """Return every group of an inventory by name, however deep it is."""
    found = {}

    def walk(name: str, group: dict) -> None:
        found[name] = group
        for child, content in group.get("children", {}).items():
            walk(child, content)

    walk("all", yaml.safe_load((INVENTORIES / inventory / "hosts.yml").read_text())["all"])
    return found


def secrets(file: str) -> dict[str, str]:
    return yaml.safe_load((INVENTORIES / file).read_text())


@pytest.mark.parametrize(
    ("inventory", "hosts"),
    [
        ("lab", "lb1 lb2 web1 web2 db1 db2 db3 mon1"),
        ("minimal", "lb1 web1 web2 db1 db2"),
        ("example", "lb1 lb2 web1 web2 db1 db2 db3 mon1"),
    ],
)
def test_inventory_has_its_hosts(inventory: str, hosts: str) -> None:
    tiers = groups(inventory)
    assert [host for tier in TIERS for host in tiers.get(tier, {}).get("hosts", {})] == hosts.split()


@pytest.mark.parametrize("inventory", ["lab", "minimal", "example"])
def test_every_host_has_an_address_of_its_own(inventory: str) -> None:
    addresses = [
        host["topology_address"] for group in groups(inventory).values() for host in group.get("hosts", {}).values()
    ]
    assert len(addresses) == len(set(addresses)) > 0


def test_example_asks_for_the_secrets_that_the_lab_makes() -> None:
    example = secrets("example/group_vars/all/vault.yml")
    assert sorted(example) == sorted(secrets("lab/group_vars/all/secrets.yml"))
    assert set(example.values()) == {"changeme"}


def test_become_does_not_reach_the_controller() -> None:
    """Tasks delegated to localhost read the group `all`, so `ansible_become` must not be there."""
    files = (INVENTORIES / "example/group_vars/all").glob("*.yml")
    assert not [file.name for file in files if "ansible_become" in yaml.safe_load(file.read_text())]
    assert "ansible_become" in groups("example")["servers"]["vars"]
