"""What the service counts: requests by their outcome, and what its databases cost them."""

import re
import subprocess
import sys
from pathlib import Path

import pymysql

NOTES = Path(__file__).parents[3] / "roles/app/files/notes"
AWAY = pymysql.OperationalError(2003, "Can't connect to MySQL server")


def value(client, series: str) -> float:
    """Return the value of one series; 0 for one that is not there yet."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", client.get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


def test_requests_are_counted_by_route_and_status(client):
    good = 'app_requests_total{method="GET",route="/notes",status="200"}'
    bad = 'app_requests_total{method="GET",route="/notes",status="400"}'
    seconds = 'app_request_seconds_count{route="/notes"}'
    before = [value(client, series) for series in (good, bad, seconds)]
    client.get("/notes")
    client.get("/notes?limit=none")
    assert [value(client, series) for series in (good, bad, seconds)] == [before[0] + 1, before[1] + 1, before[2] + 2]


def test_an_unknown_path_makes_no_series_of_its_own(client):
    client.get("/no/such/path")
    assert "/no/such/path" not in client.get("/metrics").text
    assert value(client, 'app_requests_total{method="GET",route="none",status="404"}') > 0


def test_those_who_watch_are_not_counted(client):
    client.get("/healthz")
    assert 'route="/healthz"' not in client.get("/metrics").text


def test_a_database_that_is_away_is_counted(site, client):
    failures, refusals = 'app_database_failures_total{database="read"}', 'app_database_refusals_total{database="read"}'
    before = value(client, failures), value(client, refusals)
    site.replica.faults = [AWAY] * 100
    assert client.get("/notes").status_code == 503
    assert value(client, failures) > before[0]
    assert value(client, refusals) == before[1] + 1


def test_numbers_of_every_process_are_told_by_each(tmp_path):
    """As under gunicorn: one process counts, another one tells."""
    count = "from notes import metrics; metrics.DATABASE_REFUSALS.labels('write').inc(3)"
    tell = "from notes import metrics; print(metrics.text().decode())"
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(NOTES)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], env=environment, check=True)
    told = subprocess.run([sys.executable, "-c", tell], env=environment, check=True, capture_output=True, text=True)
    assert 'app_database_refusals_total{database="write"} 6.0' in told.stdout
