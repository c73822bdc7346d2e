"""Another release of the application is deployed, and then the one before again."""

import shutil
import tempfile
from pathlib import Path

from tests.drills.tandem_drill.hosts import ROOT

HOLD = 2


def inject(site):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "roles/app/files/notes", folder, dirs_exist_ok=True)
        # A release is named after its content: one more file makes it another one.
        (Path(folder) / "another-release").touch()
        site.faults.undo.append(lambda: site.playbook("playbooks/deploy.yml"))
        site.playbook("playbooks/deploy.yml", app_source={"type": "directory", "path": folder})
