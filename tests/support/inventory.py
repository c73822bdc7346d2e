"""Reads an inventory the way a play sees it: with the variables filled in."""

from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager


def _filled(templar: Templar, value: Any) -> Any:
    try:
        return templar.template(value)
    except AnsibleError:  # needs facts, or a play: of no use to a test
        return value


def read_inventory(path: str) -> dict[str, Any]:
    """Return what `ansible-inventory --list` prints, but with its Jinja expressions evaluated."""
    init_plugin_loader()  # finds the collections; must come before the first lookup
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[path])
    variables = VariableManager(loader=loader, inventory=manager)
    hostvars = {}
    for host in manager.get_hosts():
        values = variables.get_vars(host=host)
        templar = Templar(loader=loader, variables=values)
        hostvars[host.name] = {name: _filled(templar, value) for name, value in values.items()}
    listing: dict[str, Any] = {
        group.name: {
            "hosts": [host.name for host in group.hosts],
            "children": [child.name for child in group.child_groups],
        }
        for group in manager.groups.values()
    }
    return {**listing, "_meta": {"hostvars": hostvars}}
