"""Brings units of systemd into a state, after one look at all of them: a module for each takes its time."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")


class ActionModule(ActionBase):
    """Asks systemd once, and lets ansible.builtin.systemd_service do what is left to do."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return which units were not as they should be."""
        super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "state": {"choices": ["started", "stopped"]},
                "enabled": {"type": "bool"},
                "masked": {"type": "bool"},
            }
        )
        wanted = {key: given[key] for key in ("state", "enabled", "masked") if given[key] is not None}
        result: dict[str, Any] = {"changed": False, "units": []}
        for name, unit in self._look(given["name"]).items():
            if fits(unit, wanted):
                continue
            if self._task.check_mode and unit["LoadState"] == "not-found":
                change = {"changed": True}  # what brings it was not installed, in check mode
            else:
                change = self._execute_module(
                    "ansible.builtin.systemd_service",
                    module_args={"name": name, "daemon_reload": True, **wanted},
                    task_vars=task_vars,
                )
            if change.get("failed"):
                return change | {"msg": f"{name}: {change.get('msg', 'systemd says no')}"}
            if change.get("changed"):
                result["changed"] = True
                result["units"].append(name)
        return result

    def _look(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Return what systemd knows of each unit."""
        command = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *names]
        answer = self._low_level_execute_command(shlex.join(command))
        # On a terminal, as Mitogen gives one, lines end otherwise.
        blocks = answer["stdout"].replace("\r\n", "\n").strip().split("\n\n")
        if answer["rc"] or len(blocks) != len(names):
            raise AnsibleActionFail(f"systemd does not tell of {', '.join(names)}: {answer['stderr'].strip()}")
        return {
            name: dict(line.strip().split("=", 1) for line in block.splitlines())
            for name, block in zip(names, blocks, strict=True)
        }


def fits(unit: dict[str, str], wanted: dict[str, Any]) -> bool:
    """Tell whether a unit surely is as it should be; in doubt the module looks closer."""
    if unit["NeedDaemonReload"] == "yes":
        return False
    if unit["LoadState"] == "not-found":
        return wanted.get("state") != "started" and not wanted.get("enabled") and not wanted.get("masked")
    masked = unit["LoadState"] == "masked"
    looks = {
        "state": {"started": unit["ActiveState"] == "active", "stopped": unit["ActiveState"] == "inactive"},
        "enabled": {True: unit["UnitFileState"] == "enabled", False: unit["UnitFileState"] == "disabled" or masked},
        "masked": {True: masked, False: not masked},
    }
    return all(looks[key][value] for key, value in wanted.items())
