"""Packs what is to be deployed, and names it after its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: app_bundle
short_description: Packs a directory of the controller, and names it after its content.
description:
  - The same content gives the same archive and the same id, whenever and by whomever it is packed.
  - An archive is taken as it is. What is made is removed with the other temporary files of the run.
options:
  _terms:
    description: Directories, or archives.
    type: list
    elements: path
    required: true
"""

EXAMPLES = """
- name: Show the id of what would be deployed
  ansible.builtin.debug:
    msg: "{{ lookup('tandem.web.app_bundle', 'src').id }}"
"""

RETURN = """
_raw:
  description: For each term the C(path) of the archive, and an C(id) of twelve hexadecimal digits.
  type: list
  elements: dict
"""

# What a working copy holds and a release does not.
LEFT_OUT = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", "node_modules"}


def bundle(source: Path, directory: Path) -> dict[str, str]:
    """Return the archive of `source`, which is written to `directory`, and its id."""
    if source.is_file():
        return {"path": str(source), "id": hashlib.sha256(source.read_bytes()).hexdigest()[:12]}
    content = _tar(source)
    release = hashlib.sha256(content).hexdigest()[:12]
    archive = directory / f"app-{release}.tar.gz"
    # Hosts play at once, and each packs it: whoever reads it finds it whole.
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
        file.write(gzip.compress(content, mtime=0))
    Path(file.name).replace(archive)
    return {"path": str(archive), "id": release}


def _tar(source: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source)
            if not LEFT_OUT.intersection(inside.parts) and path.suffix != ".pyc":
                tar.add(path, str(inside), recursive=False, filter=_anonymous)
    return content.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop what depends on the working copy and not on the content: owner, time, exact mode."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


class LookupModule(LookupBase):
    """The lookup ``tandem.web.app_bundle``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[dict[str, str]]:
        """Bundle each term."""
        results = []
        for term in terms:
            source = Path(self._loader.path_dwim(term))
            if not source.exists():
                raise AnsibleLookupError(f"There is neither a directory nor an archive at {source}.")
            results.append(bundle(source, Path(constants.DEFAULT_LOCAL_TMP)))
        return results
