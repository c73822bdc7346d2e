"""The drills without a lab: each file is one, faults are always undone, and verdicts are what was measured."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from tests.drills.tandem_drill import drill as engine
from tests.drills.tandem_drill import hosts, probe, report
from tests.drills.tandem_drill.drill import (
    Expect,
    Moment,
    in_flight,
    judge,
    told_to_come_back,
    until_writes_are_back,
    within_gap,
)
from tests.drills.tandem_drill.ledger import Ledger, Writes
from tests.drills.tandem_drill.load import CONNECTING, Request, Settings, plan
from tests.drills.tandem_drill.vips import Holding, holding
from tests.support.wait import wait_until

DRILLS = engine.drills(Path(engine.__file__).parents[1])
SETTINGS = Settings(url="https://www.tandem.test", addresses=["192.0.2.10"], run="unit")
NO_WRITES = Writes(acknowledged=0, lost=[], double=[], unknown_present=0)
MARKS = [(1.0, "fault"), (1.1, "in force"), (3.0, "heal"), (4.0, "healthy")]


def ledger(failing: range = range(0), seconds: float = 5.0) -> Ledger:
    """Return a ledger in which the requests with these numbers fail after half a second."""
    requests = []
    for n in range(int(seconds * SETTINGS.rate)):
        request = plan(n, SETTINGS, 0.0)
        request.sent, request.done, request.attempts = request.planned, request.planned + 0.01, 1
        request.opened = request.sent
        if n in failing:
            request.error, request.done = "HTTP 503", request.planned + 0.5
        requests.append(request)
    return Ledger(SETTINGS, requests, 0.0, seconds, cpu_seconds=1.0)


def drill(expect: Expect) -> engine.Drill:
    return engine.Drill("unit", "A unit test.", lambda site: None, None, expect, 1.0, {})


def verdict(expect: Expect, measured: Ledger, holdings=(), writes: Writes = NO_WRITES) -> list[str]:
    return judge(drill(expect), measured, MARKS, list(holdings), writes, []).problems


# --- The files ------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", DRILLS, ids=lambda one: one.name)
def test_drill_file(one: engine.Drill) -> None:
    assert one.shows.endswith(".")
    assert set(one.needs) <= {
        "vips",
        "acme_hosts",
        "loadbalancers",
        "webservers",
        "databases",
        "cluster",
        "replication",
    }
    assert one.expect.most == 0 or one.expect.excuse is not None


def test_drill_that_the_site_is_too_small_for() -> None:
    needy = engine.Drill("unit", "x.", print, None, Expect(), 1.0, {"vips": 1})
    assert needy.missing(SimpleNamespace(vips=[])) == "needs 1 vips, this site has 0"
    assert needy.missing(SimpleNamespace(vips=["192.0.2.10"])) is None


# --- Verdicts -------------------------------------------------------------------------------------
def test_nothing_failed() -> None:
    assert verdict(Expect(), ledger()) == []


def test_one_failure_is_too_many() -> None:
    assert verdict(Expect(), ledger(range(7, 8))) == ["1 of 1000 requests failed"]


def test_the_pause_of_writes_is_judged_by_itself() -> None:
    slow = ledger()
    for request in slow.requests:
        if request.method == "POST" and 1.0 < request.planned < 3.0:
            request.done = 3.0
    assert verdict(Expect(write_gap=3.0), slow) == []
    [problem] = verdict(Expect(write_gap=1.0), slow)
    assert problem.startswith("no write was acknowledged for ")


def test_failures_in_flight_are_excused_up_to_their_share() -> None:
    allowed = Expect(excuse=in_flight, most=0.2)
    assert verdict(allowed, ledger(range(181, 220))) == []
    assert verdict(allowed, ledger(range(180, 220))) == ["40 requests failed in flight, 0.2 s of load are 40"]


def test_failure_on_a_connection_opened_after_the_fault_is_never_in_flight() -> None:
    [problem] = verdict(Expect(excuse=in_flight, most=0.2), ledger(range(219, 223)))
    assert problem.startswith("2 of 1000 requests failed besides the 2 that may")


def test_who_is_excused() -> None:
    moment = Moment(begin=1.0, end=1.1, gap_end=1.9)

    def request(sent: float, opened: float | None, done: float = 2.0) -> Request:
        return Request(
            n=0, planned=sent, method="GET", path="/", to=None, new=False, sent=sent, opened=opened, done=done
        )

    assert in_flight(request(1.05, None), moment)
    late = request(1.05, None)
    late.error = CONNECTING
    assert not in_flight(late, moment)
    assert in_flight(request(1.5, 0.5), moment)  # a kept connection of the dead host
    assert not in_flight(request(1.5, 1.4), moment)
    assert not in_flight(request(1.5, None), moment)
    assert not in_flight(request(0.5, 0.4, done=0.9), moment)  # it failed before anything was broken
    assert within_gap(request(1.5, None), moment)
    assert not within_gap(request(0.5, 0.4, done=0.9), moment)
    assert not within_gap(request(2.0, 2.0), moment)


def test_a_write_is_told_to_come_back_only_until_writes_are_back() -> None:
    moment = Moment(begin=1.0, end=1.1, gap_end=1.1, write_gap_end=8.0)

    def request(sent: float, method: str = "POST", error: str = "HTTP 503") -> Request:
        return Request(
            n=0, planned=sent, method=method, path="/", to=None, new=True, sent=sent, done=sent + 5, error=error
        )

    assert told_to_come_back(request(0.9), moment)
    assert told_to_come_back(request(7.9), moment)
    assert not told_to_come_back(request(8.1), moment)
    assert not told_to_come_back(request(2.0, method="GET"), moment)
    assert not told_to_come_back(request(2.0, error="HTTP 503 without Retry-After"), moment)
    assert not told_to_come_back(request(2.0, error="HTTP 504"), moment)
    for method in "GET", "POST":
        assert until_writes_are_back(request(7.9, method, "HTTP 504"), moment)
        assert not until_writes_are_back(request(8.1, method, "HTTP 504"), moment)


def test_nobody_is_excused_at_an_address_that_stayed() -> None:
    moment = Moment(begin=1.0, end=1.1, gap_end=1.9, unmoved=frozenset({"192.0.2.2"}))

    def request(to: str) -> Request:
        return Request(n=0, planned=1.05, method="GET", path="/", to=to, new=True, sent=1.05, done=2.0)

    for excuse in in_flight, within_gap:
        assert excuse(request("192.0.2.1"), moment)
        assert not excuse(request("192.0.2.2"), moment)


def test_holders_of_an_address() -> None:
    held = Holding("192.0.2.1", {"lb1": [(0.0, 5.0)], "lb2": [(5.5, 9.0)]}, two=0.0, none=0.5)
    assert held.holders(1.0, 4.0) == ["lb1"]
    assert held.holders(4.0, 6.0) == ["lb1", "lb2"]


def test_gap() -> None:
    measured = ledger(range(200, 300))
    assert verdict(Expect(excuse=within_gap, gap=1.0), measured) == []
    assert verdict(Expect(excuse=within_gap, gap=0.3), measured) == [
        "19 of 1000 requests failed besides the 81 that may (within gap)",  # they were sent after 0.3 s
        "no success for 0.51 s, allowed are 0.3 s",
    ]


def test_failures_while_healing_are_not_within_the_gap() -> None:
    """Also where healing makes the longest interval without a success."""
    [problem, _] = verdict(Expect(excuse=within_gap, gap=1.0), ledger(range(600, 900)))
    assert problem.startswith("300 of 1000 requests failed")


def test_a_longer_stall_later_on_excuses_nothing_before_it() -> None:
    measured = ledger([*range(205, 240), *range(500, 560)])
    [problem] = verdict(Expect(excuse=within_gap, gap=0.5), measured)
    assert problem.startswith("60 of 1000 requests failed besides the 35 that may")


def test_a_request_that_was_sent_twice_is_told() -> None:
    measured = ledger()
    measured.requests[7].attempts = 2
    assert verdict(Expect(), measured) == ["1 requests were sent more than once by the client's library"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, engine.UnhealthyError])
def test_what_was_measured_before_the_end_is_kept(end: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    sick = ["lb2: web/web1 is DOWN"] if end is engine.UnhealthyError else []
    runs, looks = iter(["first", end()]), iter([[], sick])

    def perform(*_: object) -> str:
        run = next(runs)
        if isinstance(run, BaseException):
            raise run
        return run

    monkeypatch.setattr(engine, "perform", perform)
    monkeypatch.setattr(engine, "wait_until_healthy", lambda *_: next(looks))
    site = SimpleNamespace(turn=lambda: None)
    done = engine.run_all([drill(Expect())], site, SETTINGS, 3, Path(), lambda _: None)
    assert next(done)[1] == ["first"]
    with pytest.raises(end):
        next(done)


def test_lost_and_double_writes_are_never_allowed() -> None:
    writes = Writes(acknowledged=9, lost=["a"], double=["b"], unknown_present=0)
    assert [problem.split(":")[0] for problem in verdict(Expect(excuse=within_gap), ledger(), writes=writes)] == [
        "1 of 9 acknowledged writes are lost",
        "1 writes are in the database more than once",
    ]


def test_each_run_breaks_another_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    site = hosts.Site.__new__(hosts.Site)
    site.webservers = ["web1", "web2"]
    monkeypatch.setattr(engine, "perform", lambda _, site, *__: site.webservers[0])
    monkeypatch.setattr(engine, "wait_until_healthy", lambda *_: [])
    [(_, broken)] = engine.run_all([drill(Expect())], site, SETTINGS, 3, Path(), lambda _: None)
    assert broken == ["web1", "web2", "web1"]


# --- Virtual addresses ----------------------------------------------------------------------------
def samples(begin: float, end: float, length: float = 5.0) -> list[tuple[float, bool]]:
    return [(t / 20, begin <= t / 20 < end) for t in range(int(length * 20))]


def test_address_moves() -> None:
    moved = holding("192.0.2.10", {"lb1": samples(0, 2), "lb2": samples(2.5, 5)})
    assert moved.two == 0
    assert moved.none == pytest.approx(0.55)
    assert verdict(Expect(gap=0.3), ledger(), [moved]) == ["no host held 192.0.2.10 for 0.55 s"]


def test_address_held_twice() -> None:
    twice = holding("192.0.2.10", {"lb1": samples(0, 3.5), "lb2": samples(2, 5)})
    assert twice.none == 0
    assert twice.two == pytest.approx(1.45)
    assert verdict(Expect(gap=1), ledger(), [twice]) == ["two hosts held 192.0.2.10 at once for 1.45 s"]


def test_host_that_falls_silent_holds_nothing() -> None:
    frozen = [sample for sample in samples(0, 5) if not 1 < sample[0] < 4]
    moved = holding("192.0.2.10", {"lb1": frozen, "lb2": samples(1.2, 4.2)})
    assert moved.two == pytest.approx(0.15)
    assert moved.none == pytest.approx(0.2)


def test_probe_reads_the_addresses_of_this_host() -> None:
    assert probe.held(["127.0.0.1", "192.0.2.10", "::2"]) == ["127.0.0.1"]


def test_probe_reads_haproxy(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            client = server.accept()[0]
            client.recv(100)
            client.sendall(
                b"# pxname,svname,status\nsite,FRONTEND,OPEN\nweb,web1,UP\nweb,web2,DOWN\nweb,spare,no check\n"
            )
            client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        answers = probe.answer({"up": ("haproxy", path), "none": ("haproxy", path + "-none")})
        thread.join()
    assert answers["up"] == {"web/web1": "UP", "web/web2": "DOWN"}
    assert answers["none"].startswith("FileNotFoundError")


# --- Faults ---------------------------------------------------------------------------------------
@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record commands instead of running them."""
    given: list[str] = []

    def record(*argv: str, **_: object) -> str:
        said = {"inspect": "true", "exec": "7", "run": "1000.5"}.get(argv[1], "")
        if not said:
            given.append(" ".join(argv))
        return said

    monkeypatch.setattr(hosts, "run", record)
    return given


