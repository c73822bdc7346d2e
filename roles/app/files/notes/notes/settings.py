"""What the environment says."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Address:
    """Where a database answers."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``."""
        host, _, port = text.rpartition(":")
        return cls(host, int(port))


@dataclass(frozen=True)
class Settings:
    """The service's settings, each with the variable it is read from."""

    web: str  # NOTES_WEB: how this web server calls itself
    write: Address  # NOTES_DB_WRITE: leads to the primary
    read: Address  # NOTES_DB_READ: leads to a replica
    database: str  # NOTES_DB_NAME
    user: str  # NOTES_DB_USER
    password: str = field(repr=False)  # NOTES_DB_PASSWORD
    ca: str  # NOTES_DB_CA: file that verifies the databases' certificates; without it there is no TLS
    wait: float  # NOTES_WAIT_SECONDS: how long a request may wait for a database that is away
    connect: float  # NOTES_CONNECT_SECONDS: how long one attempt to connect may take
    answer: float  # NOTES_ANSWER_SECONDS: how long one statement may take
    queue: int  # NOTES_QUEUE: how many requests of this process may be at one address at a time
    pool: int  # NOTES_POOL: how many connections this process may hold to one address

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings; a value that is none of its kind is a ValueError."""
        return cls(
            web=env.get("NOTES_WEB") or socket.gethostname(),
            write=Address.parse(env.get("NOTES_DB_WRITE", "127.0.0.1:3306")),
            read=Address.parse(env.get("NOTES_DB_READ", "127.0.0.1:3307")),
            database=env.get("NOTES_DB_NAME", "notes"),
            user=env.get("NOTES_DB_USER", "notes"),
            password=env.get("NOTES_DB_PASSWORD", ""),
            ca=env.get("NOTES_DB_CA", ""),
            wait=float(env.get("NOTES_WAIT_SECONDS", "15")),
            connect=float(env.get("NOTES_CONNECT_SECONDS", "1.5")),
            answer=float(env.get("NOTES_ANSWER_SECONDS", "3")),
            queue=int(env.get("NOTES_QUEUE", "200")),
            pool=int(env.get("NOTES_POOL", "8")),
        )
