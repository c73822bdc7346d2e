"""Who is asked and answers, who else may ask, and what Prometheus makes of it."""

import pytest

from tests.monitoring.conftest import Site
from tests.support.http import get
from tests.support.play import play
from tests.support.wait import wait_until

PORTS = {"node": 9100, "haproxy": 8405, "nginx": 9113, "app": 9117, "mysqld": 9104}


def expected(site: Site) -> set[tuple[str, str, str]]:
    """Return job, instance and tier of every target that the inventory calls for."""
    tiers = {tier: site.tiers.get(tier, []) for tier in ("loadbalancers", "webservers", "databases", "monitoring")}
    jobs = {
        "node": list(tiers),
        "haproxy": ["loadbalancers", "webservers"],
        "nginx": ["webservers"],
        "app": ["webservers"],
        "mysqld": ["databases"],
        "blackbox": ["loadbalancers"],
        "prometheus": ["monitoring"],
        "alertmanager": ["monitoring"],
    }
    return {(job, host, tier) for job, named in jobs.items() for tier in named for host in tiers[tier]}


def test_every_target_is_up_and_none_is_missing(site: Site) -> None:
    def up() -> bool:
        targets = site.api("targets", state="active")["activeTargets"]
        down = [f"{each['scrapeUrl']}: {each['lastError']}" for each in targets if each["health"] != "up"]
        assert not down, down
        found = {tuple(each["labels"][name] for name in ("job", "instance", "tier")) for each in targets}
        assert found == expected(site)
        return True

    wait_until(up, 30, "every target to be up", interval=1)


def test_clients_of_the_site_are_served_as_the_blackbox_sees_it(site: Site) -> None:
    wait_until(lambda: site.value("min(probe_success)") == 1, 30, "every probe to succeed", interval=1)
    assert {each["metric"]["probe"] for each in site.query("probe_success")} == {"https", "redirect"}
    # In seconds: an hour is more than no time, thirty days are what the stand-in certificate has.
    assert 3600 < site.value('min(probe_ssl_earliest_cert_expiry{probe="https"}) - time()') <= 30 * 86400


@pytest.mark.parametrize(
    ("job", "host"), [("node", "db1"), ("haproxy", "lb1"), ("haproxy", "web1"), ("nginx", "web1"), ("mysqld", "db1")]
)
def test_who_has_no_certificate_is_told_nothing(site: Site, job: str, host: str) -> None:
    if job == "nginx" and site.variables[host]["lab_distro"] == "bookworm":
        pytest.skip("Debian 12's exporter of nginx asks clients for no certificate: the firewall keeps them out")
    url = f"https://{site.address(host)}:{PORTS[job]}/metrics"
    status, numbers = site.fetch("mon1", url, certificate=True)
    assert status == 200
    assert "# TYPE" in numbers
    status, said = site.fetch("mon1", url)
    assert status == 0
    assert "certificate required" in said.lower() or "handshake" in said.lower(), said


def test_the_applications_numbers_are_for_who_has_a_certificate(site: Site) -> None:
    url = f"https://{site.address('web1')}:{PORTS['app']}/metrics"
    status, numbers = site.fetch("mon1", url, certificate=True)
    assert status == 200
    assert "app_database_seconds" in numbers
    status, said = site.fetch("mon1", url)
    assert status == 400
    assert "No required SSL certificate was sent" in said


@pytest.mark.parametrize(("job", "host"), [("node", "db1"), ("app", "web1"), ("mysqld", "db1"), ("haproxy", "web1")])
def test_no_other_host_reaches_an_exporter(site: Site, job: str, host: str) -> None:
    """Not even as far as asking for a certificate."""
    silent = site.host("lb1").run(f"timeout 3 bash -c '</dev/tcp/{site.address(host)}/{PORTS[job]}'")
    assert silent.rc == 124, "it answered lb1"


def test_clients_of_the_site_do_not_see_its_numbers(site: Site) -> None:
    get("https://www.tandem.test/metrics", address=site.address("lb1"), expect=404)


def test_requests_of_clients_are_counted_by_the_application(site: Site) -> None:
    counted = 'sum(app_requests_total{route="/whoami",status="200"}) or vector(0)'
    before = site.value(counted)
    for _ in range(20):
        get("https://www.tandem.test/whoami", address=site.address("lb1"))
    # Exactly: both processes count, and each of them tells the numbers of both.
    wait_until(lambda: site.value(counted) == before + 20, 20, "the application's count", interval=1)


