"""Who holds each virtual address, sampled every 50 ms on every load balancer."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import threading
from collections.abc import Iterable

from .hosts import Host
from .prober import PROBE

STALL = 1.0
"""Seconds that a sampler may be late. A host that says nothing for longer is off or frozen: it holds nothing."""

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Holding:
    """What the samples say about one address."""

    address: str
    intervals: dict[str, list[Interval]]
    """Per host, when it held the address; Unix seconds."""
    two: float
    """Longest time in seconds that two hosts held it at once."""
    none: float
    """Longest time in seconds that no host held it."""

    def holders(self, begin: float, end: float) -> list[str]:
        """Return the hosts that held it at some time between two moments; Unix seconds."""
        return [host for host, spans in self.intervals.items() if any(a <= end and b >= begin for a, b in spans)]


class Watch:
    """Samples from `start` to `stop`, on hosts that may go and come back meanwhile."""

    def __init__(self, hosts: list[Host], addresses: list[str]) -> None:
        self._hosts, self._addresses = hosts, addresses
        self._samples: dict[str, list[tuple[float, list[str]]]] = {host.name: [] for host in hosts}
        self._over = threading.Event()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._threads = [threading.Thread(target=self._follow, args=(host,)) for host in hosts if addresses]

    def start(self) -> None:
        """Begin to sample."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Holding]:
        """End and return what was seen of each address."""
        self._over.set()
        for process in list(self._processes.values()):
            process.terminate()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()
        return [
            holding(
                address,
                {host: [(t, address in held) for t, held in samples] for host, samples in self._samples.items()},
            )
            for address in self._addresses
        ]

    def _follow(self, host: Host) -> None:
        while not self._over.is_set():
            with subprocess.Popen(
                ["docker", "exec", "-i", host.container, "python3", "-c", PROBE, "watch", json.dumps(self._addresses)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            ) as process:
                self._processes[host.name] = process
                if self._over.is_set():
                    process.terminate()
                for line in process.stdout or ():
                    if line.startswith("["):  # else Docker says that the host is off
                        self._samples[host.name].append(tuple(json.loads(line)))
            self._over.wait(0.1)


def holding(address: str, samples: dict[str, Iterable[tuple[float, bool]]]) -> Holding:
    """Return what the samples (Unix time, held or not; in order) of each host say about an address."""
    intervals: dict[str, list[Interval]] = {}
    for host, series in samples.items():
        spans: list[Interval] = []
        last: float | None = None
        for moment, held in series:
            if held and last is not None and moment - last <= STALL:
                spans[-1] = (spans[-1][0], moment)
            elif held:
                spans.append((moment, moment))
            last = moment if held else None
        intervals[host] = spans
    moments = [moment for series in samples.values() for moment, _ in series]
    edges = sorted(
        [(begin, 1) for spans in intervals.values() for begin, _ in spans]
        + [(end, -1) for spans in intervals.values() for _, end in spans]
    )
    count, since = 0, min(moments, default=0.0)
    longest = {0: 0.0, 2: 0.0}
    for moment, step in [*edges, (max(moments, default=0.0), 0)]:
        state = min(count, 2)
        if state in longest:
            longest[state] = max(longest[state], moment - since)
        # Three holders are still "two at once": their time is not cut in pieces.
        if min(count + step, 2) != state:
            since = moment
        count += step
    return Holding(address, intervals, two=longest[2], none=longest[0])
