"""What the repository's roles declare."""

from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in ROOT.glob("roles/*"))


def read_yaml(path: Path) -> Any:
    """Return a YAML file's content; nothing for a file that is not there."""
    return yaml.safe_load(path.read_text()) if path.exists() else None


def defaults(role: str) -> dict[str, Any]:
    """Return defaults/main.yml."""
    return read_yaml(ROOT / "roles" / role / "defaults/main.yml") or {}


def options(role: str) -> dict[str, Any]:
    """Return the options of the role's entry point in meta/argument_specs.yml."""
    return read_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def refusals(role: str, inputs: dict[str, Any]) -> list[str]:
    """Return what the role's argument specification has against these inputs.

    Values that are Jinja are taken as right; whether one is required is not asked.
    """
    known = {name: option | {"required": False, "default": None} for name, option in options(role).items()}
    literal = {name: value for name, value in inputs.items() if name not in known or "{{" not in str(value)}
    return ArgumentSpecValidator(known).validate(literal).error_messages
