#!/usr/bin/python
"""Writes many files at once: what one task per file would do, in the time of one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Write many files and directories in one step
description:
  - Does in one step on the host what M(ansible.builtin.file), M(ansible.builtin.copy) and M(ansible.builtin.template)
    would do in one for each file. Most of what such a step costs is getting to the host.
  - Records are done in their order, so that a directory comes before what is in it. A file that is already as it should
    be is left alone; another one is replaced as a whole or not at all.
options:
  files:
    description: What is to be there, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: Its path on the host. With a directory as O(files[].src) what is in it goes there.
        type: path
        required: true
      src:
        description: >-
          A file of the controller, found as other tasks of the role find theirs. One that ends in C(.j2) is a template.
          Of one that ends in C(/), a directory, all files are taken as they are; of one with a C(*), all that match.
        type: str
      content:
        description: What is in the file, instead of O(files[].src).
        type: str
      loop:
        description: >-
          Makes a file of each of these. The template sees it as C(item). In O(files[].dest) and O(files[].src),
          C({item}) is the item itself, and C({name}) what a record has by that name.
        type: list
        elements: raw
      when:
        description: Whether this record counts.
        type: bool
        default: true
      state:
        description: Whether it is a file, a directory, or nothing. A file or an empty directory can be made absent.
        type: str
        choices: [file, directory, absent]
        default: file
      owner:
        description: Whose it is.
        type: str
        default: root
      group:
        description: Whose group it is.
        type: str
        default: root
      mode:
        description: Its permissions, octal. C(0644) of a file, C(0755) of a directory, if not given.
        type: str
      validate:
        description: A command that a new content must pass before it takes its place; C(%s) is its path.
        type: str
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The Tandem founders
"""

EXAMPLES = r"""
- name: The exporter's files
  tandem.web.files:
    files:
      - {dest: /etc/exporter, state: directory}
      - {dest: /etc/exporter/web.yml, src: web.yml.j2, group: exporter, mode: "0640"}
      - {dest: /etc/systemd/system/exporter.service, src: exporter.service.j2}
"""

RETURN = r"""
paths:
  description: What was changed.
  returned: always
  type: list
  elements: path
"""

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

RECORD = {
    "dest": {"type": "path", "required": True},
    "content": {"type": "str"},
    "state": {"type": "str", "choices": ["file", "directory", "absent"], "default": "file"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "validate": {"type": "str"},
}
# Longer ones, and those that are no text, are not shown.
SHOWN = 100_000


def shown(content: bytes | None) -> str:
    """Return a file's content as a diff shows it."""
    if content is None:
        return ""
    if len(content) > SHOWN or b"\0" in content:
        return f"({len(content)} bytes)\n"
    return content.decode(errors="replace")


class Writer:
    """Does what the records say, and notes what it has changed."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.paths: list[str] = []
        self.diff: list[dict[str, str]] = []

    def note(self, dest: str, before: bytes | None, after: bytes | None) -> None:
        """Take down that the content of a path is another one."""
        self.paths.append(dest)
        self.diff.append(
            {
                "before_header": dest,
                "before": shown(before),
                "after_header": dest,
                "after": shown(after),
            }
        )

    def attributes(self, record: dict[str, Any], default_mode: str) -> None:
        """Set owner, group and mode."""
        if self.module.check_mode and not os.path.lexists(record["dest"]):
            return
        wanted = {"path": record["dest"], "mode": record["mode"] or default_mode} | {
            name: record[name] for name in ("owner", "group")
        }
        wanted |= {"secontext": [None, None, None], "attributes": None}
        change: dict[str, Any] = {}
        if self.module.set_fs_attributes_if_different(wanted, False, diff=change) and record["dest"] not in self.paths:
            self.paths.append(record["dest"])
            self.diff.append(
                {"header": record["dest"], **{when: f"{change.get(when)}\n" for when in ("before", "after")}}
            )

    def write(self, record: dict[str, Any]) -> None:
        """Make a file what it should be: as a whole, or not at all."""
        path, content = Path(record["dest"]), base64.b64decode(record["content"] or "")
        if path.is_dir():
            self.module.fail_json(
                msg=f"{path} is a directory on this host and should be a file; move it out of the way."
            )
        before = path.read_bytes() if path.exists() else None
        if before != content:
            self.note(str(path), before, content)
            if not self.module.check_mode:
                self.replace(record, path, content)
        self.attributes(record, "0644")

    def replace(self, record: dict[str, Any], path: Path, content: bytes) -> None:
        """Put a new file in its place, once it has passed its check, with its owner and mode from the start."""
        if not path.parent.is_dir():
            self.module.fail_json(msg=f"There is no directory {path.parent} for {path.name}; name it before the file.")
        handle, temporary = tempfile.mkstemp(dir=self.module.tmpdir)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if record["validate"]:
            code, out, err = self.module.run_command(record["validate"].replace("%s", temporary))
            if code:
                self.module.fail_json(msg=f"{path} was left as it is: {(err or out).strip()}", stdout=out, stderr=err)
        attributes = {"path": temporary, "mode": record["mode"] or "0644", "secontext": [None] * 3, "attributes": None}
        self.module.set_fs_attributes_if_different(
            attributes | {name: record[name] for name in ("owner", "group")}, changed=False
        )
        self.module.atomic_move(temporary, str(path), unsafe_writes=False, keep_dest_attrs=False)

    def directory(self, record: dict[str, Any]) -> None:
        """Make a directory, with those above it."""
        path = Path(record["dest"])
        if not path.is_dir():
            self.paths.append(str(path))
            self.diff.append({"header": str(path), "before": "absent\n", "after": "directory\n"})
            if not self.module.check_mode:
                path.mkdir(parents=True)
        self.attributes(record, "0755")

    def remove(self, record: dict[str, Any]) -> None:
        """Take away a file, or a directory with nothing in it."""
        path = Path(record["dest"])
        if not os.path.lexists(path):
            return
        if path.is_dir() and not path.is_symlink():
            self.paths.append(str(path))
            if not self.module.check_mode:
                path.rmdir()
            return
        self.note(str(path), path.read_bytes() if path.is_file() else None, None)
        if not self.module.check_mode:
            path.unlink()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": RECORD}},
        supports_check_mode=True,
        no_log=True,  # what is in the files is nothing for the host's log
    )
    writer = Writer(module)
    work = {"file": writer.write, "directory": writer.directory, "absent": writer.remove}
    for record in module.params["files"]:
        work[record["state"]](record)
    module.exit_json(changed=bool(writer.paths), paths=writer.paths, diff=writer.diff)


if __name__ == "__main__":
    main()
