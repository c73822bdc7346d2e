"""The one seam between the collection and a database server: every statement of every module passes here.

It connects over the unix socket as root, so no password is needed to administer a server, and it hides what
differs between MySQL and MariaDB.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from . import mysql_gtid

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
FRESH_FOLDERS = ("mysql", "sys", "performance_schema", "test")
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


# The engines' defaults, 60 seconds between attempts and 30 for a silent primary, are of another age.
CONNECT_RETRY, HEARTBEAT_PERIOD = 1, 2

FOLLOW_ARGUMENTS: dict[str, Any] = {
    "source": {"type": "str", "required": True},
    "port": {"type": "int", "default": 3306},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "tls_ca": {"type": "path", "required": True},
}


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
            "received": [row["Source_Log_File"], row["Read_Source_Log_Pos"]],
            "applied": [row["Relay_Source_Log_File"], row["Exec_Source_Log_Pos"]],
            "receiver_errno": int(row["Last_IO_Errno"]),
            "receiver_error": row["Last_IO_Error"],
            "applier_errno": int(row["Last_SQL_Errno"]),
            "applier_error": row["Last_SQL_Error"],
        }

    def source_statement(self, params: dict[str, Any]) -> tuple[str, tuple]:
        """Return the statement that names whom to follow, by FOLLOW_ARGUMENTS, and its values."""
        options = {
            "HOST": params["source"],
            "PORT": params["port"],
            "USER": params["user"],
            "PASSWORD": params["password"],
            "SSL": 1,
            "SSL_CA": params["tls_ca"],
            "SSL_VERIFY_SERVER_CERT": 1,
            "CONNECT_RETRY": CONNECT_RETRY,
            "HEARTBEAT_PERIOD": HEARTBEAT_PERIOD,
        }
        if self.engine == "mysql":
            # 0 attempts means without end.
            options |= {"AUTO_POSITION": 1, "RETRY_COUNT": 0}
        parts = [f"{self.words['option']}{name} = %s" for name in options]
        if self.engine == "mariadb":
            parts.append("MASTER_USE_GTID = slave_pos")
        return f"{self.words['change']} {', '.join(parts)}", tuple(options.values())

    def gtid(self) -> str:
        """Return every transaction this server holds: a GTID set, or MariaDB's last number of each server."""
        return self.value("@@gtid_executed" if self.engine == "mysql" else "@@gtid_binlog_state").replace("\n", "")

    def gtid_missing_in(self, mine: str, theirs: str) -> str:
        """Return the part of the set ``mine`` that the set ``theirs`` does not hold."""
        return mysql_gtid.missing(self.engine, mine, theirs)

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
            "cluster": self.cluster(variables),
            "oldest_transaction": self.oldest_transaction(),
        }

    def cluster(self, variables: dict[str, str]) -> dict[str, Any]:
        """Return what this server is in its cluster; empty when it was not started as a member of one."""
        if self.engine == "mariadb":
            return self._galera(variables)
        if "group_replication_group_name" not in variables:
            return {}
        members = [
            row | {"primary": bool(row["primary"]), "own": bool(row["own"])}
            for row in self.query(
                "SELECT member_host AS address, member_state AS state, member_role = 'PRIMARY' AS `primary`,"
                " member_id = @@server_uuid AS own FROM performance_schema.replication_group_members"
            )
        ]
        own = next((member["state"] for member in members if member["own"]), "OFFLINE")
        reachable = [member for member in members if member["state"] != "UNREACHABLE"]
        return {
            "state": own,
            "majority": own in ("ONLINE", "RECOVERING") and len(reachable) * 2 > len(members),
            "members": [] if own == "OFFLINE" else members,
            # Whatever was written in the cluster, it was written in its name.
            "formed": variables["group_replication_group_name"].lower() in variables["gtid_executed"].lower(),
        }

    def _galera(self, variables: dict[str, str]) -> dict[str, Any]:
        if variables.get("wsrep_on") != "ON":
            return {}
        status = {row["Variable_name"]: row["Value"] for row in self.query("SHOW GLOBAL STATUS LIKE 'wsrep%'")}
        majority = status["wsrep_cluster_status"] == "Primary"
        inside = status["wsrep_local_state_comment"]
        own = "ONLINE" if majority and inside in ("Synced", "Donor/Desynced") else inside.upper()
        writable = variables["read_only"] == "OFF"
        # Each is known by its address; who takes writes, and how the others fare, only they know.
        # This lacks whoever came while this member got its data. Only a server that is ready has a better one.
        incoming = status["wsrep_incoming_addresses"].split(",")
        if status["wsrep_ready"] == "ON":
            rows = self.query("SELECT node_incoming_address AS address FROM mysql.wsrep_cluster_members")
            incoming = [row["address"] for row in rows]
        present = sorted({one.rsplit(":", 1)[0] for one in incoming if one})
        members = [
            {"address": one, "state": "ONLINE", "own": one == variables["wsrep_node_address"]} for one in present
        ]
        for member in members:
            member["primary"] = member["own"] and writable
            member["state"] = own if member["own"] else "ONLINE"
        return {
            "state": own,
            "majority": majority,
            "members": members,
            "formed": True,
            # Whoever votes and has no address for clients.
            "arbitrators": max(0, int(status["wsrep_cluster_size"]) - len(members)),
        }

    def unfit_for_cluster(self) -> list[str]:
        """Return the tables to which a cluster cannot take writes: without a primary key, or not InnoDB."""
        rows = self.query(
            "SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables AS t"
            " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN %s AND (engine <> 'InnoDB' OR NOT EXISTS ("
            "   SELECT 1 FROM information_schema.statistics AS s WHERE s.table_schema = t.table_schema"
            "   AND s.table_name = t.table_name AND s.non_unique = 0 AND s.nullable <> 'YES')) LIMIT 20",
            (SYSTEM_SCHEMAS,),
        )
        return [row["name"] for row in rows]

    def step_down(self) -> None:
        """Hand the place of the primary to another member of the cluster; nothing happens to one that is not it."""
        if self.engine == "mysql":
            heirs = self.query(
                "SELECT other.member_id AS id FROM performance_schema.replication_group_members AS own"
                " JOIN performance_schema.replication_group_members AS other"
                " WHERE own.member_id = @@server_uuid AND own.member_role = 'PRIMARY'"
                " AND other.member_state = 'ONLINE' AND other.member_id <> own.member_id"
                " ORDER BY other.member_host LIMIT 1"
            )
            for heir in heirs:
                self.query("SELECT group_replication_set_as_primary(%s)", (heir["id"],))

    def oldest_transaction(self) -> int:
        """Return for how many seconds the oldest transaction of a client has been open; 0 when there is none."""
        # What a replica applies is no client's.
        rows = self.query(
            "SELECT TIMESTAMPDIFF(SECOND, MIN(trx.trx_started), NOW()) AS age FROM information_schema.innodb_trx AS trx"
            " JOIN information_schema.processlist AS client ON client.id = trx.trx_mysql_thread_id"
            " WHERE client.user <> 'system user'"
        )
        return max(0, int(rows[0]["age"] or 0))