@pytest.fixture
def site(commands: list[str]) -> hosts.Site:
    made = hosts.Site.__new__(hosts.Site)
    made.faults = hosts.Faults()
    made.webservers = [
        hosts.Host(name, {"topology_address": "192.0.2.1", "ansible_host": f"lab-{name}"}, made.faults)
        for name in ("web1", "web2")
    ]
    return made


def test_faults_are_undone_in_reverse(site: hosts.Site, commands: list[str]) -> None:
    site.webservers[0].kill()
    site.webservers[1].freeze()
    site.heal()
    assert commands == [
        "docker kill lab-web1",
        "docker pause lab-web2",
        "docker unpause lab-web2",
        "docker start lab-web1",
    ]
    assert (site.faults.undo, site.faults.struck) == ([], None)


def test_fault_that_cannot_be_undone_does_not_keep_the_others(
    site: hosts.Site, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise hosts.CommandFailedError("no")

    site.webservers[0].kill()
    site.faults.undo.append(refuse)
    with pytest.raises(hosts.CommandFailedError, match="no"):
        site.heal()
    assert commands[-1] == "docker start lab-web1"


def test_way_back_that_is_interrupted_is_taken_again(site: hosts.Site) -> None:
    taken: list[str] = []

    def back() -> None:
        taken.append("back")
        if len(taken) == 1:
            raise KeyboardInterrupt

    site.faults.undo.append(back)
    with pytest.raises(KeyboardInterrupt):
        site.heal()
    site.heal()
    assert taken == ["back", "back"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, hosts.CommandFailedError])
