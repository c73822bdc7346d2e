"""What a drill is, and how one is run: load on, fault, hold, heal, healthy again, load off, judge."""

from __future__ import annotations

import dataclasses
import gzip
import importlib.util
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from .alerts import Alerts, Prometheus
from .commands import CommandFailedError
from .hosts import Site
from .ledger import IncompleteLedgerError, Ledger, Writes
from .load import CONNECTING, Request, Settings, now
from .vips import STALL, Holding, Watch

CLIENT = "/usr/local/lib/tandem-load.py"
"""Where the load client lies on the client host."""
LEAD = 3.0
"""Seconds of load before the fault and after the site is healthy again."""
HOLD = 8.0
"""Seconds that a fault lasts, where a drill does not say otherwise."""
RECOVERY = 120.0
"""Seconds within which a healed site must be healthy."""
LATE = 0.1
"""Seconds of lateness of the client (99th percentile) beyond which a red run says that the machine was busy."""


class UnhealthyError(RuntimeError):
    """The site is not healthy, so a drill would show nothing."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """When it happened, for those who judge a failed request; Unix seconds."""

    begin: float
    """The fault was about to begin."""
    end: float
    """The fault was in force."""
    gap_end: float
    """Service was back: the longest interval without a success, before anything was healed, was over."""
    write_gap_end: float = 0.0
    """Writes were back: the longest interval without a successful one was over, healed or not."""
    unmoved: frozenset[str] = frozenset()
    """Addresses that stayed on their host: there is no excuse at those."""


Excuse = Callable[[Request, Moment], bool]


def in_flight(request: Request, moment: Moment) -> bool:
    """Excuse a request that was under way when its host died, or used a connection open at that moment.

    One that never got a connection in all its time is nobody's to excuse: another host answers by then.
    """
    if request.error == CONNECTING:
        return False
    before = request.sent <= moment.end or (request.opened is not None and request.opened <= moment.end)
    return before and request.done >= moment.begin and request.to not in moment.unmoved


def within_gap(request: Request, moment: Moment) -> bool:
    """Excuse a request that was sent before service had come back, or used a connection open when it went."""
    sent = moment.begin <= request.sent <= moment.gap_end and request.to not in moment.unmoved
    return sent or in_flight(request, moment)


def told_to_come_back(request: Request, moment: Moment) -> bool:
    """Excuse a write that was sent before writes were back, and answered in time with 503 and when to come back."""
    refused = request.method == "POST" and request.error == "HTTP 503"
    return refused and request.done >= moment.begin and request.sent <= moment.write_gap_end


def until_writes_are_back(request: Request, moment: Moment) -> bool:
    """Excuse a request that was sent before writes were back, where nobody has any data until then."""
    return moment.begin <= request.sent <= moment.write_gap_end or in_flight(request, moment)


@dataclasses.dataclass(frozen=True)
class Expect:
    """What must hold. Lost and double writes are never allowed."""

    excuse: Excuse | None = None
    """Which failed requests are nobody's fault; None: no request may fail."""
    most: float = 0.0
    """How many may be excused, as seconds of load; 0: any number."""
    gap: float | None = None
    """Longest time in seconds without a success at an address; None: not judged."""
    write_gap: float | None = None
    """Longest time in seconds without an acknowledged write; None: not judged."""

    def text(self) -> str:
        """Return the expectation on failed requests as the tables say it."""
        if self.excuse is None:
            return "0"
        words = self.excuse.__name__.replace("_", " ")
        return f"{words}, < {self.most:g} s of load" if self.most else words


@dataclasses.dataclass(frozen=True)
class Drill:
    """A file of this folder: a docstring that says what it shows, and `inject(site)`.

    Every fault that `inject` makes by a method of a host is undone by the runner, so a drill has no code to
    heal. Optional are EXPECT, ALERTS (without it none may fire), HOLD in seconds, NEEDS (least size of
    attributes of the site, as {"vips": 1}) and `prepare(site)`, which runs before the load.
    """

    name: str
    shows: str
    inject: Callable[[Site], object]
    prepare: Callable[[Site], object] | None
    expect: Expect
    hold: float
    needs: dict[str, int]
    alerts: Alerts = dataclasses.field(default_factory=Alerts)

    @classmethod
    def of(cls, module: ModuleType) -> Drill:
        """Return the drill of a module.

        :raises AttributeError: when it has no `inject`.
        """
        assert module.__doc__, f"{module.__name__} does not say what it shows"
        return cls(
            name=module.__name__.replace("_", "-"),
            shows=module.__doc__.strip().splitlines()[0],
            inject=module.inject,
            prepare=getattr(module, "prepare", None),
            expect=getattr(module, "EXPECT", Expect()),
            hold=getattr(module, "HOLD", HOLD),
            needs=getattr(module, "NEEDS", {}),
            alerts=getattr(module, "ALERTS", Alerts()),
        )

    def missing(self, site: Site) -> str | None:
        """Return what this site lacks for the drill, None if nothing."""
        for attribute, least in self.needs.items():
            if (size := len(getattr(site, attribute))) < least:
                return f"needs {least} {attribute}, this site has {size}"
        return None


