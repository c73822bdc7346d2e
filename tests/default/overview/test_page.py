"""The page in a real browser, on a site of real hosts: it shows what is, and what is not any more."""

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.default.overview.conftest import ROOT, Look, Site
from tests.support.http import get
from tests.support.roles import read_yaml
from tests.support.wait import wait_until

QUESTIONS = read_yaml(ROOT / "roles/overview/vars/main.yml")
SCREENSHOTS = Path(os.environ.get("TANDEM_TEST_REPORTS", ROOT / "reports/default")) / "screenshots"


def docker(verb: str, container: str) -> None:
    subprocess.run(["docker", verb, container], check=True, capture_output=True)


def all_serve(site: Site, look: Look) -> None:
    for name in itertools.chain(*site.tiers.values()):
        look.card(name, "good", 180)
    expect(look.page.locator("#verdict")).to_have_attribute("data-state", "good", timeout=60_000)


# --- What may be asked, and by whom -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "overview.js", "site.json", "docs/monitoring.md", "api/now", "api/alerts"])
def test_nothing_is_shown_without_a_login(site: Site, path: str) -> None:
    assert site.get(path, login=False, expect=401).status == 401
    assert site.get(path).body


@pytest.mark.parametrize(
    "path",
    ["api/v1/query?query=up", "api/past/nothing/1h", "api/past/cpu/2h", "api/past/cpu/1h/x", "api/v1/status/config",
     "api/v1/admin/tsdb/snapshot", "api/v2/silences", "nginx.conf", "..%2f..%2fetc/passwd"],
)  # fmt: skip
def test_nothing_else_can_be_asked(site: Site, path: str) -> None:
    assert site.get(path, expect=None).status in {400, 404}


def test_nothing_can_be_written(site: Site) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert site.get("api/now", method=method, expect=405).status == 405


def test_words_of_the_client_do_not_reach_prometheus(site: Site) -> None:
    names = {series["metric"]["is"] for series in site.get("api/now?query=vector(1)&time=0").json()["data"]["result"]}
    assert {"up", "web", "route", "db_writable"} <= names


@pytest.mark.parametrize("span", QUESTIONS["__overview_spans"])
@pytest.mark.parametrize("question", QUESTIONS["__overview_past"])
def test_each_question_is_understood(site: Site, question: str, span: str) -> None:
    answer = site.get(f"api/past/{question}/{span}").json()
    assert answer["status"] == "success"
    assert answer["data"]["resultType"] == "matrix"


# What a healthy site has no series of before its first proof of a backup, nor where its databases are a cluster.
ABSENT = {"certificate_failed", "proof", "proof_run", "proof_recovery", "errors", "db_semi_sync"}


def test_each_part_of_the_picture_is_there(site: Site) -> None:
    def missing() -> set[str]:
        found = {series["metric"]["is"] for series in site.get("api/now").json()["data"]["result"]}
        return QUESTIONS["__overview_now"].keys() - found - ABSENT

    wait_until(lambda: not missing(), 120, "a series for every part of the picture")
    assert missing() == set()


def test_nothing_inline_and_nothing_from_elsewhere(site: Site) -> None:
    policy = site.get("").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for file in (ROOT / "roles/overview/files/page").glob("*.*"):
        assert "style=" not in file.read_text() or file.suffix == ".js"


# --- What is drawn --------------------------------------------------------------------------------------


def test_it_draws_the_site_without_a_complaint(site: Site, look: Look) -> None:
    all_serve(site, look)
    expect(look.page.locator("#verdict-text")).to_have_text("Everything serves")
    expect(look.page.locator("#edges path.edge").first).to_be_attached()
    expect(look.page.locator(".plot canvas")).to_have_count(len(QUESTIONS["__overview_past"]) - 1, timeout=60_000)
    assert look.complaints == []


def test_the_address_is_where_it_is(site: Site, look: Look) -> None:
    holders = {n for n in site.tiers["loadbalancers"] if f" {site.vip}/" in site.host(n).check_output("ip -o address")}
    shown = {name for name in site.tiers["loadbalancers"] if f"holds {site.vip}" in look.card(name, "good")}
    assert shown == holders
    assert len(shown) == 1


def test_the_primary_is_who_says_so(site: Site, look: Look) -> None:
    for name in site.tiers["databases"]:
        at = site.variables[name]["topology_address"]
        program = f"import urllib.request as u; u.urlopen('http://{at}:9200/primary', timeout=5)"
        primary = site.host(name).run("python3 -c %s", program).succeeded
        text = look.card(name, "good")
        assert ("takes writes" in text) == primary
        assert ("serves reads" in text) == (not primary)


