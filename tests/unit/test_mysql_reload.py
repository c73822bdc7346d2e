"""What the mysql role does to a replica besides replication must not become a transaction of its own."""

from pathlib import Path

import yaml

VARS = Path(__file__).parents[2] / "roles/mysql/vars/main.yml"


def test_mariadb_does_not_log_that_it_read_its_certificate_again() -> None:
    engines = yaml.safe_load(VARS.read_text())["__mysql_engines"]
    assert engines["mariadb"]["reload_tls"] == "FLUSH LOCAL SSL"
