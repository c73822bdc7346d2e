"""An open-loop HTTP client that writes one ledger line for every request.

Open loop: a request is sent at its planned time whatever became of the ones before it, so a site that
stalls meets the same load as one that does not. Half of the requests go over kept connections, half open
a new one. Nothing is ever sent twice. The first line of the output is the settings, the last a summary;
a ledger without its summary is incomplete.

This file runs alone on the client host: Python 3.11 or later and aiohttp 3.8 or later, nothing else.
It stops at end-of-file on its input, so it ends with whoever started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import dataclasses
import errno
import gc
import ipaddress
import json
import queue
import socket
import ssl
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

CONNECTING = "time-out connecting"
_CLOCK_OFFSET = time.time() - time.monotonic()


def now() -> float:
    """Return the Unix time in seconds, from a clock that is never set back while the load is on."""
    return _CLOCK_OFFSET + time.monotonic()


@dataclasses.dataclass
class Settings:
    """What the load is: printed at its start and kept in the ledger."""

    url: str
    """Scheme, name and optional port, with no path; the name is what TLS verifies."""
    addresses: list[str]
    """Addresses that take turns in place of what the name resolves to; empty: resolve the name."""
    run: str
    """Marks this run's notes in the database."""
    ca: str | None = None
    """File of the CA that the site's certificate must come from; None: the system's."""
    rate: float = 200.0
    """Requests per second."""
    writes: float = 0.2
    """Share of requests that write, in steps of 0.2."""
    read_paths: list[str] = dataclasses.field(default_factory=lambda: ["/notes?limit=10", "/whoami"])
    connect_timeout: float = 3.0
    """Seconds for TCP and TLS together."""
    total_timeout: float = 25.0
    """Seconds from sending to the last byte of the answer."""
    duration: float = 3600.0
    """Seconds after which the load ends by itself; it ends before when its input does."""


@dataclasses.dataclass
class Request:
    """One line of the ledger. Times are Unix seconds; None where the request did not get so far."""

    n: int
    planned: float
    method: str
    path: str
    to: str | None
    new: bool
    """Whether it asked for a connection of its own; else one is kept and shared."""
    text: str | None = None
    key: str | None = None
    sent: float | None = None
    opened: float | None = None
    """When the connection that carried it was opened."""
    attempts: int = 0
    """How many connections it was given; more than one would be a hidden retry."""
    done: float | None = None
    status: int | None = None
    error: str | None = None
    """Why it failed; None when it was answered as it should be."""
    web: str | None = None
    database: str | None = None


_current: contextvars.ContextVar[Request] = contextvars.ContextVar("request")


