"""Each panel of the Grafana dashboards shows something of the site that the scenario made."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.default.overview.conftest import ROOT, Site
from tests.support.wait import wait_until

DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))


def panels() -> list[Any]:
    """Return the queries of every panel, with Grafana's own variables filled in as it does by default."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            queries = [
                target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".+")
                for target in panel["targets"]
            ]
            found.append(pytest.param(path, queries, id=f"{path.stem}: {panel['title']}"))
    return found


def test_there_are_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["databases", "hosts", "loadbalancers", "site", "web"]


@pytest.mark.parametrize(("path", "queries"), panels())
def test_panel_shows_something(site: Site, path: Path, queries: list[str]) -> None:
    for query in queries:
        assert "$" not in query, "Nobody but Grafana knows this variable."
        wait_until(lambda: site.prometheus(query), 90, f"an answer to {query}", interval=2)  # noqa: B023
