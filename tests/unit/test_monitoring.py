"""What Prometheus and the exporters are told, rendered without a host."""

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

from plugins.filter.monitoring import probes, targets
from tests.support.roles import ROOT, defaults, read_yaml
from tests.unit.test_readme_examples import inputs

FACTS = {"ansible_managed": "Ansible managed", "ansible_check_mode": False}
LB1 = {"name": "lb1", "address": "192.0.2.11"}


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


def templar(role: str, release: str = "trixie", **more: Any) -> Templar:
    """Return a templar with the role's variables, for the inputs of its README."""
    variables = defaults(role) | (read_yaml(ROOT / "roles" / role / "vars/main.yml") or {}) | inputs(role) | more
    facts = FACTS | {"ansible_facts": {"distribution_release": release}}
    return Templar(loader=DataLoader(), variables=trusted(variables) | facts)


def render(role: str, template: str, **inputs: Any) -> str:
    return templar(role, **inputs).template(
        trust_as_template((ROOT / "roles" / role / "templates" / template).read_text())
    )


def units(**inputs: Any) -> dict[str, str]:
    """Return the unit of each exporter, by its name."""
    wanted = templar("exporters", **inputs).template(trust_as_template("{{ __exporters_all }}"))
    return {each["name"]: render("exporters", "exporter.service.j2", item=each, **inputs) for each in wanted}


# --- Targets ----------------------------------------------------------------------------------------


def test_a_target_for_each_member_with_its_tier() -> None:
    assert targets({"loadbalancers": [LB1], "databases": [{"name": "db1", "address": "2001:db8::31"}]}, 9100) == [
        {"instance": "lb1", "tier": "loadbalancers", "target": "192.0.2.11:9100"},
        {"instance": "db1", "tier": "databases", "target": "[2001:db8::31]:9100"},
    ]


def test_the_site_is_probed_at_each_address_and_by_its_name() -> None:
    asked = probes([LB1], ["192.0.2.100"], "www.example.com", "/healthz", tls=True)
    assert [(each["instance"], each["target"], each["labels"]["probe"]) for each in asked] == [
        ("192.0.2.100", "https://192.0.2.100/healthz", "https"),
        ("lb1", "https://192.0.2.11/healthz", "https"),
        ("192.0.2.100", "http://192.0.2.100/healthz", "redirect"),
        ("lb1", "http://192.0.2.11/healthz", "redirect"),
    ]
    assert {each["params"]["hostname"] for each in asked} == {"www.example.com"}


def test_a_site_without_tls_is_probed_without() -> None:
    [only] = probes([LB1], [], "www.example.com", "/", tls=False)
    assert only["target"] == "http://192.0.2.11/"
    assert only["labels"]["probe"] == only["params"]["module"] == "http"


# --- Prometheus -------------------------------------------------------------------------------------


def test_prometheus_reads_each_job() -> None:
    config = yaml.safe_load(render("prometheus", "prometheus.yml.j2"))
    node, blackbox = config["scrape_configs"]
    assert node["scheme"] == "https"
    assert node["tls_config"]["cert_file"] == "/etc/tandem/pki/metrics.pem"
    [target] = node["static_configs"]
    assert target == {"targets": ["192.0.2.21:9100"], "labels": {"instance": "web1", "tier": "webservers"}}
    assert blackbox["metrics_path"] == "/probe"
    labels = blackbox["static_configs"][0]["labels"]
    assert labels["__param_module"] == labels["probe"] == "https"
    assert labels["__param_hostname"] == "www.example.com"
    assert {"target_label": "__address__", "replacement": "127.0.0.1:9115"} in blackbox["relabel_configs"]
    assert config["global"]["external_labels"] == {"site": "www.example.com"}
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:9093"]}]


def test_prometheus_copies_its_numbers_where_it_is_told() -> None:
    elsewhere = [{"url": "https://metrics.example.net/write", "basic_auth": {"username": "site"}}]
    config = yaml.safe_load(render("prometheus", "prometheus.yml.j2", prometheus_remote_write=elsewhere))
    assert config["remote_write"] == elsewhere


