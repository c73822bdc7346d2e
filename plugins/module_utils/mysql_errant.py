"""Keeps transactions that only one server holds, in a file that can be read and applied, before they are given up."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

from . import mysql, mysql_gtid

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

DIRECTORY = "/var/backups"


def save(module: AnsibleModule, server: mysql.Server, errant: str, theirs: str) -> str:
    """Write the transactions to a file that only root can read, and return its path; the same ones only once.

    :param errant: what the primary lacks.
    :param theirs: what the primary holds.
    :raises DatabaseError: when they cannot be read from the binary logs.
    """
    digest = hashlib.sha256(errant.encode()).hexdigest()[:12]
    path = f"{DIRECTORY}/mysql-errant-{digest}.sql"
    if module.check_mode or os.path.exists(path):
        return path
    logs = [f"{mysql.DATA_DIR}/{row['Log_name']}" for row in server.query("SHOW BINARY LOGS")]
    # The one being written to ends here, so that every file is complete.
    server.query("FLUSH LOCAL BINARY LOGS")
    text = [f"-- Transactions that only this server held: {errant}\n"]
    for command in commands(server.engine, errant, theirs):
        code, output, error = module.run_command([*command, *logs], environ_update={"LC_ALL": "C.UTF-8"})
        if code:
            raise mysql.DatabaseError(f"{errant} cannot be read from the binary logs: {error.strip()[-300:]}")
        text.append(output)
    # Written beside it and moved, so that a file that is there is whole.
    with tempfile.NamedTemporaryFile("w", dir=DIRECTORY, delete=False, encoding="utf-8") as file:
        file.writelines(text)
    os.rename(file.name, path)
    return path


def commands(engine: str, errant: str, theirs: str) -> list[list[str]]:
    """Return the commands, without the names of the binary logs, that print these transactions and no others."""
    if engine == "mysql":
        return [["mysqlbinlog", "-vv", f"--include-gtids={errant}"]]
    known = mysql_gtid.mariadb_state(theirs)
    found = []
    for domain, origin in mysql_gtid.mariadb_state(errant):
        # Numbers of a domain only grow, so what is errant is what this server wrote after the last known one.
        last = known.get((domain, origin), 0)
        begin = [f"--start-position={domain}-{origin}-{last}"] if last else []
        found.append(["mariadb-binlog", "-vv", f"--server-id={origin}", *begin])
    return found
