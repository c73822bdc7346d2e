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
  - Each of those copies compiles every Jinja template that it renders, loads the plugins that it needs, and forgets
    them. Here what one has compiled lies in the run's temporary directory for all others, by Jinja's own means, and
    what most of them need is there before they are made.
requirements: [mitogen]
"""

import contextlib
import functools
import gc
import os
from types import CodeType
from typing import Any

from ansible import constants
from ansible.collections.list import list_collection_dirs
from ansible.errors import AnsibleError
from ansible.plugins.loader import action_loader, connection_loader, filter_loader, lookup_loader, test_loader
from jinja2.bccache import FileSystemBytecodeCache

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

# Of most use before the fork, by a count of what a run of the whole site loaded in its processes.
LOOKUPS = ("ansible.builtin.config", "ansible.builtin.file", "ansible.builtin.password")
CONNECTIONS = ("mitogen_docker", "mitogen_ssh")
COLLECTIONS = {path.decode() for path in list_collection_dirs()}

ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()
ansible_mitogen.planner._load_collections = lambda invocation: invocation._extra_sys_paths.update(COLLECTIONS)
os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)


def share_compiled_templates() -> None:
    """Let a template be compiled once in a run, whichever process needs it first.

    :raises ImportError: when this release of ansible-core has not all that this needs; each name is asked for here.
    """
    from ansible._internal._templating._jinja_bits import (
        _TEMPLATE_OVERRIDE_FIELD_NAMES,
        AnsibleEnvironment,
        _TemplateCompileContext,
    )

    compiled = FileSystemBytecodeCache(constants.DEFAULT_LOCAL_TMP, "%s.jinja")
    compile_anew = AnsibleEnvironment.compile

    @functools.wraps(compile_anew)
    def compile_once(self: Any, source: Any, *arguments: Any, **options: Any) -> CodeType | str:
        if arguments or options or not isinstance(source, str):
            return compile_anew(self, source, *arguments, **options)
        # What the code depends on beside the source: delimiters and such, and whether backslashes are doubled.
        context = _TemplateCompileContext.current(optional=True)
        settings = [context and context.escape_backslashes]
        settings += [getattr(self, name) for name in _TEMPLATE_OVERRIDE_FIELD_NAMES]
        bucket = compiled.get_bucket(self, f"{settings}{source}", None, source)
        if bucket.code is None:
            bucket.code = compile_anew(self, source)
            compiled.set_bucket(bucket)
        return bucket.code

    AnsibleEnvironment.compile = compile_once


# These are no public names; without them everything is compiled as often as before.
with contextlib.suppress(ImportError):
    share_compiled_templates()


class StrategyModule(  # type: ignore[misc]
    ansible_mitogen.strategy.StrategyMixin, ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True)
):
    """Ansible's linear strategy, as Mitogen plays it."""

    def run(self, *arguments: Any, **options: Any) -> int:
        """Play, with the plugins loaded that most tasks need."""
        for loader in (filter_loader, test_loader):
            list(loader.all())
        # All filters of a collection are loaded to find one.
        filter_loader.get("tandem.web.addresses")
        for name in LOOKUPS:
            lookup_loader.get(name, class_only=True)
        action_loader.get("ansible.legacy.normal", class_only=True)
        for name in CONNECTIONS:
            connection_loader.get(name, class_only=True)
        return super().run(*arguments, **options)
