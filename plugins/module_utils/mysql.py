"""The one seam between the collection and a database server: every statement of every module passes here.

It connects over the unix socket as root, so no password is needed to administer a server, and it hides what
differs between MySQL and MariaDB.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

try:
    import pymysql
    from pymysql.cursors import DictCursor
except ImportError:  # a bare host, before the role's packages
    pymysql = None

ARGUMENTS: dict[str, Any] = {
    "engine": {"type": "str", "choices": ["mysql", "mariadb"], "required": True},
    "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
}

DATA_DIR = "/var/lib/mysql"
# Holds a copy that is being received, and is gone when the server is complete with it.
SEED_DIR = f"{DATA_DIR}/.seed"
SYSTEM_SCHEMAS = ("mysql", "sys", "performance_schema", "information_schema")

# The same thing under each engine's name.
WORDS = {
    "mysql": {
        "change": "CHANGE REPLICATION SOURCE TO",
        "option": "SOURCE_",
        "semi_sync": "rpl_semi_sync_source_enabled",
        "socket_plugin": "auth_socket",
        "reset_binlog": "RESET BINARY LOGS AND GTIDS",
    },
    "mariadb": {
        "change": "CHANGE MASTER TO",
        "option": "MASTER_",
        "semi_sync": "rpl_semi_sync_master_enabled",
        "socket_plugin": "unix_socket",
        "reset_binlog": "RESET MASTER",
    },
}
SWITCHES = {"ON": "1", "TRUE": "1", "YES": "1", "OFF": "0", "FALSE": "0", "NO": "0"}


class DatabaseError(Exception):
    """What the server or the way to it answered, as one sentence; ``code`` is the engine's number or 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        """Keep the engine's error number beside the sentence."""
        super().__init__(message)
        self.code = code


class Server:
    """One running database server, reached over its unix socket."""

    def __init__(self, engine: str, socket: str, timeout: int = 60) -> None:
        """Connect, or raise DatabaseError."""
        if pymysql is None:
            raise DatabaseError("python3-pymysql is not installed")
        self.engine = engine
        self.words = WORDS[engine]
        try:
            self._connection = pymysql.connect(
                unix_socket=socket,
                user="root",
                autocommit=True,
                cursorclass=DictCursor,
                connect_timeout=5,
                read_timeout=timeout,
                write_timeout=timeout,
            )
        except pymysql.MySQLError as error:
            raise _sentence(error) from None

    def query(self, statement: str, values: tuple | None = None) -> list[dict[str, Any]]:
        """Run one statement and return its rows."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise _sentence(error) from None

    def value(self, expression: str, values: tuple | None = None) -> Any:
        """Return what one expression evaluates to."""
        return self.query(f"SELECT {expression} AS value", values)[0]["value"]

    def variables(self) -> dict[str, str]:
        """Return every global variable."""
        return {row["Variable_name"]: row["Value"] for row in self.query("SHOW GLOBAL VARIABLES")}

    def started_at(self) -> float:
        """Return when the server was started, as a Unix time."""
        return time.time() - int(self.query("SHOW GLOBAL STATUS LIKE 'Uptime'")[0]["Value"])

    def replication(self) -> dict[str, Any]:
        """Return what this server follows and how it fares, by neutral names; empty when it follows nobody."""
        rows = self.query("SHOW REPLICA STATUS")
        if not rows or not (rows[0].get("Source_Host") or rows[0].get("Master_Host")):
            return {}
        # MariaDB, and MySQL before 8.0.22, say Master and Slave where MySQL says Source and Replica.
        row = {key.replace("Master", "Source").replace("Slave", "Replica"): value for key, value in rows[0].items()}
        return {
            "source": row["Source_Host"],
            "port": int(row["Source_Port"]),
            "receiver": row["Replica_IO_Running"],
            "applier": row["Replica_SQL_Running"],
            "lag": row["Seconds_Behind_Source"],
            "receiver_errno": int(row["Last_IO_Errno"]),
            "receiver_error": row["Last_IO_Error"],
            "applier_errno": int(row["Last_SQL_Errno"]),
            "applier_error": row["Last_SQL_Error"],
        }

    def gtid(self) -> str:
        """Return every transaction this server holds: a GTID set, or MariaDB's last number of each server."""
        return self.value("@@gtid_executed" if self.engine == "mysql" else "@@gtid_binlog_state").replace("\n", "")

    def gtid_missing_in(self, mine: str, theirs: str) -> str:
        """Return the part of the set ``mine`` that the set ``theirs`` does not hold."""
        if self.engine == "mysql":
            return self.value("GTID_SUBTRACT(%s, %s)", (mine, theirs)).replace("\n", "")
        return mariadb_missing(mine, theirs)

    def state(self) -> dict[str, Any]:
        """Return everything that decides what this server is: one record, read in one go."""
        variables = self.variables()
        schemas = [row["Database"] for row in self.query("SHOW DATABASES")]
        dumps = [row["Host"] for row in self.query("SHOW PROCESSLIST") if row["Command"].startswith("Binlog Dump")]
        return {
            "installed": True,
            "running": True,
            "version": variables["version"],
            "writable": variables["read_only"] == "OFF",
            "blank": os.path.exists(SEED_DIR) or not [name for name in schemas if name not in SYSTEM_SCHEMAS],
            "replication": self.replication(),
            "replicas": sorted(host.rsplit(":", 1)[0] for host in dumps),
            "gtid": self.gtid(),
            "semi_sync": variables.get(self.words["semi_sync"]) == "ON",
        }


