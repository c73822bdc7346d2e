"""The load client against a site on loopback that misbehaves in known ways: the ledger says exactly those."""

import asyncio
import datetime
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.drills.tandem_drill import load
from tests.drills.tandem_drill.ledger import Ledger


class Site:
    """A notes service in memory; `fault(request number, request)` may answer in its place."""

    def __init__(self, fault: Callable[[int, web.Request], Any] = lambda n, request: None) -> None:
        self.rows: list[str] = []
        self.seen: Counter[str] = Counter()
        self.connections: set[Any] = set()
        self.fault = fault

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = sum(self.seen.values())
        self.seen[request.method] += 1
        self.connections.add(request.transport)
        fault = self.fault(number, request)
        if asyncio.iscoroutine(fault):
            fault = await fault
        if fault is not None:
            return fault
        if request.method == "GET":
            return web.json_response({"web": "web1"})
        text = (await request.json())["text"]
        self.rows.append(text)
        return self.created(request, text)

    def created(self, request: web.Request, text: str) -> web.Response:
        return web.json_response(
            {
                "id": len(self.rows),
                "text": text,
                "web": "web1",
                "database": "db1",
                "key": request.headers["Idempotency-Key"],
            },
            status=201,
        )


def drive(site: Site, seconds: float = 1.0, tls: Path | None = None, **settings: Any) -> Ledger:
    """Run the load against the site and return its ledger; `tls` is a file of certificate and key."""
    lines: list[str] = []

    async def both() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", site.answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        context = None
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls)
        listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await listener.start()
        port = listener._server.sockets[0].getsockname()[1]
        url = f"{'https' if tls else 'http'}://site.test:{port}"
        await load.run(
            load.Settings(**({"url": url, "addresses": ["127.0.0.1"], "run": "unit", "duration": seconds} | settings)),
            lambda line: lines.append(load.json.dumps(line)),
            asyncio.Event(),
        )
        await runner.cleanup()

    asyncio.run(both())
    return Ledger.read(lines)


def test_mix_and_connections() -> None:
    site = Site()
    ledger = drive(site)
    assert len(ledger.requests) == 200
    assert site.seen == {"GET": 160, "POST": 40}
    assert ledger.failed == []
    assert Counter(request.new for request in ledger.requests) == {True: 100, False: 100}
    assert 101 <= len(site.connections) < 200  # one for each that asked, and kept ones that are shared
    assert {request.attempts for request in ledger.requests} == {1}
    assert ledger.compare(site.rows) == type(ledger.compare([]))(40, [], [], 0)


def test_open_loop_keeps_the_plan_while_the_site_stalls() -> None:
    """Requests go out although nothing has come back: no answer is given before a hundred are there."""
    hundred = asyncio.Event()

    async def stall(n: int, request: web.Request) -> None:
        if n == 99:
            hundred.set()
        await hundred.wait()

    ledger = drive(Site(stall))
    assert ledger.failed == []
    first = min(request.done for request in ledger.requests)
    assert sum(request.sent < first for request in ledger.requests) >= 100


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_failed_answers_are_counted(method: str) -> None:
    def fault(n: int, request: web.Request) -> web.Response | None:
        return web.Response(status=500) if request.method == method and n % 3 == 0 else None

    ledger = drive(Site(fault))
    errors = ledger.errors()
    assert list(errors) == [f"{method} HTTP 500"]
    assert errors[f"{method} HTTP 500"] == sum(request.status == 500 for request in ledger.requests) > 10


def test_dead_kept_connection_is_a_failure_and_never_sent_again() -> None:
    """The site closes connections without an answer: each is one failure and one attempt."""
    dropped = []

    def drop(n: int, request: web.Request) -> None:
        if n in (50, 51, 60, 61):
            dropped.append(request.path)
            request.transport.abort()

    site = Site(drop)
    ledger = drive(site)
    assert len(ledger.failed) == len(dropped) == 4
    assert sum(site.seen.values()) == len(ledger.requests)
    assert {request.attempts for request in ledger.requests} == {1}


def test_lost_double_and_unknown_writes() -> None:
    site = Site()
    posts = []

    async def misbehave(request: web.Request) -> web.Response | None:
        text = (await request.json())["text"]
        posts.append(text)
        if len(posts) == 3:  # acknowledged, not written
            return site.created(request, text)
        if len(posts) == 5:  # written twice
            site.rows.append(text)
        if len(posts) == 7:  # written, answered with an error
            site.rows.append(text)
            return web.Response(status=503)
        if len(posts) == 9:  # neither
            return web.Response(status=503)
        return None

    site.fault = lambda n, request: misbehave(request) if request.method == "POST" else None
    ledger = drive(site)
    writes = ledger.compare(site.rows)
    assert (writes.acknowledged, writes.lost, writes.double, writes.unknown_present) == (38, [posts[2]], [posts[4]], 1)


def test_answer_for_another_request_is_a_failure() -> None:
    site = Site()
    site.fault = lambda n, request: site.created(request, "other") if request.method == "POST" else None
    assert drive(site).errors() == {"POST answer is for another request": 40}


def test_time_outs() -> None:
    async def hang() -> None:
        await asyncio.sleep(2)

    ledger = drive(Site(lambda n, request: hang() if n == 10 else None), total_timeout=0.5)
    [failed] = ledger.failed
    assert failed.error.startswith("time-out waiting")
    assert 0.5 <= failed.done - failed.sent < 1


def test_nobody_listens() -> None:
    ledger = drive(Site(), seconds=0.1, url="http://127.0.0.1:9")
    assert len(ledger.failed) == len(ledger.requests) == 20
    assert ledger.gap() == (ledger.start, ledger.end)


def test_addresses_take_turns() -> None:
    ledger = drive(Site(), seconds=0.5, addresses=["127.0.0.1", "127.0.0.2"])
    by_address = Counter(request.to for request in ledger.requests)
    assert by_address == {"127.0.0.1": 50, "127.0.0.2": 50}
    assert {request.error is None for request in ledger.requests if request.to == "127.0.0.1"} == {True}
    assert {request.error is None for request in ledger.requests if request.to == "127.0.0.2"} == {False}


def certificate(name: str, path: Path) -> Path:
    """Write a self-signed certificate for the name, and its key, to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_https_is_verified(tmp_path: Path) -> None:
    own = certificate("site.test", tmp_path / "own.pem")
    assert drive(Site(), seconds=0.5, tls=own, ca=str(own)).failed == []


@pytest.mark.parametrize("name", ["site.test", "other.test"])
def test_certificate_of_another_ca_or_name_is_a_failure(tmp_path: Path, name: str) -> None:
    served = certificate(name, tmp_path / "served.pem")
    trusted = served if name == "other.test" else certificate("site.test", tmp_path / "trusted.pem")
    ledger = drive(Site(), seconds=0.1, tls=served, ca=str(trusted))
    assert len(ledger.failed) == len(ledger.requests)
    assert all("Certificate" in request.error for request in ledger.failed)
