"""What the program on each host finds out: when certificates end, and what changed behind a service."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.roles import ROOT


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/module_utils"))
    loader = SourceFileLoader("tandem_host_metrics", str(ROOT / "roles/exporters/files/tandem-host-metrics"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def told(program: ModuleType, tmp_path: Path, **wanted: Any) -> dict[str, float]:
    """Return the metric file's values for these settings."""
    settings = tmp_path / "host.json"
    settings.write_text(
        json.dumps({"textfile_dir": str(tmp_path), "certificates": [], "services": [], "database": {}} | wanted)
    )
    program.main(settings)
    lines = (tmp_path / "host.prom").read_text().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_when_a_certificate_ends(program: ModuleType, tmp_path: Path) -> None:
    pem = tmp_path / "service.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=x"
    subprocess.run([*command.split(), "-keyout", os.devnull, "-out", str(pem)], check=True, capture_output=True)
    (tmp_path / "other.pem").write_text("no certificate")
    [(name, end)] = told(program, tmp_path, certificates=[f"{tmp_path}/*.pem"]).items()
    assert name == f'tandem_host_certificate_not_after_timestamp_seconds{{file="{pem}"}}'
    assert end == pytest.approx(time.time() + 7 * 86400, abs=60)


@pytest.mark.parametrize(("age", "stale"), [(3600, 0), (-3600, 1)])
def test_whether_what_is_written_runs(program: ModuleType, tmp_path: Path, age: float, stale: int) -> None:
    file = tmp_path / "service.conf"
    file.write_text("")
    os.utime(file, (time.time() - age,) * 2)
    process = Path("/proc/self/comm").read_text().strip()
    found = told(program, tmp_path, services=[{"process": process, "files": [str(file)]}])
    assert found == {f'tandem_host_configuration_stale{{service="{process}"}}': stale}


def test_a_service_that_does_not_run_is_not_stale(program: ModuleType, tmp_path: Path) -> None:
    assert told(program, tmp_path, services=[{"process": "nobody-is-called-so", "files": ["/etc/passwd"]}]) == {}


A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "8a94f357-aab4-11df-86ab-c80aa9429562"


@pytest.mark.parametrize(
    ("mine", "primary", "diverges"),
    [
        ((False, f"{A}:1-9"), [(True, f"{A}:1-10")], 0),
        ((False, f"{A}:1-10,{B}:1"), [(True, f"{A}:1-10")], 1),
        # A commit that waits for its replica is seen there first.
        ((False, f"{A}:1-11"), [(True, f"{A}:1-10"), (True, f"{A}:1-12")], 0),
        ((True, f"{A}:1-11"), [(False, f"{A}:1-10")], 0),
        ((False, f"{A}:1-11"), [None], None),
        (None, [(True, f"{A}:1-10")], None),
    ],
)
def test_what_only_this_database_holds(
    program: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mine: tuple[bool, str] | None,
    primary: list[tuple[bool, str] | None],
    diverges: int | None,
) -> None:
    """The primary's answers come one after the other; the last one is given for ever."""
    monkeypatch.setattr(program, "CATCH_UP", 0.5)
    answers = {"own": [mine], "other": list(primary)}

    def state(url: str) -> dict[str, Any]:
        said = answers[url].pop(0) if len(answers[url]) > 1 else answers[url][0]
        return {"writable": said[0], "gtid": said[1]} if said else {}

    monkeypatch.setattr(program, "state", state)
    found = told(program, tmp_path, database={"engine": "mysql", "own": "own", "others": ["other"]})
    assert found == ({} if diverges is None else {"tandem_host_database_diverges": diverges})
