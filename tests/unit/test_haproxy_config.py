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


def wired(name: str, **site: Any) -> Any:
    """Return a load balancer's input, as the wiring makes it of the site's settings."""
    wiring = read_yaml(ROOT / "playbooks/group_vars/all/topology.yml")
    wiring |= read_yaml(ROOT / "playbooks/group_vars/loadbalancers.yml")
    templar = Templar(loader=DataLoader(), variables=trusted(wiring) | site)
    return templar.template(trust_as_template(f"{{{{ {name} }}}}"))


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
                "tcp-request connection track-sc1 src table connections",
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


@pytest.mark.parametrize(
    ("site", "headers"),
    [
        ({}, ["http-response set-header Strict-Transport-Security max-age=86400"]),
        ({"site_hsts_seconds": 63072000}, ["http-response set-header Strict-Transport-Security max-age=63072000"]),
        ({"site_hsts_seconds": 0}, []),
        ({"site_hsts_seconds": 0, "haproxy_http3": True}, ["http-response set-header Alt-Svc 'h3=\":443\"; ma=3600'"]),
    ],
)
def test_what_browsers_are_told_to_remember(site: dict[str, Any], headers: list[str]) -> None:
    assert wired("topology_https_headers", **site) == headers


OWN = ["192.0.2.11", "192.0.2.12"]


@pytest.mark.parametrize(
    ("balancers", "site", "held", "named"),
    [
        (2, {"site_vips": ["192.0.2.10/24"]}, ["192.0.2.10/24"], ["192.0.2.10"]),
        (2, {"site_vips": ["192.0.2.10/24"], "site_vip_provider": "none"}, [], []),
        (2, {}, [], OWN),
        # It stands alone, and keepalived is not for it.
        (1, {"site_vips": ["192.0.2.10/24"]}, [], ["192.0.2.10", *OWN[:1]]),
    ],
)
def test_who_holds_the_site_s_addresses_and_where_its_names_may_lead(
    balancers: int, site: dict[str, Any], held: list[str], named: list[str]
) -> None:
    members = [{"name": f"lb{address[-1]}", "address": address} for address in OWN[:balancers]]
    site = site | {"topology_loadbalancers": members}
    assert wired("keepalived_vips", **site) == held
    assert wired("topology_addresses", **site) == named


def test_how_web_servers_are_chosen_is_the_site_s_to_say() -> None:
    members = [{"name": "web1", "address": "192.0.2.21", "weight": 3}, {"name": "web2", "address": "192.0.2.22"}]
    site = {"topology_webservers": members, "site_domain": "www.tandem.test", "topology_tls": "none"}
    site |= {"topology_answer_read": 2000, "topology_answer_within": []}

    def lines(**settings: Any) -> list[str]:
        return section(render(haproxy_backends=wired("haproxy_backends", **site, **settings)), "backend web")

    assert "balance roundrobin" in lines()
    assert "balance leastconn" in lines(site_balance="leastconn")
    assert {"balance source", "hash-type consistent"} <= set(lines(site_balance="source"))
    [first] = [line for line in lines() if line.startswith("server web1 ")]
    assert " weight 3" in first
    reserve = [line for line in lines(site_web_mode="active-passive") if line.startswith("server web2 ")]
    assert [line.split()[-1] for line in reserve] == ["backup"]


def test_answers_of_an_ocsp_responder_are_fetched_where_they_are_wanted() -> None:
    assert wired("haproxy_global") == []
    assert wired("haproxy_global", site_ocsp=True) == ["ocsp-update.mode on"]


def test_without_a_challenge_on_port_80_everything_there_leads_to_https() -> None:
    def http(**site: Any) -> list[str]:
        return wired("haproxy_frontends", **site)[0]["config"]

    assert [line for line in http() if "acme" in line] == http()
    assert http(certbot_challenge="dns-01") == ["http-request redirect scheme https code 301"]
