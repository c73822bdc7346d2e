"""The site's front door: the virtual address, the certificate, and what a TLS scanner thinks of it."""

import re
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import testinfra

from tests.support.http import get
from tests.support.inventory import read_inventory
from tests.support.play import play
from tests.support.tls import complaints
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def hostvars(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    return read_inventory(request.config.option.ansible_inventory)["_meta"]["hostvars"]


@pytest.fixture(scope="module")
def domain(hostvars: dict[str, dict[str, Any]]) -> str:
    return hostvars["lb1"]["site_domain"]


@pytest.fixture(scope="module")
def vip(hostvars: dict[str, dict[str, Any]]) -> str:
    return hostvars["lb1"]["site_vips"][0].split("/")[0]


@pytest.fixture(scope="module")
def root(hostvars: dict[str, dict[str, Any]]) -> Path:
    return Path(hostvars["lb1"]["lab_state_dir"]) / "acme-root.pem"


def test_site_proves_its_name_at_the_virtual_address(domain: str, vip: str, root: Path) -> None:
    assert get(f"https://{domain}/whoami", address=vip, ca=root).json()["web"] in ("web1", "web2")


@pytest.mark.parametrize("balancer", ["lb1", "lb2"])
def test_each_load_balancer_proves_its_name(
    balancer: str, domain: str, hostvars: dict[str, dict[str, Any]], root: Path
) -> None:
    answer = get(f"https://{domain}/", address=hostvars[balancer]["topology_address"], ca=root)
    assert answer.headers["strict-transport-security"] == "max-age=86400"


def test_http_leads_to_https(domain: str, vip: str) -> None:
    answer = get(f"http://{domain}/notes?limit=1", address=vip, expect=301)
    assert answer.headers["location"] == f"https://{domain}/notes?limit=1"


def test_http2_is_spoken(domain: str, vip: str, root: Path) -> None:
    context = ssl.create_default_context(cafile=root)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((vip, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=domain) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_http3_where_it_is_wanted(request: pytest.FixtureRequest, domain: str, vip: str) -> None:
    inventory = request.config.option.ansible_inventory
    lb1, client = (testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in ("lb1", "client1"))
    if "+QUIC " not in lb1.check_output("haproxy -vv") or " HTTP3 " not in client.check_output("curl --version"):
        pytest.skip("HAProxy or curl has no QUIC here")
    roll = partial(play, inventory, "site.yml", "--limit", "loadbalancers", "--tags", "haproxy,ufw")
    ask = f"curl --silent --max-time 5 --cacert /etc/tandem/acme-root.pem --resolve {domain}:443:{vip}"
    ask += f" --write-out ' %{{http_version}} %header{{alt-svc}}' https://{domain}/whoami"
    try:
        assert roll(haproxy_http3=True).returncode == 0
        assert client.check_output(f"{ask} --http2").endswith(' 2 h3=":443"; ma=3600')
        answer = client.check_output(f"{ask} --http3-only")
        assert '"web"' in answer
        assert " 3 " in answer
    finally:
        assert roll().returncode == 0
    assert client.run(f"{ask} --http3-only").failed


def test_exactly_one_load_balancer_holds_the_virtual_address(request: pytest.FixtureRequest, vip: str) -> None:
    inventory = request.config.option.ansible_inventory
    holders = [
        name
        for name in ("lb1", "lb2")
        if f" {vip}/"
        in testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory).check_output("ip -o address")
    ]
    assert len(holders) == 1


def test_a_load_balancer_that_does_not_serve_stops_the_run_before_the_next_one(request: pytest.FixtureRequest) -> None:
    inventory = request.config.option.ansible_inventory
    roll = partial(play, inventory, "site.yml", "--limit", "loadbalancers", "--tags", "haproxy")
    both = [testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in ("lb1", "lb2")]

    def changed() -> list[bool]:
        return ["timeout client 31s" in host.check_output("tr -s ' ' < /etc/haproxy/haproxy.cfg") for host in both]

    try:
        run = roll(haproxy_timeout_client="31s", site_probe_path="/nowhere")
        assert run.returncode != 0
        assert "Status code was 404" in run.stdout
        assert changed() == [True, False]
    finally:
        assert roll().returncode == 0
    assert changed() == [False, False]


def test_a_web_server_that_does_not_come_back_healthy_stops_the_run_before_the_next_one(
    request: pytest.FixtureRequest, domain: str, vip: str, root: Path
) -> None:
    inventory = request.config.option.ansible_inventory
    roll = partial(play, inventory, "site.yml", "--limit", "webservers", "--tags", "nginx")
    both = [testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in ("web1", "web2")]
    balancer = testinfra.get_host("ansible://lb1", ansible_inventory=inventory)
    broken = "location = /healthz { return 500; }"

    def changed() -> list[bool]:
        return [broken in host.check_output("nginx -T 2>/dev/null") for host in both]

    def used() -> list[bool]:
        output = balancer.check_output("echo 'show stat web 4 -1' | socat stdio /run/haproxy/admin.sock")
        rows = [line.split(",") for line in output.splitlines()]
        return [row[17].startswith("UP") for row in rows if row[:2] in (["web", "web1"], ["web", "web2"])]

    try:
        assert roll(nginx_server_config=[broken]).returncode != 0
        assert changed() == [True, False]
        assert used() == [False, True]
        assert get(f"https://{domain}/whoami", address=vip, ca=root).json()["web"] == "web2"
    finally:
        assert roll().returncode == 0
    assert changed() == [False, False]
    wait_until(lambda: used() == [True, True], 30, "both web servers to be used")


def test_a_client_of_one_load_balancer_is_counted_by_the_other(
    request: pytest.FixtureRequest, domain: str, hostvars: dict[str, dict[str, Any]], root: Path
) -> None:
    """So a limit holds for a client that uses both."""
    client = f"::ffff:{hostvars['lb1']['lab_network']}.1"  # this machine, as the hosts see it
    other = testinfra.get_host("ansible://lb2", ansible_inventory=request.config.option.ansible_inventory)
    ask = "echo '%s table clients' | socat stdio /run/haproxy/admin.sock"
    other.check_output(ask, "clear")

    def counted(by: str, times: int) -> int:
        for _ in range(times):
            get(f"https://{domain}/", address=hostvars[by]["topology_address"], ca=root)
        found = re.search(rf"key={client} .*http_req_rate\(\d+\)=(\d+)", other.check_output(ask, "show"))
        return int(found[1]) if found else 0

    asked = wait_until(lambda: counted("lb1", 3), 20, f"lb2 to know {client}, which asked lb1")
    assert counted("lb2", 3) > asked


@pytest.mark.parametrize("balancer", ["lb1", "lb2"])
def test_tls_is_what_mozilla_recommends(
    balancer: str, domain: str, hostvars: dict[str, dict[str, Any]], root: Path
) -> None:
    assert complaints(domain, hostvars[balancer]["topology_address"], "intermediate", ca=root) == set()