def drills(folder: Path) -> list[Drill]:
    """Return every drill of the folder, by file name."""
    found = []
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(Drill.of(module))
    return found


class Load:
    """The load client, running on the client host; its ledger is kept in a file as it arrives."""

    def __init__(self, site: Site, settings: Settings, ledger: Path) -> None:
        self.sent = self.failed = 0
        self._settings, self._ledger = settings, ledger
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the load
        self._process = subprocess.Popen(
            [
                "docker",
                "exec",
                "-i",
                site.client.container,
                "python3",
                CLIENT,
                json.dumps(dataclasses.asdict(settings)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with gzip.open(self._ledger, "wt", compresslevel=1, encoding="utf-8") as file:
            for line in self._process.stdout:
                file.write(line)
                if '"n":' in line:
                    self.sent += 1
                    self.failed += '"error": null' not in line

    @property
    def running(self) -> bool:
        """Whether the client is at work."""
        return self._process.poll() is None

    def stop(self) -> Ledger:
        """End the load, wait for the last answers, and return the ledger.

        :raises IncompleteLedgerError: when the client broke down; carries what it said.
        """
        if not self._process.stdin.closed:
            self._process.stdin.close()
        self._reader.join(self._settings.total_timeout + 30)
        if self._reader.is_alive():
            self._process.kill()
            self._reader.join()
        self._process.wait()
        try:
            with gzip.open(self._ledger, "rt", encoding="utf-8") as lines:
                return Ledger.read(lines)
        except IncompleteLedgerError as error:
            self._errors.seek(0)
            raise IncompleteLedgerError(f"{error}; it said: {self._errors.read()[-500:] or 'nothing'}") from error
        finally:
            self._errors.close()


@dataclasses.dataclass
class Outcome:
    """One run of a drill. Moments in `marks` are seconds from the start of the load."""

    problems: list[str]
    """Why the run is red; empty when everything held."""
    marks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    timeline: dict[str, list[Any]] = dataclasses.field(default_factory=dict)


def install_client(site: Site) -> None:
    """Put the load client on the client host, with its library from the distribution."""
    if "no" in site.client.run("sh", "-c", "python3 -c 'import aiohttp' 2>/dev/null || echo no"):
        site.client.run(
            "sh",
            "-c",
            "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y "
            "--no-install-recommends python3-aiohttp",
            timeout=300,
        )
    source = Path(__file__).with_name("load.py").read_text(encoding="utf-8")
    site.client.run("sh", "-c", f"cat > {CLIENT}", input=source)


def wait_until_healthy(site: Site, limit: float) -> list[str]:
    """Poll until the site is healthy and return an empty list, or what is wrong after `limit` seconds."""
    deadline = now() + limit
    while (problems := site.problems()) and now() < deadline:
        time.sleep(1)
    return problems


class Progress:
    """Says four times a second which phase it is and what the load has met so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.phase = "begins"
        self.load: Load | None = None
        self._say, self._over = say, threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        begun = now()
        while not self._over.wait(0.25):
            counts = f", {self.load.sent} answered, {self.load.failed} failed" if self.load else ""
            self._say(f"{now() - begun:4.0f} s  {self.phase}{counts}")


def perform(drill: Drill, site: Site, settings: Settings, ledger: Path, say: Callable[[str], None]) -> Outcome:
    """Run a drill once on a healthy site and judge it. Whatever happens, its faults are undone.

    :param ledger: file for the ledger.
    :param say: takes what is happening, several times a second, for the terminal.
    """
    marks: list[tuple[float, str]] = []
    problems: list[str] = []
    watch = Watch(site.loadbalancers, site.vips)
    prometheus = Prometheus(site.monitoring[0]) if site.monitoring else None
    fired: dict[str, float] = {}
    known: set[str] = set()
    load: Load | None = None

    def hold(phase: str, seconds: float) -> None:
        progress.phase = phase
        until = now() + seconds
        while now() < until:
            if not load.running:
                raise IncompleteLedgerError("the load client ended by itself")
            time.sleep(0.05)

    def mark(label: str) -> None:
        marks.append((now(), label))
        progress.phase = label

    with Progress(say) as progress:
        try:
            if drill.prepare:
                progress.phase = "prepare"
                drill.prepare(site)
            if prometheus:
                progress.phase = "alerts of before end"
                known = prometheus.known(drill.alerts.fire)
            watch.start()
            load = progress.load = Load(site, settings, ledger)
            while load.sent < settings.rate / 2:
                hold("load begins", 0.05)
            hold("load", LEAD)
            mark("fault")
            site.faults.struck = None
            try:
                drill.inject(site)
            except CommandFailedError as error:
                problems.append(f"inject: {error}")
            marks.append((site.faults.struck or now(), "in force"))
            hold("fault in force", drill.hold)
            if prometheus and drill.alerts.fire:
                prometheus.wait_for(
                    drill.alerts.fire, marks[0][0], drill.alerts.within, lambda seconds: hold("alerts", seconds)
                )
            mark("heal")
            site.heal()
            problems += [
                f"not healthy {RECOVERY:g} s after it was healed: {problem}"
                for problem in wait_until_healthy(site, RECOVERY)
            ]
            mark("healthy")
            hold("healthy", LEAD)
            if prometheus:
                begin = marks[0][0]
                fired = {
                    name: moment - begin
                    for name, moment in prometheus.firing(now() - begin).items()
                    if name not in known
                }
                problems += drill.alerts.judge(fired)
        except (CommandFailedError, IncompleteLedgerError) as error:
            problems.append(str(error))
        finally:  # also on Ctrl-C: the faults first, then what only watches
            try:
                site.heal()
            except CommandFailedError as error:
                problems.append(f"heal: {error}")
            holdings = watch.stop()
            try:
                ended = load.stop() if load else None
            except IncompleteLedgerError as error:
                ended = None
                problems.append(str(error))
    if ended is None or len(marks) < 2:
        return Outcome(problems)
    try:
        rows = site.rows(settings.run)
    except CommandFailedError as error:
        return Outcome([*problems, f"the database could not be asked: {error}"])
    outcome = judge(drill, ended, marks, holdings, ended.compare(rows), problems)
    outcome.numbers["alerts"] = {name: round(seconds, 1) for name, seconds in sorted(fired.items())}
    return outcome


def judge(
    drill: Drill,
    ledger: Ledger,
    marks: list[tuple[float, str]],
    holdings: list[Holding],
    writes: Writes,
    problems: list[str],
) -> Outcome:
    """Hold what was measured against what the drill expects; `problems` are those already known."""
    expect, found = drill.expect, list(problems)
    addresses = {request.to for request in ledger.requests}

    def longest(begin: float | None = None, end: float | None = None) -> tuple[float, float]:
        gaps = [ledger.gap(lambda request, to=to: request.to == to, begin, end) for to in addresses]
        return max(gaps, key=_length)

    def writes_only(request: Request) -> bool:
        return request.method == "POST"

    gap_begin, gap_end = longest()
    gap = gap_end - gap_begin
    begin, end = marks[0][0], marks[1][0]
    healed = marks[2][0] if len(marks) > 2 else ledger.end
    unmoved = frozenset(h.address for h in holdings if len(h.holders(begin, healed)) == 1)
    # What comes later than is allowed is no longer the gap: a stall of the machine then excuses nothing before it.
    gap_until = healed if expect.gap is None else min(healed, end + expect.gap)
    write_gap_until = None if expect.write_gap is None else end + expect.write_gap
    write_gap_end = max(end, ledger.gap(writes_only, begin, write_gap_until)[1])
    moment = Moment(begin, end, max(end, longest(begin, gap_until)[1]), write_gap_end, unmoved)
    excused = [r for r in ledger.failed if expect.excuse and expect.excuse(r, moment)]
    unexcused = len(ledger.failed) - len(excused)

    if unexcused:
        found.append(
            f"{unexcused} of {len(ledger.requests)} requests failed"
            + (f" besides the {len(excused)} that may ({expect.text()})" if expect.excuse else "")
        )
    if expect.most and len(excused) >= expect.most * ledger.settings.rate:
        found.append(
            f"{len(excused)} requests failed {expect.excuse.__name__.replace('_', ' ')}, "
            f"{expect.most:g} s of load are {expect.most * ledger.settings.rate:g}"
        )
    if retries := sum(request.attempts > 1 for request in ledger.requests):
        found.append(f"{retries} requests were sent more than once by the client's library")
    if writes.lost:
        found.append(f"{len(writes.lost)} of {writes.acknowledged} acknowledged writes are lost: {writes.lost[:3]}")
    if writes.double:
        found.append(f"{len(writes.double)} writes are in the database more than once: {writes.double[:3]}")
    if expect.gap is not None and gap > expect.gap:
        found.append(f"no success for {gap:.2f} s, allowed are {expect.gap:g} s")
    write_gap = _length(ledger.gap(writes_only))
    if expect.write_gap is not None and write_gap > expect.write_gap:
        found.append(f"no write was acknowledged for {write_gap:.2f} s, allowed are {expect.write_gap:g} s")
    for holding in holdings:
        if holding.two > STALL:
            found.append(f"two hosts held {holding.address} at once for {holding.two:.2f} s")
        if holding.none > (expect.gap if expect.gap is not None else STALL):
            found.append(f"no host held {holding.address} for {holding.none:.2f} s")
    if found and (late := ledger.lateness(0.99)) > LATE:
        found.append(f"the machine was busy: the client sent up to {late:.2f} s late, so the site may not be at fault")

    def since_start(moment: float) -> float:
        return round(moment - ledger.start, 3)

    timeline = ledger.timeline()
    return Outcome(
        problems=found,
        marks=[{"t": since_start(t), "label": label} for t, label in marks],
        numbers={
            "requests": len(ledger.requests),
            "failed": len(ledger.failed),
            "excused": len(excused),
            "errors": ledger.errors(),
            "acknowledged": writes.acknowledged,
            "lost": len(writes.lost),
            "double": len(writes.double),
            "unknown_present": writes.unknown_present,
            "gap": round(gap, 3),
            "gap_at": since_start(gap_begin),
            "write_gap": round(write_gap, 3),
            "latency": {
                "p50": round(ledger.latency(0.5), 4),
                "p99": round(ledger.latency(0.99), 4),
                "max": round(ledger.latency(1), 4),
            },
            "lateness": {"p99": round(ledger.lateness(0.99), 4), "max": round(ledger.lateness(1), 4)},
            "client_cpu": round(ledger.cpu_seconds / (ledger.end - ledger.start), 3),
            "hidden_retries": retries,
            "vips": [
                {
                    "address": h.address,
                    "two": round(h.two, 3),
                    "none": round(h.none, 3),
                    "holders": [
                        {"host": host, "begin": since_start(begin), "end": since_start(end)}
                        for host, spans in h.intervals.items()
                        for begin, end in spans
                    ],
                }
                for h in holdings
            ],
        },
        timeline={key: [record[key] for record in timeline] for key in ("t", "ok", "failed", "p50", "max")},
    )


def _length(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def run_all(
    chosen: list[Drill], site: Site, settings: Settings, repeat: int, folder: Path, say: Callable[[str], None]
) -> Iterator[tuple[Drill, list[Outcome]]]:
    """Run each drill `repeat` times; yield it with its outcomes as soon as it is done, or cut short.

    :raises UnhealthyError: when the site is not healthy before a run, after a minute's patience.
    """
    for drill in chosen:
        outcomes = []
        for number in range(1, repeat + 1):
            say("is the site healthy?")
            if problems := wait_until_healthy(site, 60):
                if outcomes:
                    yield drill, outcomes
                raise UnhealthyError("; ".join(problems))
            # A name of its own for each run: it marks the run's notes in the database.
            mark = f"drill-{drill.name}-{number}-{int(time.time())}"
            prefix = f"{drill.name} {number}/{repeat}"
            try:
                outcome = perform(
                    drill,
                    site,
                    dataclasses.replace(settings, run=mark),
                    folder / f"{drill.name}-{number}.jsonl.gz",
                    lambda text, prefix=prefix: say(f"{prefix} {text}"),
                )
            except (CommandFailedError, KeyboardInterrupt):
                if outcomes:
                    yield drill, outcomes
                raise
            outcomes.append(outcome)
            site.turn()
        yield drill, outcomes
