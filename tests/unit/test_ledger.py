"""What is read from a ledger, on ledgers written by hand."""

import dataclasses
import json

import pytest

from tests.drills.tandem_drill.ledger import IncompleteLedgerError, Ledger
from tests.drills.tandem_drill.load import Request, Settings

SETTINGS = Settings(url="http://site.test", addresses=[], run="unit", rate=10)


def ledger(*requests: Request, end: float = 1.0) -> Ledger:
    return Ledger(SETTINGS, list(requests), start=0.0, end=end, cpu_seconds=0.0)


def request(n: int, latency: float = 0.01, error: str | None = None, method: str = "GET") -> Request:
    planned = n / SETTINGS.rate
    return Request(
        n=n,
        planned=planned,
        method=method,
        path="/",
        to=None,
        new=False,
        sent=planned,
        done=planned + latency,
        error=error,
    )


def lines(*requests: Request, sent: int) -> list[str]:
    summary = {"start": 0.0, "end": 1.0, "requests": sent, "cpu_seconds": 0.1}
    return [
        json.dumps(line)
        for line in (
            {"settings": dataclasses.asdict(SETTINGS)},
            *map(dataclasses.asdict, requests),
            {"summary": summary},
        )
    ]


def test_read_sorts_by_plan() -> None:
    assert [r.n for r in Ledger.read(lines(request(1), request(0), sent=2)).requests] == [0, 1]


def test_request_without_an_outcome_is_noticed() -> None:
    with pytest.raises(IncompleteLedgerError, match="2 requests were sent and 1 are"):
        Ledger.read(lines(request(0), sent=2))


def test_ledger_cut_short_is_noticed() -> None:
    with pytest.raises(IncompleteLedgerError, match="no summary"):
        Ledger.read(lines(request(0), sent=1)[:-1])


def test_gap_is_the_longest_time_without_a_success() -> None:
    failing = [request(n, error="HTTP 503") for n in (3, 4, 5)]
    begin, end = ledger(*(request(n) for n in (0, 1, 2)), *failing, *(request(n) for n in (6, 7, 8, 9))).gap()
    assert (begin, end) == (pytest.approx(0.21), pytest.approx(0.61))


def test_gap_counts_when_answers_arrive() -> None:
    """A request that waited through the outage and then succeeded does not shorten it."""
    begin, end = ledger(request(0), request(1, latency=0.8), request(9)).gap()
    assert (begin, end) == (pytest.approx(0.01), pytest.approx(0.9))


def test_gap_reaches_to_the_end_of_the_load() -> None:
    assert ledger(request(0), request(1, error="HTTP 500")).gap() == (pytest.approx(0.01), 1.0)


def test_gap_of_writes_alone() -> None:
    mixed = [request(n, method="POST" if n in (0, 8) else "GET") for n in range(10)]
    begin, end = ledger(*mixed).gap(lambda r: r.method == "POST")
    assert (begin, end) == (pytest.approx(0.01), pytest.approx(0.81))


def test_timeline_holds_every_request_once() -> None:
    timeline = ledger(request(0), request(1, error="HTTP 500"), request(2, latency=0.3)).timeline()
    assert sum(record["ok"] for record in timeline) == 2
    assert sum(record["failed"] for record in timeline) == 1
    assert [record["t"] for record in timeline if record["failed"]] == [0.1]
    assert timeline[4]["max"] == pytest.approx(0.3)
