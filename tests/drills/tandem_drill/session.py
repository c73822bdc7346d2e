"""Runs on a web server: session.py UNIT. Holds a database connection such as the application of that unit makes.

Answers each line of its input with the number of the connection, asked of the database, and ends when it is broken.
"""

import subprocess
import sys
from pathlib import Path

import pymysql


def environment(unit: str) -> dict[str, str]:
    """Return the environment of a unit's main process."""
    pid = subprocess.check_output(["systemctl", "show", "--property=MainPID", "--value", unit], text=True).strip()
    pairs = Path("/proc", pid, "environ").read_text(encoding="utf-8").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


if __name__ == "__main__":
    env = environment(sys.argv[1])
    connection = pymysql.connect(
        host="127.0.0.1",
        port=3306,
        user=env["NOTES_DB_USER"],
        password=env["NOTES_DB_PASSWORD"],
        ssl_ca=env["NOTES_DB_CA"],
    )
    with connection.cursor() as cursor:
        for _line in sys.stdin:
            cursor.execute("SELECT CONNECTION_ID()")
            print(cursor.fetchone()[0], flush=True)
