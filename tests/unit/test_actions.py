"""The actions that look before they call a module: what they take for settled, and what not."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from plugins.action import packages, units

UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}


class Host:
    """A host that answers one command, and takes down which modules were run on it."""

    def __init__(
        self, stdout: str = "", rc: int = 0, result: dict[str, Any] | None = None, check: bool = False
    ) -> None:
        self.modules: list[tuple[str, dict[str, Any]]] = []
        self._answer = {"stdout": stdout, "stderr": "no", "rc": rc}
        self._result = result or {"changed": True}
        self._check = check

    def run(self, plugin: Any, **arguments: Any) -> dict[str, Any]:
        """Return the result of an action with these arguments."""
        task = SimpleNamespace(args=arguments, check_mode=self._check, async_val=0, delegate_to=None)
        action = plugin.ActionModule(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())

        def execute(name: str, module_args: dict[str, Any], **_: Any) -> dict[str, Any]:
            self.modules.append((name, module_args))
            return dict(self._result)

        with (
            mock.patch.object(action, "_low_level_execute_command", return_value=self._answer),
            mock.patch.object(action, "_execute_module", side_effect=execute),
        ):
            return action.run(task_vars={})


def test_packages_that_are_installed_cost_no_apt() -> None:
    host = Host("ii \nhi \n")
    assert host.run(packages, name=["nginx", "curl"]) == {"changed": False}
    assert not host.modules


@pytest.mark.parametrize(
    ("stdout", "rc", "names", "more"),
    [
        ("ii \n", 1, ["nginx", "curl"], {}),  # one is unknown
        ("ii \nrc \n", 0, ["nginx", "curl"], {}),  # removed, its configuration was left
        ("ii \niF \n", 0, ["nginx", "curl"], {}),  # half configured
        ("ii \n", 0, ["nginx=1.26*"], {}),
        ("ii \n", 0, ["libc6:amd64"], {}),
        ("ii \n", 0, ["nginx"], {"state": "latest"}),
    ],
)
def test_apt_is_asked_in_doubt(stdout: str, rc: int, names: list[str], more: dict[str, Any]) -> None:
    host = Host(stdout, rc)
    assert host.run(packages, name=names, policy_rc_d=101, **more)["changed"]
    [(module, arguments)] = host.modules
    assert module == "ansible.builtin.apt"
    assert arguments["name"] == names
    assert arguments["policy_rc_d"] == 101
    assert not arguments["install_recommends"]


def test_a_suite_that_apt_has_not_read_of_is_read_first() -> None:
    host = Host(rc=1)
    host.run(packages, name=["nginx"], default_release="sid")
    [(_, first), (_, then)] = host.modules
    assert (first["update_cache"], "default_release" in first) == (True, False)
    assert (then["default_release"], "update_cache" in then) == ("sid", False)


def show(**differs: str) -> str:
    """Return what systemctl prints of a unit."""
    return "".join(f"{key}={value}\n" for key, value in (UNIT | differs).items())


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_units_that_are_as_they_should_be_cost_no_module(line_end: str) -> None:
    host = Host((show() + "\n" + show()).replace("\n", line_end))
    result = host.run(units, name=["one", "two"], state="started", enabled=True)
    assert (result["changed"], result["units"], host.modules) == (False, [], [])


RUNS: dict[str, str] = {}
RESTS = {"ActiveState": "inactive", "UnitFileState": "disabled"}


@pytest.mark.parametrize(
    ("good", "bad", "wanted"),
    [
        (RUNS, {"ActiveState": "failed"}, {"state": "started"}),
        (RUNS, {"ActiveState": "activating"}, {"state": "started"}),
        (RUNS, {"UnitFileState": "disabled"}, {"enabled": True}),
        (RUNS, {"NeedDaemonReload": "yes"}, {"state": "started"}),
        (RUNS, {"LoadState": "masked"}, {"masked": False}),
        (RUNS, {"LoadState": "not-found"}, {"state": "started"}),
        (RESTS, {"ActiveState": "failed"}, {"state": "stopped"}),
        (RESTS, RUNS, {"enabled": False}),
        (RESTS | {"LoadState": "masked"}, RUNS, {"masked": True}),
    ],
)
def test_only_the_unit_that_is_not_is_changed(
    good: dict[str, str], bad: dict[str, str], wanted: dict[str, Any]
) -> None:
    host = Host(show(**good) + "\n" + show(**bad))
    assert host.run(units, name=["one", "two"], **wanted)["units"] == ["two"]
    assert host.modules == [("ansible.builtin.systemd_service", {"name": "two", "daemon_reload": True, **wanted})]


def test_a_unit_that_is_not_there_needs_no_stopping() -> None:
    host = Host(show(LoadState="not-found", ActiveState="inactive", UnitFileState=""))
    assert not host.run(units, name=["one"], state="stopped", enabled=False)["changed"]
    assert not host.modules


def test_check_mode_expects_units_of_packages_that_are_not_installed() -> None:
    host = Host(show(LoadState="not-found", ActiveState="inactive", UnitFileState=""), check=True)
    assert host.run(units, name=["one"], state="started")["changed"]
    assert not host.modules


def test_what_systemd_says_no_to_names_the_unit() -> None:
    host = Host(show(ActiveState="failed"), result={"failed": True, "msg": "Job failed"})
    assert host.run(units, name=["one"], state="started")["msg"] == "one: Job failed"
