"""Installs packages, after a look whether any is missing: apt takes a second to find out that none is."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible.plugins.action import ActionBase

# Not a pattern, a version, a suite or an architecture: a name that dpkg knows it by.
PLAIN = re.compile(r"[a-z0-9][a-z0-9+.-]*")


class ActionModule(ActionBase):
    """Asks dpkg, and lets ansible.builtin.apt do what is left to do."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what apt says, or that nothing has changed."""
        super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "state": {"choices": ["present", "latest"], "default": "present"},
                "default_release": {"type": "str"},
                "policy_rc_d": {"type": "int"},
                "cache_seconds": {"type": "int", "default": 3600},
            }
        )
        if given["state"] == "present" and self._installed(given["name"]):
            return {"changed": False}
        newest = {"update_cache": True, "cache_valid_time": given["cache_seconds"]}
        install = {key: given[key] for key in ("name", "state", "default_release", "policy_rc_d") if given[key]}
        if given["default_release"]:
            # apt does not look for what is new in a suite that it has not read of yet.
            result = self._apt(newest, task_vars)
            if result.get("failed"):
                return result
            newest = {}
        return self._apt(install | newest | {"install_recommends": False}, task_vars)

    def _apt(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        # Mitogen plays module after module in one process, where apt would keep one's suite for the next.
        alone = (task_vars or {}) | {"mitogen_task_isolation": "fork"}
        return self._execute_module("ansible.builtin.apt", module_args=arguments, task_vars=alone)

    def _installed(self, names: list[str]) -> bool:
        """Tell whether every package is there. In doubt it is not: then apt is asked."""
        if not all(PLAIN.fullmatch(name) for name in names):
            return False
        command = ["dpkg-query", "--show", "--showformat", r"${db:Status-Abbrev}\n", *names]
        found = self._low_level_execute_command(shlex.join(command))
        states = [line.strip() for line in found["stdout"].splitlines()]
        # Those of several architectures have a line for each.
        return found["rc"] == 0 and len(states) >= len(set(names)) and set(states) <= {"ii", "hi"}
