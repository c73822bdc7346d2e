"""nginx.conf, rendered without a host."""

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.support.roles import ROOT, defaults, read_yaml, refusals

ROLE = ROOT / "roles/nginx"
INPUTS = {"nginx_upstream": "unix:/run/app.sock", "nginx_certificate": "/web.pem", "nginx_certificate_key": "/web.key"}


def render(**inputs: Any) -> str:
    """Return nginx.conf for these inputs."""
    variables = defaults("nginx") | read_yaml(ROLE / "vars/main.yml") | {"ansible_managed": "Ansible managed"}
    templar = Templar(loader=DataLoader(), variables=variables | INPUTS | inputs)
    return templar.template(trust_as_template((ROLE / "templates/nginx.conf.j2").read_text()))


def test_reads_as_if_written_by_hand() -> None:
    text = render(nginx_trusted_proxies=["192.0.2.11"], nginx_static=[{"location": "/s/", "path": "/srv/s/"}])
    assert "{{" not in text
    assert "\n\n\n" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert text.count("{") == text.count("}")


def test_speaks_tls() -> None:
    text = render()
    assert "listen 443 ssl default_server;" in text
    assert "ssl_certificate     /web.pem;" in text
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in text


def test_speaks_http_only_when_told_so() -> None:
    text = render(nginx_tls=False, nginx_listen=["80"])
    assert "listen 80 default_server;" in text
    assert "ssl" not in text


def test_each_trusted_proxy_is_trusted_with_everything_or_nothing() -> None:
    text = render(nginx_trusted_proxies=["192.0.2.11", "2001:db8::/64"])
    for proxy in ("192.0.2.11", "2001:db8::/64"):
        assert f"set_real_ip_from {proxy};" in text
        assert f"{proxy} 1;" in text


def test_nobody_is_trusted_by_default() -> None:
    assert "set_real_ip_from" not in render()


def test_lines_of_ones_own_are_in_the_server() -> None:
    assert "\n        return 418;\n" in render(nginx_server_config=["return 418;"])


def test_metrics_are_for_who_has_a_certificate_and_not_for_clients_of_the_site() -> None:
    text = render(nginx_metrics={"listen": "192.0.2.21:9117", "ca": "/ca.pem"})
    site, metrics = (part.split("\n    server {\n")[0] for part in text.split("\n    server {\n")[1:3])
    assert "location = /metrics {\n            return 404;" in site
    assert "ssl_verify_client" not in site
    assert "listen 192.0.2.21:9117 ssl;" in metrics
    assert "ssl_verify_client      on;" in metrics
    assert "ssl_client_certificate /ca.pem;" in metrics


def test_metrics_are_the_applications_path_unless_they_are_wanted() -> None:
    assert "/metrics" not in render()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({"nginx_static": [{"location": "/s/", "root": "/srv"}]}, "root"), ({"nginx_tls": "maybe"}, "nginx_tls")],
)
def test_mistakes_are_refused(inputs: dict[str, Any], said: str) -> None:
    assert said in " ".join(refusals("nginx", inputs))
