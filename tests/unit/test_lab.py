"""The commands around the lab, without one: what they refuse, and what of this machine they leave alone."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.roles import ROOT

NETWORK = (
    '[[ $* == *"network inspect"* ]] && {{ {inspect}; }}\n[[ $* == *"network create"* ]] && {{ {create}; }}\nexit 0'
)


class Machine:
    """A directory of programs that stand in for this machine's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "programs").mkdir()
        self.environment = os.environ | {
            "PATH": f"{folder / 'programs'}:{os.environ['PATH']}",
            "TANDEM_LAB": "tandem-unit",
            # Not of this machine, so nothing starts it and the client alone says whether it answers.
            "DOCKER_HOST": "tcp://192.0.2.1:2375",
        }

    def program(self, name: str, text: str) -> None:
        """Let a program do this; its arguments are noted."""
        file = self.folder / "programs" / name
        file.write_text(f'#!/bin/bash\necho "$*" >> {self.folder / name}.called\n{text}\n')
        file.chmod(0o755)

    def called(self, name: str) -> list[str]:
        file = self.folder / f"{name}.called"
        return file.read_text().splitlines() if file.exists() else []

    def run(self, *command: str | Path) -> tuple[int, str]:
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fast"], "unknown option '--fast'"),
        (["--engine"], "--engine wants a value"),
        (
            ["inventory/lab", "inventory/minimal"],
            "takes one inventory, and got 'inventory/lab' and 'inventory/minimal'",
        ),
        (["inventory/nowhere"], "there is no inventory 'inventory/nowhere' here; use one of: "),
        (["inventory/example"], "describes real servers; build those with: ansible-playbook site.yml -i"),
        (["--engine=oracle"], "unknown engine 'oracle'; use mysql or mariadb"),
        (["--topology=ring"], "unknown topology 'ring'; use cluster or replication"),
        (["--distro=buster"], "unknown distro 'buster'; use trixie"),
        (["--distro=bookworm", "--engine=mysql"], "no MySQL is packaged for bookworm; use --engine mariadb"),
        (["inventory/minimal", "--topology=cluster"], "--topology is not for inventory/minimal"),
    ],
)
def test_up_refuses_what_it_cannot_make(machine: Machine, words: list[str], said: str) -> None:
    machine.program("docker", "exit 1")
    status, output = machine.run(ROOT / "bin/up", *words)
    assert status != 0
    assert said in output
    assert machine.called("docker") == []


def test_an_inventory_is_looked_for_where_the_caller_stands(machine: Machine) -> None:
    (machine.folder / "mine").mkdir()
    assert (
        f"{os.path.relpath(machine.folder / 'mine', ROOT)} describes real servers"
        in machine.run(ROOT / "bin/up", "mine")[1]
    )


@pytest.mark.parametrize(("state", "said"), [("paused", "web1 is paused; bin/up"), ("", "has no host 'web1'; it has:")])
def test_a_shell_needs_a_host_that_runs(machine: Machine, state: str, said: str) -> None:
    machine.program("docker", f'[[ $* == *name=* ]] && echo "{state}"\nexit 0')
    status, output = machine.run(ROOT / "bin/ssh", "web1")
    assert status == 1
    assert said in output
    assert not [line for line in machine.called("docker") if line.startswith("exec")]


def test_down_removes_what_has_the_lab_s_label_and_nothing_else(machine: Machine) -> None:
    machine.program("docker", '[[ "$1 $2" == "ps -a" ]] && echo tandem-unit-web1\nexit 0')
    status, output = machine.run(ROOT / "bin/down")
    assert status == 0, output
    asked = [line for line in machine.called("docker") if line.startswith(("ps -a ", "network ls"))]
    assert len(asked) == 2
    assert all("--filter label=tandem.inventory=tandem-unit " in line for line in asked)
    assert [line for line in machine.called("docker") if line.startswith("rm ")] == ["rm -fv tandem-unit-web1"]


def test_down_without_an_engine_says_that_there_is_no_lab(machine: Machine) -> None:
    machine.program("docker", "exit 1")
    assert machine.run(ROOT / "bin/down") == (0, "[  0s] There is no lab 'tandem-unit'.\n")


# --- Its network ------------------------------------------------------------------------------------
def test_a_subnet_that_is_in_use_is_left_alone(machine: Machine) -> None:
    machine.program("ip", '[[ $* == *"root 172.30.10.0/24"* ]] && echo "172.30.10.0/24 dev eth1"\nexit 0')
    # Another engine's network has no route here; Docker says so.
    overlap = '[[ $* == *172.30.11.0* ]] && { echo "Pool overlaps with other one" >&2; exit 1; }; touch made'
    machine.program("docker", NETWORK.format(inspect="[[ -e made ]] && echo 172.30.12.0/24; exit", create=overlap))
    status, output = machine.run(ROOT / "lab/network.sh", "tandem-unit", machine.folder)
    assert status == 0, output
    assert output == "created 172.30.12.0/24\n"
    assert (machine.folder / "network").read_text() == "172.30.12"


def test_a_network_of_somebody_else_is_left_alone(machine: Machine) -> None:
    machine.program("docker", NETWORK.format(inspect="echo; exit 0", create="exit 0"))
    status, output = machine.run(ROOT / "lab/network.sh", "tandem-unit", machine.folder)
    assert status == 1
    assert "a network 'tandem-unit' that Tandem did not make is in the way" in output
    assert not [line for line in machine.called("docker") if "create" in line]


# --- An engine that died ----------------------------------------------------------------------------
@pytest.mark.parametrize("number", ["999999999", "1"])
def test_what_a_dead_engine_left_is_cleared(machine: Machine, number: str) -> None:
    """Its number may be another process's by now."""
    containerd = machine.folder / "docker/containerd"
    containerd.mkdir(parents=True)
    left = [machine.folder / "docker.pid", containerd / "containerd.pid"]
    for file in left:
        file.write_text(number)
    sockets = [machine.folder / "docker.sock", containerd / "containerd.sock", containerd / "containerd.sock.ttrpc"]
    for file in sockets:
        file.touch()
    machine.environment["engine_run"] = str(machine.folder)
    status, output = machine.run("bash", "-c", f". {ROOT}/lab/engine.sh; engine_clear_leftovers")
    assert status == 0, output
    assert not [file for file in [*left, *sockets] if file.exists()]
