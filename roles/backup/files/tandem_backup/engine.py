"""What differs between MySQL and MariaDB, and what a running server is asked for."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tandem_seam import mysql

from .settings import Failure, Settings

LONG = 7 * 24 * 3600
"""No statement of a backup or a restore takes longer, in seconds."""
KEPT = ("lower_case_table_names", "innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces")
"""Settings without which another server could not use the same files."""

PROGRAMS = {
    "mysql": {"server": "mysqld", "client": "mysql", "binlog": "mysqlbinlog", "dump": "mysqldump"},
    "mariadb": {"server": "mariadbd", "client": "mariadb", "binlog": "mariadb-binlog", "dump": "mariadb-dump"},
}


def connect(settings: Settings, socket: str = "") -> mysql.Server:
    """Return the server of this host, or the one that listens on another socket."""
    try:
        return mysql.Server(settings.engine, socket or settings.socket, timeout=LONG)
    except mysql.DatabaseError as error:
        raise Failure(f"The database server of {settings.name} does not answer: {error}.") from None


def rank(server: mysql.Server, max_lag: int) -> int:
    """Return how fit a server is to be backed up.

    0 is a replica that keeps up, 1 one that does not, 2 the primary, 3 who does not follow it.
    """
    state = server.state()
    if state["writable"]:
        return 2
    behind = lag(server, state)
    return 3 if behind == float("inf") else int(behind > max_lag)


# When the primary committed what a member of a group applied last, while more waits to be applied.
BEHIND = """
SELECT UNIX_TIMESTAMP(MAX(last_applied_transaction_original_commit_timestamp)) AS applied
  FROM performance_schema.replication_applier_status_by_worker
 WHERE channel_name = 'group_replication_applier' AND 0 < (
   SELECT count_transactions_remote_in_applier_queue
     FROM performance_schema.replication_group_member_stats WHERE member_id = @@server_uuid)
"""
WAITING = 60
"""So far may a member of a Galera cluster be behind, in seconds, that cannot catch up while it is asked."""


def lag(server: mysql.Server, state: dict[str, Any]) -> float:
    """Return how far a server may be behind the primary, in seconds; infinite when it does not follow."""
    replication = state["replication"]
    if cluster := state.get("cluster"):
        if cluster["state"] != "ONLINE":
            return float("inf")
        if state["writable"]:
            return 0
        if server.engine == "mariadb":
            try:
                # Not by the queue, which lacks what is being applied just now.
                server.query("SET STATEMENT wsrep_sync_wait = 1 FOR SELECT 1")
            except mysql.DatabaseError:
                return WAITING
            return 1
        applied = server.query(BEHIND)[0]["applied"]
        return time.time() - float(applied) + 1 if applied else 1
    if not replication:
        # A primary that came back, and that nobody has told what it is now, follows nobody either.
        return 0 if state["writable"] else float("inf")
    if replication["receiver"] != "Yes" or replication["applier"] != "Yes" or replication["lag"] is None:
        return float("inf")
    # Whole seconds, of when the primary began it: one more, to be sure.
    return int(replication["lag"]) + 1


def own_numbers(server: mysql.Server) -> bool:
    """Whether the binary logs of this server number transactions as no other server's do: each of Galera's does so."""
    return server.engine == "mariadb" and bool(server.state()["cluster"])


def room(where: Path, needed: int, what: str, *, elsewhere: bool = True) -> None:
    """Refuse to begin what would fill a disk.

    :param needed: in bytes.
    :param elsewhere: whether another disk may be named for it.
    """
    where.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(where).free
    # A twentieth, so that the disk is not full afterwards.
    if free < needed * 1.05:
        raise Failure(
            f"{where} has {free >> 20} MiB free, and {what} needs {int(needed * 1.05) >> 20} MiB; "
            f"make room there{', or set backup_work_dir to a larger disk' if elsewhere else ''}."
        )


def size_of(directory: Path) -> int:
    """Return the size of all files below a directory, in bytes; files that go away meanwhile count nothing."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def empty(directory: Path) -> Path:
    """Return the path of a directory that is not there, and whose parent the server may write into."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    shutil.chown(directory.parent, "mysql", "mysql")
    directory.parent.chmod(0o700)
    return directory


def copy(server: mysql.Server, settings: Settings, target: Path) -> dict[str, Any]:
    """Copy the running server's data and return what the copy is, for those who restore it.

    The keys ``gtid`` and ``gtid_after`` bound the transactions that it holds; ``complete_until`` is the moment up to
    which everything that the primary had committed is in it, ``holds`` the moment that it holds.
    """
    variables = server.variables()
    room(target.parent, size_of(settings.data_dir), "the copy")
    empty(target)
    state = server.state()
    began = time.time()
    behind = lag(server, state)
    if behind == float("inf"):
        raise Failure(f"{settings.name} does not follow the primary, so no binary logs would go on from its data.")
    about = {
        "engine": settings.engine,
        "version": variables["version"],
        "server_id": variables["server_id"],
        "settings": {name: variables[name] for name in KEPT if variables.get(name)},
        "complete_until": began - behind,
        "gtid": state["gtid"],
    }
    if settings.engine == "mysql":
        try:
            server.query("CLONE LOCAL DATA DIRECTORY = %s", (str(target),))
        except mysql.DatabaseError as error:
            raise Failure(f"The data of {settings.name} could not be copied: {error}.") from None
        about["gtid_after"] = server.gtid()
    else:
        command(
            ["mariadb-backup", "--backup", f"--target-dir={target}", f"--socket={settings.socket}", "--user=root"],
            f"The data of {settings.name} could not be copied",
        )
        command(["mariadb-backup", "--prepare", f"--target-dir={target}"], "The copy could not be made consistent")
        [info] = target.glob("*_binlog_info")
        log, place, held = info.read_text().rstrip("\n").split("\t")
        if state["cluster"]:
            # The program asks for gtid_current_pos, which leaves out what this server logged of another one's writes.
            server = connect(settings)  # the one from before may have idled for hours
            held = server.value("BINLOG_GTID_POS(%s, %s)", (log, int(place))) or ""
        about["gtid_after"] = held
    about["holds"] = time.time()
    about["size"] = size_of(target)
    return about


def command(words: list[str], problem: str, **options: Any) -> str:
    """Run a program and return what it printed; its last words are the reason when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **options)
    if done.returncode:
        raise Failure(f"{problem}: {last_words(done.stderr)}.")
    return done.stdout


