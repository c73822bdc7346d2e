"""Rules that hold for the whole repository."""

import ast
import json
import re
import site
import subprocess
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.support.roles import ROLES, ROOT, read_yaml

SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/converge.yml"))
PLAYBOOKS = sorted(
    str(path.relative_to(ROOT)) for pattern in ("site.yml", "playbooks/*.yml") for path in ROOT.glob(pattern)
)
TESTS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py"))


def installed_version(collection: str) -> str:
    """Return the version that the pinned tools carry."""
    [manifest] = [
        path
        for directory in site.getsitepackages()
        for path in Path(directory, "ansible_collections", *collection.split(".")).glob("MANIFEST.json")
    ]
    return json.loads(manifest.read_text())["collection_info"]["version"]


def test_galaxy_and_requirements_name_the_same_collections() -> None:
    dependencies = read_yaml(ROOT / "galaxy.yml")["dependencies"]
    requirements = read_yaml(ROOT / "requirements.yml")["collections"]
    assert {each["name"]: each["version"] for each in requirements} == dependencies


@pytest.mark.parametrize(("collection", "versions"), read_yaml(ROOT / "galaxy.yml")["dependencies"].items())
def test_pinned_tools_carry_the_collection(collection: str, versions: str) -> None:
    assert SpecifierSet(versions).contains(installed_version(collection))


@pytest.mark.parametrize("role", ROLES)
def test_role_has_a_scenario(role: str) -> None:
    # Those that watch have nothing to do alone.
    together = dict.fromkeys(("exporters", "journal", "prometheus", "alertmanager"), "monitoring") | {
        "overview": "default"
    }
    assert together.get(role, role) in SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_is_complete(scenario: str) -> None:
    """Molecule is silent about a scenario without molecule.yml, and green without tests."""
    assert (ROOT / "molecule" / scenario / "molecule.yml").exists()
    assert (ROOT / "molecule" / scenario / "inventory").exists()
    assert list(ROOT.glob(f"tests/{scenario}/test_*.py"))


@pytest.mark.parametrize("role", ROLES)
def test_role_knows_no_groups(role: str) -> None:
    """Who is in the inventory is a matter of playbooks/group_vars/all/topology.yml."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in ROOT.glob(f"roles/{role}/**/*")
        if path.suffix in {".yml", ".j2"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(groups\s*[.\[]|group_names\b|hostvars\b)", line)
    ]
    assert found == []


@pytest.mark.parametrize("playbook", [*PLAYBOOKS, "tandem.web.site"])
def test_playbook_syntax(playbook: str) -> None:
    done = subprocess.run(
        ["ansible-playbook", "--syntax-check", playbook], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def asserts(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Whether the function asserts something, itself or by one of the helpers."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in helpers:
                return True
    return False


@pytest.mark.parametrize("path", TESTS)
def test_each_test_asserts(path: str) -> None:
    functions = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)]
    helpers = {
        "raises",
        "fail",
        "check_output",
        "run_expect",
        "wait_until",
        "request",
        "get",
        "post",
        "answers",
        "replicated",
    }
    helpers |= {each.name for each in functions if not each.name.startswith("test_") and asserts(each, helpers)}
    tests = [each for each in functions if each.name.startswith("test_")]
    assert [test.name for test in tests if not asserts(test, helpers)] == []