def _sentence(error: Exception) -> DatabaseError:
    code, *text = [*error.args, ""] if error.args else (0, str(error))
    return DatabaseError(f"{text[0] or error} (error {code})", code if isinstance(code, int) else 0)


def absent() -> dict[str, Any]:
    """Return the state of a server that cannot be asked: not installed yet, or not answering."""
    return {
        "installed": os.path.isdir(f"{DATA_DIR}/mysql"),
        "running": False,
        "version": "",
        "writable": False,
        "blank": True,
        "replication": {},
        "replicas": [],
        "gtid": "",
        "semi_sync": False,
    }


def reach(engine: str, socket: str, patience: float = 10) -> Server:
    """Return the server, which may be restarting just now, or raise DatabaseError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return Server(engine, socket)
        except DatabaseError:
            if not absent()["installed"] or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def connect(module: AnsibleModule) -> Server:
    """Return the server of a module's parameters.

    Ends the module when there is none: with an error, or, in check mode on a host that has no database
    yet, by saying that there would be a change.
    """
    try:
        return reach(module.params["engine"], module.params["socket"])
    except DatabaseError as error:
        if module.check_mode and not absent()["installed"]:
            module.exit_json(changed=True, msg="There is no database server on this host yet.")
        module.fail_json(msg=f"The database server does not answer: {error}")


def mariadb_missing(mine: str, theirs: str) -> str:
    """Return which of the transactions in MariaDB's binlog state ``mine`` the state ``theirs`` lacks.

    A state lists the last number that each server wrote in each domain ("0-1-100,0-2-140"). A server that holds
    a number holds all before it of the same server, so one comparison for each pair is enough.
    """
    known = {}
    for domain, server, number in _mariadb_state(theirs):
        known[domain, server] = max(number, known.get((domain, server), 0))
    return ",".join(
        f"{domain}-{server}-{number}"
        for domain, server, number in _mariadb_state(mine)
        if known.get((domain, server), 0) < number
    )


def _mariadb_state(text: str) -> list[tuple[int, int, int]]:
    return [tuple(int(part) for part in item.split("-")) for item in text.replace(" ", "").split(",") if item]


def canonical(value: object) -> str:
    """Return one spelling for values that mean the same: 128M and 134217728, ON and 1, 1.0 and 1."""
    text = str(value).strip()
    size = re.fullmatch(r"(\d+)([KMGT])", text.upper())
    if size:
        return str(int(size[1]) << 10 * (" KMGT".index(size[2])))
    if re.fullmatch(r"\d+\.\d+", text):
        return f"{float(text):g}"
    return SWITCHES.get(text.upper(), text)