def test_prometheus_reads_the_rules_of_this_role_and_those_it_is_given() -> None:
    config = yaml.safe_load(render("prometheus", "prometheus.yml.j2", prometheus_more_rules={"shop": []}))
    assert "/etc/prometheus/rules/shop.yml" in config["rule_files"]
    assert len(config["rule_files"]) == len(defaults("prometheus")["prometheus_rules"]) + 1


# --- Exporters --------------------------------------------------------------------------------------


def test_each_exporter_has_its_unit_and_its_port() -> None:
    found = units()
    assert sorted(found) == ["mysqld", "node"]
    assert "--web.listen-address=192.0.2.31:9104" in found["mysqld"]
    assert "--web.config.file=/etc/tandem/exporters/web.yml" in found["node"]
    assert "SupplementaryGroups=tandem-metrics" in found["node"]


def test_a_unit_reads_as_if_written_by_hand() -> None:
    for text in units().values():
        assert "{{" not in text
        assert "\n\n\n" not in text
        assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_collectors_that_nobody_asked_for_are_off() -> None:
    text = units()["mysqld"]
    assert '"--collect.slave_status"' in text
    assert '"--no-collect.info_schema.innodb_cmp"' in text


def test_on_loopback_no_certificate_is_asked_for() -> None:
    text = units(exporters_wanted=[{"name": "blackbox", "address": "127.0.0.1"}])["blackbox"]
    assert "--web.listen-address=127.0.0.1:9115" in text
    assert "web.config" not in text


def test_the_old_exporter_of_nginx_is_told_in_its_own_words() -> None:
    nginx = [{"name": "nginx"}]
    assert "--web.config.file" in units(exporters_wanted=nginx)["nginx"]
    old = units(exporters_wanted=nginx, release="bookworm")["nginx"]
    assert "--web.secured-metrics --web.ssl-server-cert=/etc/tandem/pki/metrics.pem" in old
    assert "--web.config.file" not in old


def test_blackbox_verifies_unless_told_not_to() -> None:
    modules = yaml.safe_load(render("exporters", "blackbox.yml.j2", exporters_probe_ca="/ca.pem"))["modules"]
    assert modules["https"]["http"]["tls_config"] == {"ca_file": "/ca.pem", "insecure_skip_verify": False}
    modules = yaml.safe_load(render("exporters", "blackbox.yml.j2", exporters_probe_verify=False))["modules"]
    assert modules["https"]["http"]["tls_config"] == {"insecure_skip_verify": True}


# --- Alertmanager -----------------------------------------------------------------------------------


def test_alertmanager_sends_to_those_it_is_given_and_the_watchdog_elsewhere() -> None:
    config = yaml.safe_load(render("alertmanager", "alertmanager.yml.j2", secret_smtp="s", secret_pagerduty="p"))  # noqa: S106
    assert config["route"]["receiver"] == "mail"
    watchdog, pager = config["route"]["routes"]
    assert watchdog["matchers"] == ['alertname="Watchdog"']
    assert (watchdog["receiver"], pager["receiver"]) == ("watchdog", "pager")
    assert [each["name"] for each in config["receivers"]] == ["mail", "pager", "watchdog"]
    assert config["global"]["smtp_auth_password"] == "s"  # noqa: S105


def test_alertmanager_without_receivers_tells_nobody() -> None:
    given = {"alertmanager_receivers": [], "alertmanager_routes": [], "alertmanager_watchdog_url": ""}
    config = yaml.safe_load(render("alertmanager", "alertmanager.yml.j2", secret_smtp="s", **given))  # noqa: S106
    assert config["receivers"] == [{"name": "nobody"}, {"name": "watchdog"}]


def test_alertmanagers_talk_to_each_other_over_tls() -> None:
    given = {"alertmanager_peers": ["192.0.2.42:9094"], "alertmanager_cluster_address": "192.0.2.41"}
    alone = render("alertmanager", "alertmanager.service.j2")
    assert "--cluster.listen-address= \\" in alone
    assert "cluster.peer" not in alone
    two = render("alertmanager", "alertmanager.service.j2", alertmanager_tls_cert="/metrics.pem", **given)
    assert "--cluster.listen-address=192.0.2.41:9094" in two
    assert "--cluster.peer=192.0.2.42:9094" in two
    assert "--cluster.tls-config=/etc/prometheus/alertmanager-cluster.yml" in two
    assert "cluster.tls-config" not in render("alertmanager", "alertmanager.service.j2", **given)
