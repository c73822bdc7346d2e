"""Runs unit tests and linters, then the Molecule scenarios, and sums up. Call it by bin/test."""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "reports"
PREFIX = os.environ.get("TANDEM_LAB_PREFIX", "tandem-test")
# So many scenarios share the machine: each spends most of its time waiting for packages and services.
WORKERS = 3
SCENARIO_LIMIT = 40 * 60
# (distro, engine) of --all beside the default; Debian 12 cannot take MySQL from sid.
COMBINATIONS = [("trixie", "mariadb"), ("bookworm", "mariadb")]
# First, so that none of them is left to run alone at the end. The whole site is built beside the short ones.
LONGEST = ("monitoring", "cluster", "galera", "mysql", "mariadb", "backup", "default")
# These are played with Ansible as it comes, and what takes long with Mitogen, so that both are tried in every run.
STOCK = ("base", "haproxy", "nginx", "ufw")
NOT_OURS = {".git", ".venv", ".ansible", ".cache", ".lab", "build", "reports"}

ENVIRONMENT = os.environ | {
    "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
    "ANSIBLE_HOME": f"{ROOT}/.ansible",
    "ANSIBLE_CONFIG": f"{ROOT}/ansible.cfg",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "ANSIBLE_NOCOLOR": "1",
    "MOLECULE_COMMAND_BORDERS": "false",
    "MOLECULE_REPORT": "false",
}


@dataclass
class Summary:
    """What has passed, and what has failed and why."""

    passed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more should begin; what needs no host ends with the check that runs."""

    def say(self, text: str) -> None:
        """Print a line of progress."""
        with self.lock:
            print(f"[{time.monotonic() - self.started:4.0f}s] {text}", flush=True)

    def add(self, name: str, passed: int, failures: list[tuple[str, str]], note: str = "") -> None:
        """Count the outcome of one step, and print it."""
        with self.lock:
            self.passed += passed
            self.failures += failures
        counts = [f"{passed} passed"] * bool(passed) + [f"{len(failures)} FAILED"] * bool(failures)
        self.say(f"{name}: {', '.join(counts)}{note}")

    def close(self) -> int:
        """Print every cause, then the one closing line; the first cause last, because it often explains the others."""
        for name, cause in reversed(self.failures):
            print(f"\n--- FAILED: {name}\n{cause.rstrip()}")
        print(f"\n{self.passed} passed, {len(self.failures)} failed", flush=True)
        return 1 if self.failures or not self.passed else 0


def tail(lines: list[str], count: int = 40) -> str:
    """Return the part of a step's output that says why it failed: the tasks that did, or its end."""
    begins = [i for i, line in enumerate(lines) if line.startswith(("TASK [", "PLAY ", "RUNNING HANDLER ["))]
    tasks = [lines[begin:end] for begin, end in pairwise([*begins, len(lines)])]
    failed = [
        task
        for task in tasks
        if any(line.startswith(("fatal: ", "failed: ", "[ERROR]")) for line in task) and "...ignoring\n" not in task
    ]
    return "".join(line for task in failed[:3] for line in task[:count]) or "".join(lines[-count:])


def read_junit(directory: Path) -> tuple[int, list[tuple[str, str]], int]:
    """Return the passed, the failed with their causes, and the number of the skipped; each file once."""
    passed, failures, skipped = 0, [], 0
    for path in sorted(directory.glob("*.xml")):
        for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 - pytest has just written it
            problems = [*case.findall("failure"), *case.findall("error")]
            if problems:
                printed = "".join(part.text or "" for part in case.findall("system-out"))
                text = "\n".join([*(part.text or "" for part in problems), tail(printed.splitlines(keepends=True))])
                failures.append((f"{case.get('classname')}::{case.get('name')}", text))
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
        path.rename(path.with_suffix(".counted"))
    return passed, failures, skipped


def new_reports(label: str) -> Path:
    """Return an empty directory for what a step leaves behind."""
    directory = REPORTS / label
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def add_tests(summary: Summary, name: str, reports: Path, output: list[str], failed: bool) -> None:
    """Count the tests of a run of pytest; one without a test, or that failed as a whole, is a failure."""
    passed, failures, skipped = read_junit(reports)
    failures = [(f"{name}: {test}", cause) for test, cause in failures]
    if not failures and (failed or not passed):
        failures.append((name, tail(output) if failed else "No test ran."))
    summary.add(name, passed, failures, f", {skipped} skipped" * bool(skipped))