def last_words(text: str) -> str:
    """Return the line of a program's output that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1].rstrip(".")


class Scratch:
    """A server of its own on a copy of the data: no network, no binary log, no replication, no events."""

    def __init__(self, settings: Settings, data_dir: Path, about: dict[str, Any]) -> None:
        self.settings, self.data_dir, self.about = settings, data_dir, about
        self.socket = f"{data_dir}.sock"
        self.log = Path(f"{data_dir}.log")
        self.server: mysql.Server | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises Failure: with the server's own last error when it does not come up.
        """
        self.log.unlink(missing_ok=True)
        subprocess.run(["chown", "-R", "mysql:mysql", str(self.data_dir)], check=True)
        options = {
            "user": "mysql",
            "datadir": self.data_dir,
            "socket": self.socket,
            "pid-file": f"{self.data_dir}.pid",
            "log-error": self.log,
            "skip-networking": "ON",
            "skip-log-bin": None,
            "event-scheduler": "OFF",
            "server-id": self.about["server_id"],
            "innodb-buffer-pool-size": self.settings.buffer_pool,
            # It is nobody's data until it is complete, so it need not survive a crash before.
            "innodb-flush-log-at-trx-commit": 0,
            "max-allowed-packet": "1G",
            **{name.replace("_", "-"): value for name, value in self.about["settings"].items()},
        }
        if self.settings.engine == "mysql":
            options |= {
                "mysqlx": "OFF",
                "skip-replica-start": "ON",
                "gtid-mode": "ON",
                "enforce-gtid-consistency": "ON",
            }
            # Without it a plug-in that only a file of the old host named, such as root's, would be missing.
            options |= {"plugin-load-add": "auth_socket.so"}
        else:
            options |= {"skip-slave-start": None}
        words = [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(
            [PROGRAMS[self.settings.engine]["server"], "--no-defaults", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 24 * 3600  # recovery takes as long as it takes; a server that dies ends it
        while True:
            with contextlib.suppress(Failure):
                self.server = connect(self.settings, self.socket)
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                text = self.log.read_text(errors="replace") if self.log.exists() else ""
                raise Failure(f"No server comes up on the copy in {self.data_dir}: {last_words(text)}.")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it; clean, so that the files are complete."""
        self.server = None  # closes the connection: MariaDB waits half a minute for one that idles
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._process = None
