"""haproxy.cfg, rendered without a host."""

import re
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

from tests.support.roles import ROOT, defaults, read_yaml, refusals

ROLE = ROOT / "roles/haproxy"
SERVERS = [{"name": "web1", "address": "192.0.2.21"}, {"name": "web2", "address": "2001:db8::22"}]
FRONTEND = {"name": "http", "bind": [{"address": "*:80"}], "backend": "web"}
BACKEND = {"name": "web", "port": 8443, "check": {"path": "/healthz"}, "servers": SERVERS}


@pytest.fixture(scope="session", autouse=True)
def collections() -> None:
    init_plugin_loader()


def trusted(value: Any) -> Any:
    """Mark what the role itself wrote as a template, as Ansible does when it loads the file."""
    if isinstance(value, dict):
        return {name: trusted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def render(**inputs: Any) -> str:
    """Return haproxy.cfg for these inputs."""
    variables = (
        defaults("haproxy") | read_yaml(ROLE / "vars/main.yml") | {"ansible_managed": "Ansible managed"} | inputs
    )
    templar = Templar(loader=DataLoader(), variables=trusted(variables))
    return templar.template(trust_as_template((ROLE / "templates/haproxy.cfg.j2").read_text()))


def section(text: str, head: str) -> list[str]:
    """Return the lines of a section, without their indentation."""
    [body] = re.findall(rf"^{head}\n((?:    .*\n|\n(?=    ))*)", text, re.M)
    return [" ".join(line.split()) for line in body.splitlines()]


def servers(**backend: Any) -> list[str]:
    lines = section(render(haproxy_backends=[BACKEND | backend]), "backend web")
    return [line for line in lines if line.startswith("server ")]


def test_reads_as_if_written_by_hand() -> None:
    text = render(haproxy_frontends=[FRONTEND], haproxy_backends=[BACKEND | {"comment": "The web servers."}])
    assert "{{" not in text
    assert "\n\n\n" not in text
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert "\n\n# The web servers.\nbackend web\n" in text


def test_a_second_time_it_is_the_same() -> None:
    inputs = {"haproxy_frontends": [FRONTEND], "haproxy_backends": [BACKEND]}
    assert render(**inputs) == render(**inputs)


def test_servers_are_listed_once_to_work_and_once_as_the_last_resort() -> None:
    assert servers() == [
        "server web1 192.0.2.21:8443",
        "server web2 [2001:db8::22]:8443",
        "server web1-unchecked 192.0.2.21:8443 no-check backup",
        "server web2-unchecked [2001:db8::22]:8443 no-check backup",
    ]


def test_without_a_check_no_last_resort_is_needed() -> None:
    text = render(haproxy_backends=[{"name": "web", "port": 80, "servers": SERVERS}])
    assert len(re.findall("^    server ", text, re.M)) == 2
    assert "httpchk" not in text


def test_weights_and_ports_are_the_servers_own() -> None:
    assert servers(servers=[SERVERS[0] | {"weight": 3, "port": 81}], last_resort=False) == [
        "server web1 192.0.2.21:81 weight 3"
    ]


def test_names_are_verified_with_tls() -> None:
    lines = section(render(haproxy_backends=[BACKEND | {"tls": {"ca_file": "/ca.pem"}}]), "backend web")
    assert "default-server ssl verify required ca-file /ca.pem" in lines
    assert all("verifyhost web" in line for line in lines if line.startswith("server "))


def test_active_passive_has_one_server_at_work() -> None:
    lines = servers(distribution="active-passive")
    assert [line for line in lines if "backup" not in line] == ["server web1 192.0.2.21:8443"]
    text = render(haproxy_backends=[BACKEND | {"distribution": "active-passive"}])
    assert "allbackups" not in text, "the passive server alone takes over, not one whose checks fail"


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "source"])
def test_balance(balance: str) -> None:
    lines = section(render(haproxy_backends=[BACKEND | {"balance": balance}]), "backend web")
    assert f"balance {balance}" in lines
    assert ("hash-type consistent" in lines) == (balance == "source")


def test_a_record_changes_one_timer_of_a_check() -> None:
    lines = section(render(haproxy_backends=[BACKEND | {"check": {"path": "/", "inter": "5s"}}]), "backend web")
    assert "default-server check inter 5s fastinter 200ms downinter 1s fall 3 rise 2" in lines


def test_tcp_knows_no_requests() -> None:
    backend = {
        "name": "db",
        "mode": "tcp",
        "port": 3306,
        "check": {"path": "/primary", "port": 9200},
        "servers": SERVERS,
    }
    frontend = {"name": "db", "mode": "tcp", "bind": [{"address": "127.0.0.1:3306"}], "backend": "db"}
    text = render(haproxy_frontends=[frontend], haproxy_backends=[backend])
    lines = section(text, "frontend db") + section(text, "backend db")
    assert [line for line in lines if re.match("http-request|retry-on|unique-id|log-format", line)] == []


def test_lines_of_ones_own_come_before_the_default() -> None:
    lines = section(
        render(haproxy_frontends=[FRONTEND | {"config": ["use_backend a if { path /a }"]}]), "frontend http"
    )
    assert lines[-2:] == ["use_backend a if { path /a }", "default_backend web"]


def test_modern_tls_knows_no_old_ciphers() -> None:
    text = render(haproxy_tls_profile="modern")
    assert "ssl-min-ver TLSv1.3" in text
    assert "-ciphers " not in text


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"haproxy_frontends": [FRONTEND | {"binds": []}]}, "binds"),
        ({"haproxy_backends": [BACKEND | {"balance": "fair"}]}, "fair"),
        ({"haproxy_backends": [BACKEND | {"distribution": "passive"}]}, "active-passive"),
        ({"haproxy_backends": [BACKEND | {"check": {"uri": "/"}}]}, "uri"),
        ({"haproxy_backends": [BACKEND | {"servers": [SERVERS[0] | {"wait": 1}]}]}, "wait"),
        ({"haproxy_tls_profile": "old"}, "intermediate, modern"),
    ],
)
def test_mistakes_are_refused(inputs: dict[str, Any], said: str) -> None:
    assert said in " ".join(refusals("haproxy", inputs))


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        ({}, []),
        (
            {"site_connection_limit": 50},
            [
                "tcp-request connection track-sc1 src table clients",
                "tcp-request connection reject if { sc1_conn_cur gt 50 }",
            ],
        ),
        (
            {"site_request_limit": 200},
            [
                "http-request track-sc0 src table clients",
                "http-request deny deny_status 429 if { sc0_http_req_rate gt 200 }",
            ],
        ),
    ],
)
def test_limits_of_a_client(limits: dict[str, int], lines: list[str]) -> None:
    variables = read_yaml(ROOT / "playbooks/group_vars/loadbalancers.yml")
    templar = Templar(loader=DataLoader(), variables=limits)
    assert templar.template(trust_as_template(variables["topology_protection"])) == lines