def test_site_is_healed_whatever_happens(
    site: hosts.Site, commands: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: type
) -> None:
    class Idle:
        running, sent, failed = True, 100, 0

        def __init__(self, *_: object) -> None: ...
        def stop(self) -> None: ...

    def inject(broken: hosts.Site) -> None:
        broken.webservers[0].kill()
        raise fault("in the middle")

    monkeypatch.setattr(engine, "Load", Idle)
    monkeypatch.setattr(engine, "LEAD", 0)
    monkeypatch.setattr(site, "problems", list, raising=False)
    site.loadbalancers, site.vips, site.monitoring = [], [], []
    broken = engine.Drill("unit", "x.", inject, None, Expect(), 0, {})
    arguments = (broken, site, SETTINGS, tmp_path / "ledger", lambda text: None)
    if fault is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            engine.perform(*arguments)
    else:
        assert engine.perform(*arguments).problems == ["inject: in the middle"]
    assert commands == ["docker kill lab-web1", "docker start lab-web1"]


def test_sick_site_is_not_broken_further(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "wait_until_healthy", lambda *_: ["web1 is DOWN"])
    with pytest.raises(engine.UnhealthyError, match="web1 is DOWN"):
        next(engine.run_all([drill(Expect())], SimpleNamespace(), SETTINGS, 1, tmp_path, print))