def test_time_can_be_chosen_with_the_keyboard(look: Look) -> None:
    look.card("web1")
    look.page.locator("#spans input:checked").focus()
    look.page.keyboard.press("ArrowRight")
    expect(look.page.locator("#spans input:checked")).to_have_value("6h")
    assert look.page.url.endswith("#6h")


def test_a_runbook_can_be_read_here(site: Site, look: Look) -> None:
    look.page.goto(f"{site.url}/docs.html?monitoring.md#database-down")
    expect(look.page.locator("h3#database-down")).to_be_visible()
    assert look.complaints == []


def test_each_alert_of_the_rules_leads_to_a_runbook_that_is_here(site: Site, look: Look) -> None:
    groups = site.host("mon1").check_output("cat /etc/prometheus/rules/*.yml")
    links = {line.split("#")[1].strip() for line in groups.splitlines() if "runbook: docs/monitoring.md#" in line}
    assert links
    look.page.goto(f"{site.url}/docs.html?monitoring.md")
    look.page.locator("h3").first.wait_for()
    there = set(look.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)"))
    assert links - there == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width", "height"), [("desktop", 1440, 1000), ("phone", 390, 844)])
def test_screenshots(
    site: Site, browser: Browser, options: dict[str, Any], scheme: str, device: str, width: int, height: int
) -> None:
    context = browser.new_context(**options, color_scheme=scheme, viewport={"width": width, "height": height})
    look = Look(context, site.url)
    all_serve(site, look)
    look.page.locator(".plot canvas").last.wait_for()
    look.page.screenshot(path=SCREENSHOTS / f"{scheme}-{device}.png", full_page=True)
    assert look.page.evaluate("document.documentElement.scrollWidth") <= width, "It has to be scrolled sideways."
    assert look.complaints == []
    context.close()


# --- What is not any more -------------------------------------------------------------------------------


def test_a_killed_web_server_is_shown_in_time(site: Site, look: Look) -> None:
    all_serve(site, look)
    try:
        docker("kill", site.container("web1"))
        text = look.card("web1", "bad", seconds=15)
        assert "down" in text
        expect(look.page.locator("#verdict-text")).to_have_text("web1 is down", timeout=5_000)
        expect(look.page.locator("#verdict-why")).to_contain_text("one more web server and it is off")
        look.page.screenshot(path=SCREENSHOTS / "web1-killed.png", full_page=True)
    finally:
        docker("start", site.container("web1"))
    all_serve(site, look)
    assert look.complaints == []


def test_an_address_that_moves_is_shown_and_marked(site: Site, look: Look) -> None:
    all_serve(site, look)
    [holder] = [n for n in site.tiers["loadbalancers"] if f"holds {site.vip}" in look.card(n)]
    [other] = [n for n in site.tiers["loadbalancers"] if n != holder]
    site.host(holder).check_output("keepalived-yield %s", site.vip)
    expect(look.page.locator(f"#host-{other}")).to_contain_text(f"holds {site.vip}", timeout=30_000)
    expect(look.page.locator("#changes")).to_contain_text(f"{other} took {site.vip}", timeout=60_000)
    assert look.complaints == []


def test_a_missing_series_is_said_to_be_missing(site: Site, look: Look) -> None:
    all_serve(site, look)
    try:
        site.host("db2").check_output("systemctl stop prometheus-mysqld-exporter")
        assert "its own numbers do not come" in look.card("db2", "warn", 30)
    finally:
        site.host("db2").check_output("systemctl start prometheus-mysqld-exporter")
    all_serve(site, look)


def test_without_prometheus_it_says_so_and_recovers(site: Site, look: Look) -> None:
    all_serve(site, look)
    try:
        site.host("mon1").check_output("systemctl stop prometheus")
        expect(look.page.locator("#notice")).to_contain_text("Prometheus does not answer", timeout=20_000)
        expect(look.page.locator("#verdict")).to_have_attribute("data-state", "unknown")
    finally:
        site.host("mon1").check_output("systemctl start prometheus")
    expect(look.page.locator("#notice")).to_be_hidden(timeout=60_000)
    all_serve(site, look)


def test_only_administrators_reach_it(site: Site) -> None:
    """From inside, every port of mon1 that is not declared is closed; this one is declared for administrators."""
    rules = site.host("mon1").check_output("ufw status")
    assert "9443" in rules
    assert get(f"{site.url}/", expect=401).status == 401