def shell_scripts() -> Iterator[str]:
    """Find what shellcheck should read, by the first line where the name does not say it."""
    for directory, folders, files in os.walk(ROOT):
        folders[:] = [folder for folder in folders if folder not in NOT_OURS]
        for path in (Path(directory, name) for name in files if not name.endswith(".j2")):
            with path.open("rb") as stream:
                first = stream.readline(64)
            if path.suffix == ".sh" or re.match(rb"#!.*\b(ba)?sh\b", first):
                yield str(path.relative_to(ROOT))


def run_static(summary: Summary) -> None:
    """Everything that needs no host."""
    reports = new_reports("unit")
    checks = {
        "unit tests": ["pytest", "-q"],
        "yamllint": ["yamllint", "--strict", "."],
        "ansible-lint": ["ansible-lint", "-q"],
        "ruff check": ["ruff", "check", "--quiet", "."],
        "ruff format": ["ruff", "format", "--check", "--quiet", "--diff", "."],
        "shellcheck": ["shellcheck", "--external-sources", *sorted(shell_scripts())],
    }
    for name, command in checks.items():
        if summary.ended.is_set():
            return
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=ENVIRONMENT | {"TANDEM_TEST_REPORTS": str(reports)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        output, failed = done.stdout.splitlines(keepends=True), done.returncode != 0
        if name == "unit tests":
            add_tests(summary, name, reports, output, failed)
        else:
            summary.add(name, int(not failed), [(name, "".join(output[:60]))] if failed else [])


def accelerated() -> dict[str, str]:
    """Return the environment that lets Mitogen play; empty if TANDEM_STOCK is set."""
    if os.environ.get("TANDEM_STOCK"):
        return {}
    return {
        "ANSIBLE_STRATEGY": "tandem.web.accelerated",
        # Seconds for a host's Python to begin, on a busy machine.
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }


@dataclass
class Scenario:
    """One scenario on one Debian with one engine."""

    name: str
    distro: str = ""
    engine: str = ""
    thorough: bool = False
    """Whether what asks the engine little is tried on each engine."""
    process: subprocess.Popen[str] | None = None
    watchdog: threading.Timer | None = None
    after: list[Future[None]] = field(default_factory=list)
    """Everything else that runs."""

    @property
    def suffix(self) -> str:
        """Tells the combinations of --all apart."""
        return "".join(f"-{part}" for part in (self.distro, self.engine) if part)

    def run(self, summary: Summary) -> None:
        """`molecule test`, with each of its steps counted."""
        label = f"{self.name}{self.suffix}"
        reports = new_reports(label)
        environment = ENVIRONMENT | {
            "TANDEM_LAB_PREFIX": f"{PREFIX}{self.suffix}",
            "TANDEM_TEST_REPORTS": str(reports),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(reports / "molecule"),
            "TANDEM_TEST_ALONE": str(reports / "alone"),
        }
        environment |= {} if self.name in STOCK else accelerated()
        environment |= {"TANDEM_DISTRO": self.distro} if self.distro else {}
        environment |= {"TANDEM_ENGINE": self.engine} if self.engine else {}
        environment |= {} if self.thorough else {"TANDEM_TEST_ONCE": "1"}
        self.process = process = subprocess.Popen(
            ["molecule", "test", "-s", self.name],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if summary.ended.is_set():
            self.stop()
        self.watch()
        failed = self.follow(process, summary, label, reports)
        self.watchdog.cancel()
        if process.wait() and not failed:
            summary.add(label, 0, [(label, tail((reports / "log").read_text().splitlines(keepends=True)))])

    def follow(self, process: subprocess.Popen[str], summary: Summary, label: str, reports: Path) -> bool:
        """Read the output, and count each step as it ends. Return whether one failed."""
        output: list[str] = []
        begin, failed, verified = time.monotonic(), False, False
        with (reports / "log").open("w") as log:
            for line in process.stdout or []:
                line = re.sub(r"\x1b\[[0-9;]*m", "", line)
                log.write(line)
                output.append(line)
                event = re.search(r"> (\w+)\] (Executing$|Executed: (?:Successful|Failed))", line)
                if not event:
                    continue
                step, outcome = event.groups()
                if outcome == "Executing":
                    if (self.name, step) == ("default", "verify"):
                        self.give_the_machine(reports / "alone")
                    output, begin = [], time.monotonic()
                    continue
                bad = outcome.endswith("Failed")
                failed = failed or bad
                name, seconds = f"{label} {step}", f", {time.monotonic() - begin:.0f} s"
                if step == "verify":
                    verified = True
                    add_tests(summary, name, reports, output, bad)
                else:
                    summary.add(name, int(not bad), [(name, tail(output))] if bad else [], seconds)
        if not failed and not verified:
            summary.add(label, 0, [(label, f"Nothing was verified; the end of {reports}/log:\n{tail(output)}")])
            failed = True
        return failed

    def watch(self) -> None:
        """End it when it takes too long from now on."""
        if self.watchdog:
            self.watchdog.cancel()
        self.watchdog = threading.Timer(SCENARIO_LIMIT, self.stop)
        self.watchdog.daemon = True  # an interrupted run does not wait for it
        self.watchdog.start()

    def give_the_machine(self, note: Path) -> None:
        """Let drills begin when nothing else runs, because they count on the machine, and give them all the time."""
        self.watchdog.cancel()

        def give() -> None:
            wait(self.after)
            self.watch()
            note.touch()

        threading.Thread(target=give, daemon=True).start()

    def stop(self) -> None:
        """End it, with everything that it started."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def clean(self) -> None:
        """Leave no host, network or state behind, however the scenario ended."""
        lab = f"{PREFIX}{self.suffix}-{self.name}"
        if self.process:
            subprocess.run([ROOT / "lab/destroy.sh", lab], check=False, stdin=subprocess.DEVNULL)
            shutil.rmtree(ROOT / ".lab" / lab, ignore_errors=True)


def run(summary: Summary, scenarios: list[Scenario], static: bool) -> None:
    """Run some at a time; the drills of a whole site wait until the others have ended."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        steps = [pool.submit(run_static, summary)] if static else []
        for scenario in scenarios:
            scenario.after += steps
        whole = [scenario for scenario in scenarios if scenario.name == "default"]
        for scenario in [scenario for scenario in scenarios if scenario not in whole[1:]]:
            own = pool.submit(scenario.run, summary)
            for other in scenarios:
                other.after += [own] if other is not scenario else []
            steps.append(own)
        for step in steps:
            if error := step.exception():
                summary.add("bin/test", 0, [("bin/test", f"{type(error).__name__}: {error}")])
        for scenario in whole[1:]:
            scenario.run(summary)
    finally:
        summary.ended.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for scenario in scenarios:
            scenario.stop()
        pool.shutdown()
        for scenario in scenarios:
            scenario.clean()


def main() -> int:
    """Run what was asked for; without a word, everything."""
    available = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    available.sort(key=lambda name: (LONGEST.index(name) if name in LONGEST else len(LONGEST), name))
    parser = argparse.ArgumentParser(prog="bin/test", description="Tests everything, from a bare checkout.")
    parser.add_argument("--quick", action="store_true", help="only what needs no host")
    parser.add_argument("-s", dest="scenarios", nargs="+", action="extend", choices=available, help="only these")
    parser.add_argument("--all", action="store_true", help="on every Debian and engine")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios")
    options = parser.parse_args()
    if options.list:
        print(*available, sep="\n")
        return 0
    names = [] if options.quick else options.scenarios or available
    scenarios = [Scenario(name, thorough=options.all or bool(options.scenarios)) for name in names]
    if options.all:
        scenarios += [Scenario(name, *each, thorough=True) for each in COMBINATIONS for name in names]

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    summary = Summary()
    try:
        with Path(tempfile.gettempdir(), f"{PREFIX}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run(summary, scenarios, static=not options.scenarios)
    except BlockingIOError:
        summary.add(
            "bin/test", 0, [("bin/test", f"Another one runs; TANDEM_LAB_PREFIX (here {PREFIX}) sets them apart.")]
        )
    except KeyboardInterrupt:
        summary.add("bin/test", 0, [("bin/test", "Interrupted; its labs are gone.")])
    return summary.close()


if __name__ == "__main__":
    sys.exit(main())
