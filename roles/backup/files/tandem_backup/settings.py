"""What the role wrote down for this host, and what every part of the tool shares."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

FILE = Path("/etc/tandem/backup/settings.json")
PASSWORD_FILE = Path("/etc/tandem/backup/password")
SSH_CONFIG = Path("/etc/tandem/backup/ssh_config")
CACHE_DIR = "/var/cache/tandem-backup"


class Failure(Exception):
    """What went wrong, as one sentence for the operator."""


@dataclass(frozen=True)
class Settings:
    """The inputs of the role that this tool needs; times are in seconds."""

    name: str
    """How this host is called in the repository."""
    engine: str
    """mysql or mariadb."""
    repository: str
    """As restic takes it: a path, sftp://user@host:port//path, or s3:..."""
    environment: dict[str, str]
    """More variables for restic, such as S3's credentials."""
    work_dir: Path
    """Copies of data are made and received here."""
    metrics_dir: Path
    upload_kib: int
    """Limit of restic's uploads in KiB/s; 0: none."""
    buffer_pool: str
    """Buffer pool of a scratch server."""
    fresh: int
    """A backup younger than this is not made again by the next host."""
    patience: int
    """How much longer a host that is less fit waits for a better one, by rank."""
    lease: int
    """How long a host that went silent is believed to be at work."""
    poll: int
    """How often a waiting host looks at the repository."""
    max_lag: int
    """A replica further behind is less fit."""
    keep_days: int
    """Backups, and a restore to any moment, reach back as far."""
    keep_weeks: int
    """After that, one backup of each week for as many weeks."""
    check_percent: int
    """How much of the repository's data each maintenance reads and verifies."""
    data_dir: Path = Path("/var/lib/mysql")
    socket: str = "/run/mysqld/mysqld.sock"

    @classmethod
    def read(cls, file: Path = FILE) -> Settings:
        """Return the settings of this host.

        :raises Failure: when the role has not been here.
        """
        try:
            values = json.loads(file.read_text())
        except FileNotFoundError:
            raise Failure(f"{file} is missing; run site.yml, whose role backup writes it.") from None
        for key in ("work_dir", "metrics_dir"):
            values[key] = Path(values[key])
        return cls(**values)


def write(file: Path, content: str, mode: int = 0o644) -> None:
    """Replace a file at once: readers see the old content or the new, never a part."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w") as stream:
            os.fchmod(descriptor, mode)  # whatever the umask: who reads metrics is not root
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
