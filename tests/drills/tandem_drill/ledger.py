"""What a ledger says: how many requests failed and how, how long nothing succeeded, which writes were lost."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .load import Request, Settings

BUCKET = 0.05
"""Width of the timeline's intervals, in seconds."""


class IncompleteLedgerError(ValueError):
    """The ledger does not account for every request that was sent."""


@dataclasses.dataclass(frozen=True)
class Writes:
    """The writes of a ledger against the rows of the database."""

    acknowledged: int
    lost: list[str]
    """Texts that the site said were written and the database does not hold."""
    double: list[str]
    """Texts that the database holds more than once."""
    unknown_present: int
    """Writes that failed for the client and are in the database: allowed, as their outcome was unknown."""


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Every request of one run of the load, in the order they were planned."""

    settings: Settings
    requests: list[Request]
    start: float
    end: float
    cpu_seconds: float

    @classmethod
    def read(cls, lines: Iterable[str]) -> Ledger:
        """Return the ledger of the load client's output.

        :raises IncompleteLedgerError: when the summary is missing, or a request was sent and has no line.
        """
        settings, summary, requests = None, None, []
        for line in lines:
            record: dict[str, Any] = json.loads(line)
            if "settings" in record:
                settings = Settings(**record["settings"])
            elif "summary" in record:
                summary = record["summary"]
            else:
                requests.append(Request(**record))
        if settings is None or summary is None:
            raise IncompleteLedgerError("the load client did not finish: its ledger has no summary")
        requests.sort(key=lambda request: request.n)
        if [request.n for request in requests] != list(range(summary["requests"])):
            raise IncompleteLedgerError(
                f"{summary['requests']} requests were sent and {len(requests)} are in the ledger"
            )
        return cls(settings, requests, summary["start"], summary["end"], summary["cpu_seconds"])

    @property
    def failed(self) -> list[Request]:
        """The requests that did not get the answer they should."""
        return [request for request in self.requests if request.error is not None]

    def errors(self) -> dict[str, int]:
        """Return how often each error came, most frequent first."""
        return dict(Counter(f"{request.method} {request.error}" for request in self.failed).most_common())

    def latency(self, share: float) -> float:
        """Return the latency in seconds that this share of the successful requests did not exceed."""
        return _quantile([r.done - r.sent for r in self.requests if r.error is None], share)

    def lateness(self, share: float) -> float:
        """Return by how many seconds this share of the requests at most was sent after its planned time.

        It is the client's own fault, and tells how far the latencies can be believed.
        """
        return _quantile([r.sent - r.planned for r in self.requests], share)

    def gap(
        self,
        wanted: Callable[[Request], bool] = lambda request: True,
        begin: float | None = None,
        end: float | None = None,
    ) -> tuple[float, float]:
        """Return begin and end of the longest interval in which no wanted request succeeded.

        Intervals are between two successes, or between one and `begin` or `end`: Unix times, by default
        those of the load.
        """
        begin, end = begin or self.start, end or self.end
        times = sorted(r.done for r in self.requests if r.error is None and wanted(r) and begin < r.done < end)
        return max(itertools.pairwise([begin, *times, end]), key=lambda pair: pair[1] - pair[0])

    def timeline(self) -> list[dict[str, Any]]:
        """Return one record per interval: requests by the time they were planned, and what came of them.

        `t` is in seconds from the start of the load, latencies are in seconds, None where nothing succeeded.
        """
        count = int(len(self.requests) / self.settings.rate / BUCKET) + 1
        buckets: list[list[Request]] = [[] for _ in range(count)]
        for request in self.requests:
            buckets[int((request.planned - self.start + 1e-9) / BUCKET)].append(request)
        records = []
        for index, bucket in enumerate(buckets):
            latencies = [r.done - r.sent for r in bucket if r.error is None]
            records.append(
                {
                    "t": round(index * BUCKET, 3),
                    "ok": len(latencies),
                    "failed": len(bucket) - len(latencies),
                    "p50": _quantile(latencies, 0.5) if latencies else None,
                    "max": max(latencies, default=None),
                }
            )
        return records

    def compare(self, rows: Iterable[str]) -> Writes:
        """Hold the ledger's writes against the database.

        :param rows: the text of every row of this run. A text is unique to one request, so a second row
            shows even where a unique key on the request would hide it.
        """
        present = Counter(rows)
        writes = [request for request in self.requests if request.text is not None]
        acknowledged = [request.text for request in writes if request.error is None]
        return Writes(
            acknowledged=len(acknowledged),
            lost=[text for text in acknowledged if text not in present],
            double=[text for text, count in present.items() if count > 1],
            unknown_present=sum(request.error is not None and request.text in present for request in writes),
        )


def _quantile(values: list[float], share: float) -> float:
    """Return the value at this share of the sorted values; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
