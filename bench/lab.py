"""A lab of the benchmark's own, and what a play on it costs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.run import accelerated as mitogen

ROOT = Path(__file__).resolve().parent.parent
NAME = "tandem-bench"
# Installed as base does it: nothing that is recommended, nothing started.
INSTALL = """
set -e
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
"""


class BenchError(Exception):
    """What cannot be measured, and why."""


@dataclass
class Cost:
    """What a command cost: seconds on the clock, CPU seconds and memory of the controller, seconds of each task."""

    wall: float
    cpu: float
    memory_mib: float
    changed: int = 0
    tasks: list[tuple[str, float]] = field(default_factory=list)

    def roles(self) -> dict[str, float]:
        """Return the seconds of each role, longest first; what is in no role is `play`."""
        sums: dict[str, float] = {}
        for name, seconds in self.tasks:
            role = name.split(" : ")[0].removeprefix("tandem.web.") if " : " in name else "play"
            sums[role] = sums.get(role, 0) + seconds
        return dict(sorted(sums.items(), key=lambda each: -each[1]))


class Lab:
    """Bare hosts of one inventory, as often as they are wanted."""

    def __init__(self, inventory: str, accelerated: bool) -> None:
        self.inventory = inventory
        self.state = ROOT / ".lab" / NAME
        self.environment = os.environ | {
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            "ANSIBLE_HOME": f"{ROOT}/.ansible",
            "ANSIBLE_CONFIG": f"{ROOT}/ansible.cfg",
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
            "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
            "LC_ALL": "C.UTF-8",
            "TANDEM_LAB": NAME,
        }
        self.accelerator = mitogen() if accelerated else {}

    def bare(self) -> None:
        """Make its hosts anew, with nothing on them, and the CA that only tests have."""
        self.remove()
        for playbook in ("lab/create.yml", "lab/acme.yml"):
            self.run(["ansible-playbook", playbook, "-i", self.inventory])

    def remove(self) -> None:
        """Remove its hosts, network and state."""
        subprocess.run([ROOT / "lab/destroy.sh", NAME], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", self.state], check=True)

    def site(self, *options: str) -> Cost:
        """Run site.yml."""
        return self.run(["ansible-playbook", "site.yml", "-i", self.inventory, *options], self.accelerator)

    def run(self, command: list[str], environment: dict[str, str] | None = None) -> Cost:
        """Run a command and return what it cost.

        :raises BenchError: with the end of its output when it fails.
        """
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)  # with all the processes that it waited for
        wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{output[-3000:]}")
        _, _, recap = output.partition("TASKS RECAP")
        return Cost(
            wall,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss / 1024,
            sum(map(int, re.findall(r"changed=(\d+)", output))),
            [(name, float(seconds)) for name, seconds in re.findall(r"^(\S.*?) -{2,} ([\d.]+)s$", recap, re.MULTILINE)],
        )

    def hosts(self) -> list[str]:
        """Return the containers of the hosts that the site manages."""
        listing = json.loads(
            subprocess.check_output(
                ["ansible-inventory", "-i", self.inventory, "--list"], cwd=ROOT, env=self.environment, text=True
            )
        )
        return [
            variables["ansible_host"]
            for name, variables in listing["_meta"]["hostvars"].items()
            if name not in listing.get("clients", {}).get("hosts", [])
        ]

    def packages(self) -> dict[str, list[str]]:
        """Return what is installed on each host, as apt takes it: name=version."""
        show = ["dpkg-query", "--show", "--showformat", "${Package}=${Version}\n"]
        return {
            host: subprocess.check_output(["docker", "exec", host, *show], text=True).split() for host in self.hosts()
        }

    def sources(self) -> dict[str, bytes]:
        """Return the package sources that the site has added, as an archive for each host."""
        save = "cd / && tar -cf - etc/apt/sources.list.d etc/apt/preferences.d"
        return {host: subprocess.check_output(["docker", "exec", host, "sh", "-c", save]) for host in self.hosts()}

    def install(self, wanted: dict[str, list[str]], sources: dict[str, bytes]) -> float:
        """Let apt alone install on all hosts at once what they lack; return the seconds that took."""
        for host, archive in sources.items():
            subprocess.run(["docker", "exec", "-i", host, "tar", "-xf", "-", "-C", "/"], input=archive, check=True)
        there = self.packages()

        def install(host: str) -> None:
            missing = sorted(set(wanted[host]) - set(there[host]))
            done = subprocess.run(
                ["docker", "exec", host, "sh", "-c", INSTALL, "sh", *missing],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise BenchError(f"apt on {host} failed:\n{done.stderr[-2000:]}")

        begin = time.monotonic()
        with ThreadPoolExecutor() as pool:
            list(pool.map(install, wanted))
        return time.monotonic() - begin
