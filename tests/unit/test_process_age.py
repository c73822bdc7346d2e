"""The module that notices a reload which an interrupted run did not get to."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()

from ansible_collections.tandem.web.plugins.modules import process_age  # noqa: E402


@pytest.fixture
def service(tmp_path: Path):
    """A process with a name of its own."""
    name = f"t{os.getpid()}"
    program = tmp_path / name
    program.symlink_to(os.path.realpath(sys.executable))
    running = subprocess.Popen([str(program), "-c", "import time; print(flush=True); time.sleep(60)"], stdout=-1)
    running.stdout.readline()
    yield name
    running.kill()
    running.wait()


def run(capsys: pytest.CaptureFixture[str], name: str, *files: Path) -> dict:
    with patch_module_args({"name": name, "files": [str(file) for file in files]}), pytest.raises(SystemExit):
        process_age.main()
    return json.loads(capsys.readouterr().out)


def written(path: Path, when: float) -> Path:
    path.write_text("")
    os.utime(path, (when, when))
    return path


def test_a_file_that_changed_after_the_start_is_told(service, tmp_path, capsys):
    old, new = written(tmp_path / "old", time.time() - 60), written(tmp_path / "new", time.time() + 1)
    answer = run(capsys, service, old, new)
    assert answer["changed"]
    assert answer["newer"] == [str(new)]


def test_files_from_before_the_start_are_in_use(service, tmp_path, capsys):
    assert not run(capsys, service, written(tmp_path / "old", time.time() - 60))["changed"]


def test_a_missing_file_is_passed_over(service, tmp_path, capsys):
    assert not run(capsys, service, tmp_path / "nowhere")["changed"]


def test_what_does_not_run_has_nothing_to_catch_up_with(tmp_path, capsys):
    assert not run(capsys, "nobody", written(tmp_path / "new", time.time() + 1))["changed"]
