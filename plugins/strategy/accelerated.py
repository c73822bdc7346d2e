"""Plays with Mitogen on every processor, and does what is the same for each task once."""

from __future__ import annotations

DOCUMENTATION = """
name: accelerated
short_description: Plays with Mitogen, on every processor
description:
  - Mitogen keeps one Python process on each host instead of starting one for each task.
  - By itself it chooses the processors that its processes run on, and on a machine with two of them that is one.
    Here the kernel chooses.
  - It looks through every installed collection for each task that is a collection's. Here that is done once.
  - Ansible makes a copy of its process for each task of each host, and memory that the garbage collector looks at has
    to be copied, too. Here it leaves alone what was there before.
requirements: [mitogen]
"""

import gc
import os

from ansible.collections.list import list_collection_dirs
from ansible.errors import AnsibleError

try:
    import ansible_mitogen.affinity
    import ansible_mitogen.loaders
    import ansible_mitogen.planner
    import ansible_mitogen.strategy
except ImportError as error:
    raise AnsibleError(
        "The strategy tandem.web.accelerated needs Mitogen beside Ansible: "
        "pip install mitogen, or unset ANSIBLE_STRATEGY."
    ) from error

COLLECTIONS = {path.decode() for path in list_collection_dirs()}

ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()
ansible_mitogen.planner._load_collections = lambda invocation: invocation._extra_sys_paths.update(COLLECTIONS)
os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)


class StrategyModule(  # type: ignore[misc]
    ansible_mitogen.strategy.StrategyMixin, ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True)
):
    """Ansible's linear strategy, as Mitogen plays it."""