class _Connector(aiohttp.TCPConnector):
    """Notes in each request when its connection was opened, and how many it was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limit=0, ttl_dns_cache=None, **options)
        self._opened: weakref.WeakKeyDictionary[asyncio.BaseTransport, float] = weakref.WeakKeyDictionary()

    async def connect(self, *args: Any, **options: Any) -> Any:
        request = _current.get()
        request.attempts += 1
        connection = await super().connect(*args, **options)
        if connection.transport is not None:
            request.opened = self._opened.setdefault(connection.transport, now())
        return connection


class _Fixed(AbstractResolver):
    """Resolves every name to one address, as curl's --resolve does."""

    def __init__(self, address: str) -> None:
        self._address = ipaddress.ip_address(address)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        own = socket.AF_INET if self._address.version == 4 else socket.AF_INET6
        return [
            {
                "hostname": host,
                "host": str(self._address),
                "port": port,
                "family": own,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Nothing is held open."""


def plan(n: int, settings: Settings, start: float) -> Request:
    """Return the n-th request: the mix is the same in every ten requests, and on each address."""
    ten, kind = divmod(n, 10)
    # Pairs of a kept and a new connection, so that reads and writes see both alike.
    write = kind // 2 < settings.writes * 5
    addresses = settings.addresses or [None]
    request = Request(
        n=n,
        planned=start + n / settings.rate,
        method="POST" if write else "GET",
        path="/notes" if write else settings.read_paths[(n // 2) % len(settings.read_paths)],
        to=addresses[ten % len(addresses)],
        new=bool(kind % 2),
    )
    if write:
        request.text = f"{settings.run} {n}"
        request.key = str(uuid.uuid4())
    return request


def _judge(request: Request, body: bytes) -> str | None:
    """Return what is wrong with an answer, None if nothing; notes who answered where it says so."""
    if request.status != (201 if request.method == "POST" else 200):
        return f"HTTP {request.status}"
    try:
        answer = json.loads(body)
    except ValueError:
        return "answer is not JSON"
    if isinstance(answer, dict):
        request.web = answer.get("web")
    if request.method == "POST" and (answer.get("text"), answer.get("key")) != (request.text, request.key):
        return "answer is for another request"
    return None


async def _perform(session: aiohttp.ClientSession, request: Request, settings: Settings) -> None:
    """Send one request once and fill in what became of it."""
    _current.set(request)
    options: dict[str, Any] = {"allow_redirects": False}
    if request.text is not None:
        options |= {"json": {"text": request.text}, "headers": {"Idempotency-Key": request.key}}
    request.sent = now()
    try:
        async with session.request(request.method, settings.url + request.path, **options) as answer:
            request.status, request.database = answer.status, answer.headers.get("X-Database")
            request.error = _judge(request, await answer.read())
            if request.status == 503 and "Retry-After" not in answer.headers:
                request.error = "HTTP 503 without Retry-After"
    except TimeoutError:
        request.error = CONNECTING if request.opened is None else "time-out waiting"
    except (aiohttp.ClientError, OSError) as error:
        code = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
        request.error = f"{type(error).__name__}: {code or error}"
    request.done = now()


def _session(address: str | None, new: bool, settings: Settings) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=settings.ca)
    session = aiohttp.ClientSession(
        connector=_Connector(force_close=new, ssl=context, resolver=_Fixed(address) if address else None),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.total_timeout, sock_connect=settings.connect_timeout),
    )
    # By default aiohttp sends a GET again when a kept connection turns out to be dead. There is no
    # public switch; older releases do not retry and lack the attribute.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False
    return session


async def run(settings: Settings, emit: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
    """Send the load until `stop` is set or its duration is over, then wait for the last answers.

    :param emit: takes each line of the ledger as a dictionary, requests in the order they end.
    """
    emit({"settings": dataclasses.asdict(settings)})
    sessions = {
        (address, new): _session(address, new, settings)
        for address in settings.addresses or [None]
        for new in (False, True)
    }
    tasks: set[asyncio.Task[None]] = set()
    cpu, start = time.process_time(), now()
    sent = 0

    async def one(request: Request) -> None:
        await _perform(sessions[request.to, request.new], request, settings)
        emit(dataclasses.asdict(request))

    while not stop.is_set() and sent < settings.duration * settings.rate:
        request = plan(sent, settings, start)
        if (wait := request.planned - now()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(request))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        sent += 1
    ended = now()
    # An exception here is a fault of this program: it must end it, not pass for a failed request.
    await asyncio.gather(*tasks)
    for session in sessions.values():
        await session.close()
    emit({"summary": {"start": start, "end": ended, "requests": sent, "cpu_seconds": time.process_time() - cpu}})


def main() -> None:
    """Run the load that the arguments describe, with the ledger on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", help="the settings as a JSON object; see Settings")
    settings = Settings(**json.loads(parser.parse_args().settings))

    # A reader that is slow must not hold up the load: lines wait in memory.
    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def write() -> None:
        while (line := lines.get()) is not None:
            sys.stdout.write(json.dumps(line) + "\n")
            if lines.empty():
                sys.stdout.flush()
        sys.stdout.flush()

    async def until_end_of_input() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def watch() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=watch, daemon=True).start()
        await run(settings, lines.put, stop)

    writer = threading.Thread(target=write)
    writer.start()
    gc.freeze()
    try:
        asyncio.run(until_end_of_input())
    finally:
        lines.put(None)
        writer.join()


if __name__ == "__main__":
    main()
