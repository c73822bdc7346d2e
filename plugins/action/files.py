"""The controller's part of the module files: it reads and renders what the host then writes."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import generate_ansible_template_vars, trust_as_template

OPTIONS = {"dest", "src", "content", "loop", "when", "state", "owner", "group", "mode", "validate"}


class ActionModule(ActionBase):
    """Gathers the content of all files, and sends it in one step."""

    _VALID_ARGS = frozenset({"files"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module says."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        records = [made for record in self._task.args["files"] for made in self._each(dict(record), task_vars)]
        result = self._execute_module("tandem.web.files", module_args={"files": records}, task_vars=task_vars)
        # All that was sent would be in it, and with enough -v on the screen.
        result.pop("invocation", None)
        return result

    def _each(self, record: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Do a record that has a loop once for each item, which its template and its path know."""
        if not boolean(record.pop("when", True)):
            return
        if "loop" not in record:
            yield from self._gather(record, task_vars)
            return
        for item in record.pop("loop"):
            names = {"item": item} | (item if isinstance(item, Mapping) else {})
            paths = {key: record[key].format_map(names) for key in ("dest", "src") if key in record}
            yield from self._gather(record | paths, task_vars | {"item": item})

    def _gather(self, record: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Turn a record of the task into those of the module: the content is in it."""
        if unknown := record.keys() - OPTIONS:
            raise AnsibleActionFail(f"A file has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(OPTIONS))}.")
        src, content = record.pop("src", None), record.pop("content", None)
        if record.get("state", "file") != "file":
            yield record
        elif (src is None) == (content is None):
            raise AnsibleActionFail(f"{record.get('dest')} has to have either src or content.")
        elif src is None:
            yield _with(record, str(content).encode())
        elif src.endswith("/") or "*" in src:
            head, _, pattern = src.rpartition("/")
            directory = Path(self._find_needle("files", head))
            found = directory.glob(pattern) if pattern else directory.rglob("*")
            for path in sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts):
                dest = f"{record['dest'].rstrip('/')}/{path.relative_to(directory)}"
                yield _with(record | {"dest": dest}, path.read_bytes())
        elif src.endswith(".j2"):
            yield _with(record, self._render(src, record["dest"], task_vars).encode())
        else:
            yield _with(record, Path(self._find_needle("files", src)).read_bytes())

    def _render(self, src: str, dest: str, variables: dict[str, Any]) -> str:
        """Render a template as the module template does."""
        path = self._find_needle("templates", src)
        places = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), str(Path(path).parent)]
        templar = self._templar.copy_with_new_env(
            searchpath=[part for place in places for part in (f"{place}/templates", place)],
            available_variables=variables | generate_ansible_template_vars(path=src, fullpath=path, dest_path=dest),
        )
        text = trust_as_template(self._loader.get_text_file_contents(path))
        return templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True}) or ""


def _with(record: dict[str, Any], content: bytes) -> dict[str, Any]:
    return record | {"content": base64.b64encode(content).decode()}