def test_stand_in_answers_late_and_wrong(tmp_path: Path) -> None:
    path = tmp_path / "app" / "app.sock"
    process = subprocess.Popen([sys.executable, "-c", hosts.STAND_IN, str(path), "500", "0.3"])
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            # Its file is there a moment before anybody listens.
            wait_until(lambda: client.connect_ex(str(path)) == 0, 10, "the stand-in to listen", interval=0.02)
            begun = time.monotonic()
            client.sendall(b"POST /notes HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
    finally:
        process.terminate()
        process.wait()
    assert b" 500 " in answer.splitlines()[0]
    assert 0.3 <= time.monotonic() - begun < 5


# --- Reports --------------------------------------------------------------------------------------
@pytest.fixture
def result() -> dict:
    one = drill(Expect(excuse=in_flight, most=0.2, gap=1.0))
    made = {
        "started": "2026-01-02T03:04:05+00:00",
        "repeat": 1,
        "drills": [],
        "machine": {"cpu": "unit", "cores": 2, "memory_gib": 4.0, "kernel": "6.1", "docker": "26.1"},
        "site": {
            "url": SETTINGS.url,
            "addresses": SETTINGS.addresses,
            "distro": "trixie",
            "engine": "mysql",
            "topology": "replication",
            "loadbalancers": ["lb1"],
            "webservers": ["web1"],
            "databases": ["db1"],
        },
        "load": {"rate": 200.0, "writes": 0.2, "connect_timeout": 3.0, "total_timeout": 20.0, "lead": 3.0},
    }
    moved = holding("192.0.2.10", {"lb1": samples(0, 2), "lb2": samples(2.1, 5)})
    report.add(made, one, [judge(one, ledger(range(205, 208)), MARKS, [moved], NO_WRITES, [])])
    return made


def test_report_is_what_its_schema_says(result: dict, tmp_path: Path) -> None:
    report.save(result, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == result
    result["drills"][0]["runs"][0]["numbers"]["hidden_retries"] = -1
    with pytest.raises(jsonschema.ValidationError, match="less than the minimum"):
        report.save(result, tmp_path)


def test_page_needs_nothing_else(result: dict) -> None:
    page = report.page(result)
    assert "{{ " not in page
    assert "src=" not in page
    assert "<link" not in page


def test_tables(result: dict) -> None:
    assert "1/1" in report.table(result)
    assert (
        "| A unit test. (`unit`) | in flight, < 0.2 s of load | 3 | 0 / 0 | 0.02 | 1 | 0.045 | - | 1/1 |"
        in report.readme([result])
    )


def test_one_table_is_of_one_load(result: dict) -> None:
    assert report.readme([result, result]).count("A unit test.") == 2
    with pytest.raises(ValueError, match="one load"):
        report.readme([result, result | {"repeat": 99}])


def test_readme_is_updated_between_its_markers(result: dict, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{report.README_BEGIN}\nold\n{report.README_END}\nafter\n")
    report.update_readme([result], path)
    report.update_readme([result], path)
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("A unit test.") == 1
    path.write_text("no markers")
    with pytest.raises(ValueError, match="has no lines"):
        report.update_readme([result], path)
