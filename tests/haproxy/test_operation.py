"""What whoever runs HAProxy sees of it, and that a mistake does not reach it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.http import get

CONVERGE = Path(__file__).parents[2] / "molecule/haproxy/converge.yml"
CONFIGURATION = "/etc/haproxy/haproxy.cfg"


@pytest.fixture
def converge(request):
    """Run the role again with other inputs; return the run."""

    def run(**variables):
        inventory = request.config.option.ansible_inventory
        options = [f"--inventory={inventory}", f"--extra-vars={json.dumps(variables)}"]
        command = ["ansible-playbook", *options, str(CONVERGE)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_metrics_and_sign_of_life_are_local(lb):
    assert 'haproxy_backend_active_servers{proxy="web"} 2' in lb.local("http://127.0.0.1:8404/metrics")
    assert "web1" in lb.local("http://127.0.0.1:8404/stats;csv")
    assert "200 OK" in lb.local("http://127.0.0.1:8404/alive")
    with pytest.raises(ConnectionRefusedError):
        get(f"http://{lb.address}:8404/alive")


def test_runtime_socket_belongs_to_a_group(lb):
    socket = lb.host.file("/run/haproxy/admin.sock")
    assert (socket.user, socket.group, socket.mode) == ("root", "haproxy", 0o660)


def test_refused_configuration_changes_nothing(lb, converge):
    before = lb.host.file(CONFIGURATION).content_string
    run = converge(haproxy_timeout_client="forever")
    assert run.returncode != 0
    assert "unexpected character 'f' in 'timeout client'" in run.stdout
    assert lb.host.file(CONFIGURATION).content_string == before
    lb.get()


def test_process_that_cannot_start_fails_the_run_and_the_old_one_serves(lb, converge):
    """Port 22 is sshd's: the configuration is valid, but HAProxy cannot run with it."""
    lb.run(f"cp --archive {CONFIGURATION} /tmp/haproxy.cfg")
    run = converge(haproxy_stats_bind=["127.0.0.1:8404", "127.0.0.1:22"])
    try:
        assert run.returncode != 0
        assert "Reload haproxy" in run.stdout
        assert "cannot bind socket" in lb.run("journalctl --unit haproxy --lines 200")
        lb.get()
    finally:
        lb.run(f"mv /tmp/haproxy.cfg {CONFIGURATION}")
        lb.reload()
