"""Each refusal of playbooks/check.yml: it names the variable or host, what was given, and what to write."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import UndefinedError

from plugins.filter.check import topology_problems
from tests.support.roles import ROOT

SECRETS = ["secret_pki_passphrase", "secret_mysql_app"]
LONG_ENOUGH = "2c6f1d0a9b8e47d5a3f0c1b2"


class Site:
    """A good inventory, to be spoiled."""

    def __init__(self) -> None:
        self.groups = {
            "loadbalancers": ["lb1", "lb2"],
            "webservers": ["web1", "web2"],
            "databases": ["db1", "db2", "db3"],
            "monitoring": ["mon1"],
        }
        names = [host for hosts in self.groups.values() for host in hosts]
        self.groups |= {"all": [*names, "client1"], "ungrouped": [], "clients": ["client1"]}
        self.hosts: dict[str, dict[str, Any]] = {
            name: {"topology_address": f"192.0.2.{number}"} for number, name in enumerate(names, 11)
        }
        self.hosts["client1"] = {}
        self.set(site_domain="www.tandem.test", mysql_engine="mysql", mysql_topology="replication")
        self.set(**dict.fromkeys(SECRETS, LONG_ENOUGH))
        self.ports = {"topology_port_http": 80, "topology_port_mysql": 3306}

    def set(self, *names: str, **variables: Any) -> "Site":
        for name in names or self.hosts:
            self.hosts[name] |= variables
        return self

    def unset(self, variable: str, *names: str) -> "Site":
        for name in names or self.hosts:
            del self.hosts[name][variable]
        return self

    def problems(self) -> list[str]:
        return topology_problems(self.groups, self.hosts, self.ports, SECRETS)


@pytest.fixture
def site() -> Site:
    return Site()


def refused(site: Site, *words: str) -> None:
    """Assert that there is one problem, and that its sentence has these words."""
    [problem] = site.problems()
    assert [word for word in words if word not in problem] == [], problem
    assert problem.endswith(".")


def test_a_good_inventory_has_no_problems(site: Site) -> None:
    assert site.problems() == []


@pytest.mark.parametrize("tier", ["loadbalancers", "webservers", "databases"])
def test_missing_group(site: Site, tier: str) -> None:
    del site.groups[tier]
    refused(site, f"The group {tier} is missing", "put at least one host")


@pytest.mark.parametrize("tier", ["loadbalancers", "webservers", "databases"])
def test_empty_group(site: Site, tier: str) -> None:
    site.groups[tier] = []
    refused(site, f"The group {tier} is empty", "put at least one host")


def test_misspelt_group(site: Site) -> None:
    site.groups["webserver"] = site.groups.pop("webservers")
    refused(site, "The group webservers is missing", "rename the group webserver")


def test_monitoring_may_be_missing(site: Site) -> None:
    del site.groups["monitoring"]
    assert site.problems() == []


@pytest.mark.parametrize("without", ["a host", "monitoring", "TLS"])
def test_a_central_journal_needs_monitoring_over_tls(site: Site, without: str) -> None:
    site.set(site_journal=True)
    site.set(site_monitoring=without != "monitoring")
    site.set(site_metrics_tls=without != "TLS")
    if without == "a host":
        site.groups["monitoring"] = []
    refused(site, "site_journal is true without monitoring over TLS", "site_journal: false")


def test_a_central_journal(site: Site) -> None:
    site.set(site_journal=True)
    site.set(site_monitoring=True)
    assert site.problems() == []


def test_an_inventory_without_a_host() -> None:
    assert len(topology_problems({"all": [], "ungrouped": []}, {}, {}, SECRETS)) == 3


def test_host_in_two_tiers(site: Site) -> None:
    site.groups["databases"].append("web1")
    assert "web1 is in webservers and databases; leave it in one of them, a host has one task." in site.problems()


@pytest.mark.parametrize("name", ["web_1", "192.0.2.99", "-web"])
def test_host_without_a_proper_name(site: Site, name: str) -> None:
    site.groups["webservers"].append(name)
    site.hosts[name] = site.hosts["web1"] | {"topology_address": "192.0.2.99"}
    refused(site, f"{name} is not a host name", "ansible_host")


def test_host_without_address(site: Site) -> None:
    refused(site.unset("topology_address", "web2"), "web2 has no topology_address", "such as 10.0.0.21")


@pytest.mark.parametrize("value", ["web2.internal", "10.0.0", "10.0.0.1/24", "", None, 10, "127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_host_with_something_else_for_an_address(site: Site, value: Any) -> None:
    refused(site.set("web2", topology_address=value), f"topology_address of web2 is {value!r}", "such as 10.0.0.21")


def test_address_used_twice(site: Site) -> None:
    site.set("web2", topology_address=site.hosts["db1"]["topology_address"])
    refused(site, "192.0.2.15 is used by web2 and db1", "give each host its own")


def test_address_used_twice_in_another_spelling(site: Site) -> None:
    site.set("web1", topology_address="2001:db8::1").set("web2", topology_address="2001:DB8:0::1")
    refused(site, "2001:db8::1 is used by web1 and web2")


def test_a_machine_that_is_two_hosts(site: Site) -> None:
    refused(site.set("web1", "web2", ansible_host="198.51.100.7"), "ansible_host 198.51.100.7 is used by web1 and web2")
    site.set("web1", ansible_port=2201).set("web2", ansible_port=2202)
    assert site.problems() == []
    refused(site.set("lb1", "db1", topology_address6="2001:db8::7"), "topology_address6 2001:db8::7", "lb1 and db1")


def test_an_ipv6_address_that_is_none(site: Site) -> None:
    refused(site.set("lb1", topology_address6="192.0.2.7"), "topology_address6 of lb1 is '192.0.2.7'", "2001:db8::21")
    assert site.set("lb1", topology_address6="").problems() == []


@pytest.mark.parametrize("vips", [["www.tandem.test"], ["192.0.2.100"], "192.0.2.100", [{"address": "192.0.2.300/24"}]])
def test_virtual_address_that_is_none(site: Site, vips: Any) -> None:
    refused(site.set(site_vips=vips), "site_vips has", "203.0.113.10/24")


def test_virtual_address_of_a_host(site: Site) -> None:
    refused(site.set(site_vips=["192.0.2.13/24"]), "192.0.2.13/24", "web1", "that no host has")


def test_virtual_addresses(site: Site) -> None:
    for host in ("lb1", "lb2"):
        site.set(host, topology_address6=f"2001:db8::1{host[-1]}")
    assert site.set(site_vips=["192.0.2.100/24", {"address": "2001:db8::100/64"}]).problems() == []


def test_an_ipv6_vip_needs_load_balancers_that_speak_it(site: Site) -> None:
    site.set("lb1", topology_address6="2001:db8::11")
    refused(site.set(site_vips=["2001:db8::100/64"]), "site_vips has 2001:db8::100/64, but lb2 no topology_address6")
    assert site.set(site_vip_provider="none").problems() == []


@pytest.mark.parametrize("members", [["db1"], ["db1", "db2"], ["db1", "db2", "db3", "db4"]])
def test_cluster_without_a_majority(site: Site, members: list[str]) -> None:
    site.hosts["db4"] = site.hosts["db3"] | {"topology_address": "192.0.2.99"}
    site.groups["databases"] = members
    site.set(mysql_topology="cluster")
    refused(site, "mysql_topology is cluster", f"{len(members)} in all", members[-1], "odd number", "replication")


def test_cluster_of_three(site: Site) -> None:
    assert site.set(mysql_topology="cluster").problems() == []


def galera(site: Site, members: list[str], *arbitrators: str) -> Site:
    site.groups |= {"databases": members, "arbitrators": list(arbitrators)}
    return site.set(mysql_topology="cluster", mysql_engine="mariadb")


@pytest.mark.parametrize("arbitrator", ["mon1", "web2"])
def test_two_databases_and_an_arbitrator(site: Site, arbitrator: str) -> None:
    assert galera(site, ["db1", "db2"], arbitrator).problems() == []


def test_two_databases_may_get_an_arbitrator(site: Site) -> None:
    refused(galera(site, ["db1", "db2"]), "2 in all", "3 databases", "group arbitrators", "replication")


def test_three_databases_need_no_arbitrator(site: Site) -> None:
    refused(galera(site, ["db1", "db2", "db3"], "mon1"), "4 in all", "3 databases and no arbitrator")


def test_an_arbitrator_is_galera_s(site: Site) -> None:
    site.groups["arbitrators"] = ["mon1"]
    refused(site, "The group arbitrators is mon1", "mysql_engine: mariadb", "mysql_topology: cluster")


@pytest.mark.parametrize(("host", "why"), [("db2", "holds data itself"), ("client1", "is in no tier")])
def test_an_arbitrator_is_a_host_of_another_tier(site: Site, host: str, why: str) -> None:
    refused(galera(site, ["db1", "db2"], host), f"{host} of the group arbitrators {why}", "monitoring")


def test_one_arbitrator_is_enough(site: Site) -> None:
    problems = galera(site, ["db1"], "web1", "mon1").problems()
    assert problems == ["The group arbitrators is web1 and mon1; one vote beside the databases is enough, keep one."]


@pytest.mark.parametrize(
    ("variable", "value", "instead"),
    [
        ("mysql_engine", "postgresql", "mysql or mariadb"),
        ("mysql_topology", "galera", "replication or cluster"),
        ("site_balance", "random", "roundrobin, leastconn or source"),
        ("site_web_mode", "active", "active-active or active-passive"),
        ("site_web_mode", None, "active-active or active-passive"),
        ("site_tls", "letsencrypt", "acme, self-signed or none"),
        ("site_vip_provider", "vrrp", "keepalived or none"),
    ],
)
def test_unknown_word(site: Site, variable: str, value: Any, instead: str) -> None:
    refused(site.set(**{variable: value}), f"{variable} is {value!r};", f"write {instead}")


def test_unknown_word_on_one_host(site: Site) -> None:
    refused(site.set("lb2", site_balance="random"), "site_balance is 'random' on lb2;")


def test_two_engines(site: Site) -> None:
    refused(site.set("db2", mysql_engine="mariadb"), "mysql_engine", "mysql on db1", "mariadb on db2", "one value")


@pytest.mark.parametrize("value", [-1, 257, "heavy", 1.5, True])
def test_weight_out_of_range(site: Site, value: Any) -> None:
    refused(site.set("web1", site_weight=value), f"site_weight is {value!r} on web1", "from 0 to 256")


@pytest.mark.parametrize("value", [0, 100, 256, "50"])
def test_weight(site: Site, value: Any) -> None:
    assert site.set("web1", site_weight=value).problems() == []


def test_duplicate_server_ids(site: Site) -> None:
    site.set("db1", mysql_server_id=7).set("db3", mysql_server_id="7")
    refused(site, "mysql_server_id 7 is used by db1 and db3", "give each its own")


@pytest.mark.parametrize("value", [0, 2**32, "first"])
def test_server_id_out_of_range(site: Site, value: Any) -> None:
    refused(site.set("db1", mysql_server_id=value), f"mysql_server_id is {value!r} on db1", "from 1 to 4294967295")


@pytest.mark.parametrize(
    "value",
    ["localhost", "https://www.tandem.test", "www.tandem.test/", "192.0.2.1", "www tandem test", "-a.test", "", 5],
)
def test_domain_that_is_none(site: Site, value: Any) -> None:
    refused(site.set(site_domain=value), f"site_domain is {value!r}", "without scheme, port or path")


@pytest.mark.parametrize("value", ["www.example.com", "example.org", "shop.example"])
def test_domain_of_the_documentation(site: Site, value: str) -> None:
    refused(site.set(site_domain=value), f"site_domain is {value!r}", "your own site")


def test_domain_that_is_missing(site: Site) -> None:
    refused(site.unset("site_domain"), "site_domain is not set", "the name under which clients reach the site")


@pytest.mark.parametrize(
    "value", ["changeme", "change-me", "Change_Me", "CHANGEME!", "replace me", "password", "<secret>"]
)
def test_placeholder_secret(site: Site, value: str) -> None:
    refused(site.set(secret_mysql_app=value), f"secret_mysql_app is still {value!r}", "openssl rand -hex 24")


@pytest.mark.parametrize("value", ["", "  ", None])
def test_empty_secret(site: Site, value: Any) -> None:
    refused(site.set(secret_mysql_app=value), "secret_mysql_app is empty", "openssl rand -hex 24")


def test_short_secret_is_not_shown(site: Site) -> None:
    site.set(**{SECRETS[1]: "hunter2hunter2"})
    refused(site, "secret_mysql_app has 14 characters, fewer than 16")
    assert "hunter2" not in site.problems()[0]


def test_missing_secret(site: Site) -> None:
    refused(site.unset("secret_mysql_app"), "secret_mysql_app is not set", "encrypted file")


def test_secret_that_nobody_asked_for_is_checked_too(site: Site) -> None:
    refused(site.set(secret_vrrp="changeme"), "secret_vrrp is still 'changeme'")  # noqa: S106


@pytest.mark.parametrize("value", ["", "/srv/backup", "sftp://me@192.0.2.9:22//srv/x", "s3:https://s3.tandem.test/x"])
def test_repository(site: Site, value: str) -> None:
    assert site.set(site_backup_repository=value).problems() == []


@pytest.mark.parametrize("value", ["srv/backup", "sftp:me@host:/x", "sftp://192.0.2.9//x", "ftp://x/y", True])
def test_repository_that_is_none(site: Site, value: Any) -> None:
    refused(site.set(site_backup_repository=value), "site_backup_repository", "sftp://user@host:22//path")


def test_overlapping_ports(site: Site) -> None:
    site.ports["topology_port_web"] = "80"
    refused(site, "Port 80", "topology_port_http and topology_port_web", "give each its own")


@pytest.mark.parametrize("value", [0, 65536, "http"])
def test_port_that_is_none(site: Site, value: Any) -> None:
    site.ports["topology_port_web"] = value
    refused(site, f"topology_port_web is {value!r}", "from 1 to 65535")


def test_undefined_variable_is_a_sentence(site: Site) -> None:
    class Undefined(dict):
        def __getitem__(self, name: str) -> Any:
            if name == "topology_address":
                raise UndefinedError("'prefix' is undefined")
            return super().__getitem__(name)

    site.hosts["web1"] = Undefined(site.hosts["web1"])
    refused(site, "topology_address of web1 has no value", "'prefix' is undefined")


def check(inventory: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", "playbooks/check.yml", "-i", inventory, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [(), ("--limit", "db1", "--tags", "nginx")])
def test_the_example_has_to_be_filled_in(options: tuple[str, ...]) -> None:
    done = check("inventory/example", *options)
    assert done.returncode != 0
    assert "secret_pki_passphrase is still 'changeme'" in done.stdout
    assert "site_domain is 'www.example.com'" in done.stdout


def test_the_example_filled_in_is_accepted() -> None:
    values = [
        f"secret_{name}={LONG_ENOUGH}"
        for name in ("pki_passphrase", "mysql_replication", "mysql_app", "backup_password", "overview_password")
    ]
    done = check("inventory/example", *(f"-e{value}" for value in ["site_domain=www.tandem.test", *values]))
    assert done.returncode == 0, done.stdout


def test_undefined_variables_in_an_inventory(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        "all: {children: {webservers: {hosts: {web1: {topology_address: '{{ nowhere }}.1', site_domain: '{{ no }}'}}}}}"
    )
    done = check(str(hosts))
    assert done.returncode != 0
    for sentence in (
        "topology_address of web1 has no value",
        "The group databases is missing",
    ):
        assert sentence in " ".join(done.stdout.split())
    assert "site_domain is not set" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
