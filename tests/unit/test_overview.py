"""The overview's nginx.conf, rendered without a host, and what the page concludes from numbers, without a browser."""

import json
import re
import subprocess
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from playwright._impl._driver import compute_driver_executable

from tests.support.roles import ROOT, defaults, read_yaml

ROLE = ROOT / "roles/overview"
VARS = read_yaml(ROLE / "vars/main.yml")


def trusted(value: Any) -> Any:
    """Return a variable as Ansible would have read it: its strings may be templates."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(each) for key, each in value.items()}
    return [trusted(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def conf() -> str:
    init_plugin_loader()
    inputs = {
        "ansible_managed": "Ansible managed",
        "overview_certificate": "/c.pem",
        "overview_certificate_key": "/c.key",
    }
    variables = trusted(defaults("overview") | VARS) | inputs | {"overview_name": "www.example.com"}
    return Templar(loader=DataLoader(), variables=variables).template(
        trust_as_template((ROLE / "templates/nginx.conf.j2").read_text())
    )


def test_reads_as_if_written_by_hand(conf: str) -> None:
    assert "{{" not in conf
    assert "\n\n\n" not in conf
    assert [line for line in conf.splitlines() if line != line.rstrip()] == []
    assert conf.count("{") == conf.count("}")


def test_nginx_takes_each_line(conf: str) -> None:
    """Its parser holds 4096 characters of one parameter."""
    assert max(map(len, conf.splitlines())) < 4096


def test_nothing_of_the_client_is_part_of_a_query(conf: str) -> None:
    for line in conf.splitlines():
        if "proxy_pass " in line:
            assert set(re.findall(r"\$\{?(\w+)", line)) <= {"expression", "span", "step"} | {
                f"now_{name}" for name in VARS["__overview_now"]
            }


def test_a_dollar_in_a_query_would_be_nginxs() -> None:
    queries = VARS["__overview_now"] | VARS["__overview_past"]
    assert [name for name, query in queries.items() if "$" in query] == []


def test_the_page_offers_what_nginx_knows() -> None:
    plots = (ROLE / "files/page/plots.js").read_text()
    for name, span in VARS["__overview_spans"].items():
        assert re.search(rf'"{name}": \["[^"]+", \d+, (\d+)\]', plots), name
        seconds = int(span["step"][:-1]) * {"s": 1, "m": 60, "h": 3600}[span["step"][-1]]
        assert int(re.search(rf'"{name}": \["[^"]+", \d+, (\d+)\]', plots)[1]) == seconds
    asked = re.findall(r"^  (\w+): \[\"", plots, re.M)
    assert sorted([*asked, "marks"]) == sorted(VARS["__overview_past"])


# --- What the page concludes ------------------------------------------------------------------------------

NOW = 1_800_000_000
SITE = {
    "name": "www.example.com",
    "vips": ["192.0.2.100"],
    "backups": True,
    **{
        tier: [{"name": name, "address": "192.0.2.1"} for name in names.split()]
        for tier, names in {
            "loadbalancers": "lb1 lb2",
            "webservers": "web1 web2",
            "databases": "db1 db2",
            "monitoring": "mon1",
        }.items()
    },
}


def healthy() -> list[dict[str, Any]]:
    """Return what Prometheus says of a site in which all is well."""
    found: list[dict[str, Any]] = []

    def add(name: str, value: float, /, **labels: str) -> None:
        found.append({"metric": {"is": name, **labels}, "value": [NOW, str(value)]})

    for host in ("lb1", "lb2", "web1", "web2", "db1", "db2", "mon1"):
        add("up", 1, job="node", instance=host)
    for lb in ("lb1", "lb2"):
        add("up", 1, job="haproxy", instance=lb)
        add("vip", 1, instance=lb, address="192.0.2.100", state="MASTER" if lb == "lb1" else "BACKUP")
        for web in ("web1", "web2"):
            add("web", 1, instance=lb, server=web, state="UP")
    add("probe", 1, instance="192.0.2.100", address="192.0.2.100", probe="https")
    for db in ("db1", "db2"):
        add("up", 1, job="mysqld", instance=db)
        add("db_up", 1, instance=db)
        add("db_writable", int(db == "db1"), instance=db)
        add("db_lag", 0, instance=db)
        add("db_replicates", 1, instance=db)
        for web in ("web1", "web2"):
            add("route", 1, instance=web, server=db, proxy="mysql-write", state="UP" if db == "db1" else "DOWN")
            add("route", 1, instance=web, server=db, proxy="mysql-read", state="DOWN" if db == "db1" else "UP")
    add("backup", NOW - 3600, __name__="tandem_backup_newest_timestamp_seconds", task="run", instance="db2")
    add("backup", NOW - 30, __name__="tandem_backup_archive_until_timestamp_seconds", task="archive", instance="db1")
    add("proof", 1, __name__="tandem_backup_proof_ok", task="prove", instance="mon1")
    add("proof", NOW - 3600, __name__="tandem_backup_proof_backup_timestamp_seconds", task="prove", instance="mon1")
    add("proof_run", NOW - 600, task="prove", instance="mon1")
    add("certificate", NOW + 60 * 86400, name="www.example.com", instance="lb1")
    return found


def conclude(samples: list[dict[str, Any]], site: dict[str, Any] = SITE) -> dict[str, Any]:
    """Let the page's own model say what it makes of an answer, in the Node.js that Playwright brings along."""
    program = f"""
        import {{readFileSync}} from "node:fs";
        const model = readFileSync("{ROLE}/files/page/model.js", "utf8");
        const {{backups, certificates, hosts, Samples, verdict}} =
          await import("data:text/javascript," + encodeURIComponent(model));
        const [result, site] = JSON.parse(readFileSync(0, "utf8"));
        const samples = new Samples(result), all = hosts(samples, site);
        console.log(JSON.stringify({{
          verdict: verdict(samples, site, all), hosts: Object.fromEntries(all.map((h) => [h.name, h])),
          backups: backups(samples, site, (time) => `at ${{time}}`), certificates: certificates(samples)}}));
    """
    node = compute_driver_executable()[0]
    done = subprocess.run(
        [node, "--input-type=module", "-e", program],
        input=json.dumps([samples, site]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def without(samples: list[dict[str, Any]], **labels: str) -> list[dict[str, Any]]:
    return [each for each in samples if not labels.items() <= each["metric"].items()]


def changed(samples: list[dict[str, Any]], value: float | str, **labels: str) -> list[dict[str, Any]]:
    """Return the samples with another value, or another state, where the labels are these."""
    made = []
    for each in samples:
        if labels.items() <= each["metric"].items():
            if isinstance(value, str):
                each = {**each, "metric": each["metric"] | {"state": value}}
            else:
                each = {**each, "value": [NOW, str(value)]}
        made.append(each)
    assert made != samples
    return made


def test_all_is_well() -> None:
    found = conclude(healthy())
    assert found["verdict"]["text"] == "Everything serves"
    assert "any one of them may be lost" in found["verdict"]["why"]
    assert {host["state"] for host in found["hosts"].values()} == {"good"}
    assert [row["state"] for row in [*found["backups"], *found["certificates"]]] == ["good"] * 3
    assert found["hosts"]["lb2"]["word"] == "stands by"


@pytest.mark.parametrize(
    ("samples", "host", "state", "verdict"),
    [
        (changed(healthy(), "DOWN", **{"is": "web", "server": "web1"}), "web1", "bad", "web1 is down"),
        (changed(healthy(), "DRAIN", **{"is": "web", "server": "web1"}), "web1", "warn", "look at web1"),
        (changed(healthy(), "DOWN", **{"is": "web", "server": "web1", "instance": "lb2"}), "web1", "warn", "look at"),
        (changed(healthy(), "DOWN", **{"is": "web"}), "web2", "bad", "No web server is left"),
        (changed(healthy(), 0, **{"is": "probe"}), "lb1", "good", "Clients get no answer"),
        (changed(healthy(), 0, **{"is": "up", "instance": "lb1"}), "lb1", "bad", "lb1 is down"),
        (changed(healthy(), "MASTER", **{"is": "vip"}), "lb2", "good", "lb1 and lb2 both hold 192.0.2.100"),
        (changed(healthy(), "FAULT", **{"is": "vip"}), "lb1", "warn", "Nobody holds 192.0.2.100"),
        (changed(healthy(), 0, **{"is": "db_writable"}), "db1", "warn", "No database takes writes"),
        (changed(healthy(), 0, **{"is": "db_replicates", "instance": "db2"}), "db2", "bad", "db2 needs help"),
        (changed(healthy(), 60, **{"is": "db_lag", "instance": "db2"}), "db2", "warn", "look at db2"),
        (changed(healthy(), 0, **{"is": "db_up", "instance": "db2"}), "db2", "bad", "db2 is down"),
        (changed(healthy(), 0, **{"is": "up", "instance": "db2"}), "mon1", "warn", "look at db2 and mon1"),
        (without(healthy(), instance="mon1"), "mon1", "unknown", "Nothing is known of mon1"),
        ([], "db1", "unknown", "Not known"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_seen(samples: list[dict[str, Any]], host: str, state: str, verdict: str) -> None:
    found = conclude(samples)
    assert found["hosts"][host]["state"] == state
    assert verdict in found["verdict"]["text"]
    assert found["verdict"]["state"] != "good"


def test_one_more_and_it_is_off() -> None:
    found = conclude(changed(healthy(), "DOWN", **{"is": "web", "server": "web1"}))
    assert "one more web server and it is off" in found["verdict"]["why"]


def test_a_silent_exporter_is_no_dead_database() -> None:
    samples = without(
        changed(healthy(), 0, **{"is": "up", "job": "mysqld", "instance": "db2"}), **{"is": "db_up", "instance": "db2"}
    )
    assert conclude(samples)["hosts"]["db2"]["word"] == "half seen"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (changed(healthy(), NOW - 3 * 86400, __name__="tandem_backup_newest_timestamp_seconds"), "Last backup"),
        (changed(healthy(), NOW - 900, __name__="tandem_backup_archive_until_timestamp_seconds"), "not archived"),
        (changed(healthy(), 0, __name__="tandem_backup_proof_ok"), "The proof failed"),
        (changed(healthy(), NOW - 4 * 86400, **{"is": "proof_run"}), "The proof is late"),
        ([], "No backup is known"),
    ],
)
def test_backups_that_are_not_well(samples: list[dict[str, Any]], said: str) -> None:
    assert any(said in row["title"] and row["state"] != "good" for row in conclude(samples)["backups"])


def test_a_certificate_that_only_clients_see() -> None:
    samples = [each for each in healthy() if each["metric"]["is"] != "certificate"]
    for address in ("192.0.2.11", "192.0.2.100"):
        labels = {"is": "certificate", "instance": "lb1", "address": address, "probe": "https"}
        samples.append({"metric": labels, "value": [NOW, str(NOW + 30 * 86400)]})
    [row] = conclude(samples)["certificates"]
    assert row["title"] == "As clients see it"
    assert "30 days on 192.0.2.100 and 192.0.2.11" in row["text"]


def test_a_certificate_that_ends_soon() -> None:
    for days, state in ((20, "warn"), (6, "bad"), (-1, "bad")):
        found = conclude(changed(healthy(), NOW + days * 86400, **{"is": "certificate"}))
        assert [row["state"] for row in found["certificates"]] == [state]
