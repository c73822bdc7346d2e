"""The edge of a site, as its clients and its web servers see it."""

import http.client
import select
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.http import request
from tests.support.wait import wait_until

SOON = 20  # seconds


def answers(lb, count, **options):
    """Return how often each web server answered."""
    return Counter(lb.get(**options).json()["web"] for _ in range(count))


def test_web_servers_take_turns(lb):
    assert answers(lb, 20) == {"web1": 10, "web2": 10}


def test_passive_server_waits_until_it_is_needed(lb, web1):
    assert answers(lb, 4, port=83) == {"web1": 4}
    with web1.set("unfit"):
        wait_until(lambda: lb.get(port=83).json()["web"] == "web2", SOON, "web2 to take over", 0.1)
        assert answers(lb, 4, port=83) == {"web2": 4}
    wait_until(lambda: lb.get(port=83).json()["web"] == "web1", SOON, "web1 to be back", 0.1)


def test_client_above_its_limit_is_refused(lb):
    """Its connections are counted there too, and each request once."""
    statuses = [lb.get(port=84, expect=None).status for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3


def test_client_with_too_many_connections_gets_no_other(lb):
    with ExitStack() as connections:

        def ask() -> int:
            connection = http.client.HTTPConnection(lb.address, 86, timeout=10)
            connections.callback(connection.close)
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert [ask() for _ in range(3)] == [200] * 3
        with pytest.raises(ConnectionError):
            ask()


def test_client_that_takes_too_long_to_ask_is_sent_away(lb):
    """Byte after byte, so that it is never silent for long."""
    with socket.create_connection((lb.address, 80), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: www.tandem.test\r\nX-Slow: ")
        began = time.monotonic()
        answer = b""
        while not answer:
            assert time.monotonic() - began < SOON
            client.sendall(b"a")
            readable, _, _ = select.select([client], [], [], 0.5)
            answer = client.recv(1000) if readable else b""
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_self_signed_certificate_stands_in_until_there_is_another(lb):
    assert request("GET", "https://first.tandem.test:85/", address=lb.address).json()["web"] in ("web1", "web2")


@pytest.mark.parametrize("port", [81, 82], ids=["authority", "name"])
def test_web_server_that_does_not_prove_its_name_is_not_used(lb, port):
    assert lb.get(port=port, expect=503).headers["retry-after"] == "5"


def test_what_a_client_says_about_itself_is_dropped(lb):
    claims = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"}
    claims |= {"X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7", "X-Request-ID": "forged"}
    seen = lb.get(headers=claims).json()["headers"]
    assert seen.pop("x-forwarded-for") == lb.client
    assert seen.pop("x-forwarded-proto") == "http"
    assert seen.pop("x-request-id") != "forged"
    assert not {name.lower() for name in claims} & set(seen)


def test_request_id_is_the_same_for_client_server_and_log(lb):
    answer = lb.get()
    request_id = answer.headers["x-request-id"]
    assert answer.json()["headers"]["x-request-id"] == request_id
    wait_until(
        lambda: request_id in lb.run("journalctl --unit haproxy --lines 50"), SOON, "the request in the log", 0.1
    )


def test_killed_web_server_costs_no_request(lb, web1):
    """200 requests, 50 a second, and web1 dies among them."""

    def ask(_):
        return lb.get(expect=None, timeout=20).status

    with ThreadPoolExecutor(10) as pool:
        asked = []
        for number in range(200):
            asked.append(pool.submit(ask, number))
            if number == 50:
                pool.submit(web1.run, "systemctl kill --signal KILL testserver")
            time.sleep(0.02)
        statuses = Counter(future.result() for future in asked)
    web1.run("systemctl start testserver")
    assert statuses == {200: 200}
    wait_until(lambda: answers(lb, 2) == {"web1": 1, "web2": 1}, SOON, "web1 to be back", 0.1)


def test_error_of_one_web_server_is_not_seen(lb, web1):
    with web1.set("failing"):
        assert answers(lb, 20) == {"web2": 20}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_change_is_sent_again_only_with_a_key(lb, web1, method):
    def ask(headers):
        statuses = [request(method, lb.url(), headers=headers, json_body={}, expect=None).status for _ in range(10)]
        return Counter(statuses)

    with web1.set("failing"):
        assert ask({"Idempotency-Key": "a key"}) == {200: 10}
        assert ask({}) == {200: 5, 503: 5}
        assert ask({"Idempotency-Key": ""}) == {200: 5, 503: 5}, "an empty key is none"


def test_servers_are_asked_though_every_check_fails(lb, web1, web2):
    with web1.set("unfit"), web2.set("unfit"):
        wait_until(lambda: lb.fit("web", "web1", "web2") == set(), SOON, "both to be down", 0.1)
        assert answers(lb, 10) == {"web1": 5, "web2": 5}
    wait_until(lambda: lb.fit("web", "web1", "web2") == {"web1", "web2"}, SOON, "both to be up", 0.1)


def test_drain_outlives_a_reload(lb):
    lb.socket("set server web/web1 state drain")
    try:
        assert answers(lb, 4) == {"web2": 4}
        lb.reload()
        assert answers(lb, 4) == {"web2": 4}
    finally:
        lb.socket("set server web/web1 state ready")
    wait_until(lambda: set(answers(lb, 4)) == {"web1", "web2"}, SOON, "web1 to be back", 0.1)


def test_restart_forgets_a_drain(lb):
    lb.socket("set server web/web1 state drain")
    lb.reload()
    lb.run("systemctl restart haproxy")
    assert set(answers(lb, 4)) == {"web1", "web2"}


def test_reloads_cost_no_request(lb):
    """Clients keep their connections while HAProxy is reloaded five times."""
    over = threading.Event()

    def ask():
        connection = http.client.HTTPConnection(lb.address, timeout=20)
        statuses = Counter()
        while not over.is_set():
            connection.request("GET", "/")
            with connection.getresponse() as answer:
                answer.read()
                statuses[answer.status] += 1
            time.sleep(0.01)
        return statuses

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        try:
            for _ in range(5):
                lb.reload()
        finally:
            over.set()
    for client in clients:
        assert set(client.result()) == {200}