def _sentence(error: Exception) -> DatabaseError:
    code, *text = [*error.args, ""] if error.args else (0, str(error))
    return DatabaseError(f"{text[0] or error} (error {code})", code if isinstance(code, int) else 0)


def absent() -> dict[str, Any]:
    """Return the state of a server that cannot be asked: not installed yet, or not answering."""
    galera = os.path.exists(f"{DATA_DIR}/grastate.dat")
    folders = [entry.name for entry in os.scandir(DATA_DIR) if entry.is_dir()] if os.path.isdir(DATA_DIR) else []
    return {
        "installed": "mysql" in folders,
        "running": False,
        "version": "",
        "writable": False,
        # No database of anybody's in its files, and never in a cluster.
        "blank": not [name for name in folders if not name.startswith((".", "#")) and name not in FRESH_FOLDERS]
        and not galera,
        "replication": {},
        "replicas": [],
        "gtid": "",
        "semi_sync": False,
        "cluster": {"state": "DOWN", "majority": False, "members": [], "formed": True} if galera else {},
        "oldest_transaction": 0,
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


class Changes:
    """What a module does to the server of its parameters: looked at once, then changed statement by statement."""

    def __init__(self, module: AnsibleModule) -> None:
        """Connect and read what the server is."""
        self.module, self.params = module, module.params
        self.server = connect(module)
        self.state = self.server.state()
        self.changed = False

    def run(self, statement: str, values: tuple | None = None) -> None:
        """Run a statement that changes something; in check mode only note that it would."""
        self.changed = True
        if not self.module.check_mode:
            self.server.query(statement, values)


def canonical(value: object) -> str:
    """Return one spelling for values that mean the same: 128M and 134217728, ON and 1, 1.0 and 1."""
    text = str(value).strip()
    size = re.fullmatch(r"(\d+)([KMGT])", text.upper())
    if size:
        return str(int(size[1]) << 10 * (" KMGT".index(size[2])))
    if re.fullmatch(r"\d+\.\d+", text):
        return f"{float(text):g}"
    return SWITCHES.get(text.upper(), text)
