"""The Grafana dashboards can be imported: whoever does names the data source, and nothing else is needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.roles import ROOT

DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    return json.loads(path.read_text()) | {"stem": path.stem}


def test_it_names_no_data_source_of_its_own(dashboard: dict[str, Any]) -> None:
    variables = {each["name"]: each["type"] for each in dashboard["templating"]["list"]}
    assert variables["datasource"] == "datasource"
    for panel in dashboard["panels"]:
        for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}


def test_its_identity_is_its_own(dashboard: dict[str, Any]) -> None:
    assert dashboard["uid"] == f"tandem-{dashboard['stem']}"
    assert "id" not in dashboard
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