@pytest.mark.parametrize(
    "series",
    [
        "node_filesystem_avail_bytes",
        "node_memory_MemAvailable_bytes",
        "node_systemd_unit_state",
        "haproxy_server_status",
        "haproxy_backend_http_responses_total",
        "nginx_connections_active",
        "app_database_seconds_bucket",
        "mysql_global_status_threads_connected",
        "mysql_global_variables_read_only",
        "prometheus_tsdb_head_series",
    ],
)
def test_there_are_series_of(site: Site, series: str) -> None:
    assert site.query(series)


def test_metric_files_of_other_programs_are_passed_on(site: Site) -> None:
    name = "tandem_test_number"
    file = f"/var/lib/prometheus/node-exporter/{name}.prom"
    site.host("web1").check_output(f"echo '{name} 42' > {file}")
    try:
        wait_until(lambda: site.query(f'{name}{{instance="web1",tier="webservers"}} == 42'), 20, f"{name} of web1")
    finally:
        site.host("web1").check_output(f"rm {file}")


def test_the_exporters_account_may_read_no_data(site: Site) -> None:
    db1 = site.host("db1")
    ask = "runuser -u prometheus -- $(command -v mariadb || command -v mysql) --socket=/run/mysqld/mysqld.sock -e %s"
    assert db1.run(ask, "SHOW GLOBAL STATUS").rc == 0
    refused = db1.run(ask, "SELECT * FROM notes.notes")
    assert refused.rc != 0
    assert "denied" in refused.stderr


# --- Rules ------------------------------------------------------------------------------------------


def test_every_rule_is_evaluated_and_every_recording_rule_gives_data(site: Site) -> None:
    def evaluated() -> bool:
        rules = [rule for group in site.api("rules")["groups"] for rule in group["rules"]]
        assert rules
        assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
        empty = {rule["name"] for rule in rules if rule["type"] == "recording" and not site.query(rule["name"])}
        assert not empty
        return True

    wait_until(evaluated, 60, "every rule to be evaluated", interval=2)


def test_a_rule_that_prometheus_would_refuse_never_gets_to_its_place(site: Site) -> None:
    """The run fails with promtool's own words, and Prometheus goes on as it was."""
    before = site.mon1.check_output("cat /etc/prometheus/rules/* /etc/prometheus/prometheus.yml | sha256sum")
    broken = {"broken": [{"name": "g", "rules": [{"record": "x", "expr": "sum("}]}]}
    run = play(site.inventory, "site.yml", "--tags", "prometheus", prometheus_more_rules=broken)
    assert run.returncode != 0
    assert "unclosed left parenthesis" in run.stdout
    assert site.mon1.check_output("cat /etc/prometheus/rules/* /etc/prometheus/prometheus.yml | sha256sum") == before
    assert site.value("prometheus_config_last_reload_successful") == 1


def test_prometheus_survives_a_full_disk(site: Site) -> None:
    """It goes on answering while there is no room, and remembers again as soon as there is."""
    data, unit = "/var/lib/prometheus/metrics2", "prometheus.service"
    site.mon1.check_output(
        f"systemctl stop {unit} && mount -t tmpfs -o size=24m,mode=0755 tmpfs {data} && chown prometheus: {data}"
        f" && systemctl start {unit}"
    )
    try:
        wait_until(lambda: site.query("up"), 60, "Prometheus on a small disk", interval=1)
        site.mon1.run(f"dd if=/dev/zero of={data}/filler bs=64k")
        written = "sum(rate(prometheus_tsdb_head_samples_appended_total[15s]))"
        wait_until(
            lambda: site.mon1.run(f"journalctl -b -u {unit} | grep -q 'no space left'").rc == 0, 60, "a full disk"
        )
        assert site.api("status/runtimeinfo")  # still there
        site.mon1.check_output(f"rm {data}/filler")
        wait_until(lambda: site.value(written) > 0, 60, "numbers to be remembered again", interval=1)
    finally:
        site.mon1.check_output(f"systemctl stop {unit} && umount {data} && systemctl start {unit}")
    wait_until(lambda: site.query("up"), 60, "Prometheus on its own disk", interval=1)
