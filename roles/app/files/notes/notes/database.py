"""A database behind one address: connections that are kept, and patience while it is away."""

from __future__ import annotations

import contextlib
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, TypeVar

import pymysql

from notes import metrics, trace

if TYPE_CHECKING:
    from notes.settings import Address, Settings

Result = TypeVar("Result")
Row = dict[str, Any]

PAUSE_SECONDS = 0.1

# Whatever else goes wrong with a server may be over in a moment: it restarts, is the primary no more
# (1290, 1836), lost its quorum, undid a transaction, has not replicated the table yet. These stay:
HOPELESS = {1044, 1045, 1142, 1143}  # access denied

log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """The database did not do it within the limit; try again later."""


class Session:
    """A connection to one server."""

    def __init__(self, connection: pymysql.connections.Connection) -> None:
        """Ask the server for its name: an address may lead to another one each time."""
        self._connection = connection
        self.server: str = self.rows("SELECT @@hostname AS server")[0]["server"]

    def rows(self, query: str, *arguments: object) -> list[Row]:
        """Run a statement, which is committed when this returns. The server's logs show the request it is for."""
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(f"{query} /* request {trace.request_id.get()} */", arguments)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self._connection.close()


class Database:
    """Runs work on one address, again and again until it is done or the limit is over."""

    def __init__(self, name: str, size: int, queue: int, connect: Callable[[], Session]) -> None:
        """Keep at most `size` sessions, and let at most `queue` callers in at a time."""
        self.name = name
        # Told from the beginning: a series that appears with its first failure has no rate yet.
        for metric in (metrics.DATABASE_SECONDS, metrics.DATABASE_FAILURES, metrics.DATABASE_REFUSALS):
            metric.labels(name)
        self._connect = connect
        self._queue = threading.BoundedSemaphore(queue)
        # The session used last comes first; None is the permission to make one.
        self._pool: LifoQueue[tuple[int, Session] | None] = LifoQueue()
        self._failures = 0  # sessions made before the last failure are not trusted
        # While it is away one request at a time asks whether it is back, however many are waiting.
        self._back = threading.Event()
        self._back.set()
        self._asking = threading.Lock()
        for _ in range(size):
            self._pool.put(None)

    def run(self, work: Callable[[Session], Result], wait: float) -> Result:
        """Return what `work` makes of a session.

        `work` may be called many times, also after it succeeded without us hearing of it: that must
        not matter. With a `wait` of 0 there is one attempt.

        :raises UnavailableError: after `wait` seconds, or at once if too many are waiting already.
        """
        with metrics.DATABASE_SECONDS.labels(self.name).time():
            try:
                return self._enter(work, wait)
            except UnavailableError:
                metrics.DATABASE_REFUSALS.labels(self.name).inc()
                raise

    def _enter(self, work: Callable[[Session], Result], wait: float) -> Result:
        if not self._queue.acquire(blocking=False):
            raise UnavailableError(f"Too many requests are waiting for the {self.name} database.")
        try:
            return self._persist(work, wait)
        finally:
            self._queue.release()

    def _persist(self, work: Callable[[Session], Result], wait: float) -> Result:
        start = time.monotonic()
        attempts = 0
        asks = False
        try:
            while True:
                left = start + wait - time.monotonic()
                asks = asks or self._asking.acquire(blocking=False)
                if not asks and left > 0 and not self._back.is_set():
                    # Whoever asks may give up: look for that, too.
                    self._back.wait(min(left, 5 * PAUSE_SECONDS))
                    if not self._back.is_set():
                        continue
                attempts += 1
                try:
                    result = self._attempt(work, max(left, PAUSE_SECONDS))
                except Empty:
                    reason = "all connections are in use"
                except (pymysql.MySQLError, OSError) as error:
                    reason = str(error)
                    metrics.DATABASE_FAILURES.labels(self.name).inc()
                    if error.args and error.args[0] in HOPELESS:
                        log.error("%s database: %s", self.name, reason)
                        raise UnavailableError(f"The {self.name} database refuses this service.") from error
                    self._back.clear()
                else:
                    self._back.set()
                    if attempts > 1:
                        log.warning("%s database: done at attempt %d", self.name, attempts)
                    return result
                left = start + wait - time.monotonic()
                if left <= 0:
                    log.warning("%s database: given up after attempt %d: %s", self.name, attempts, reason)
                    raise UnavailableError(f"The {self.name} database is away.")
                # Not all at the same moment when it is back.
                time.sleep(min(left, PAUSE_SECONDS * random.uniform(0.5, 2)))  # noqa: S311
        finally:
            if asks:
                self._asking.release()

    def _attempt(self, work: Callable[[Session], Result], patience: float) -> Result:
        kept = self._pool.get(timeout=patience)
        failures = self._failures
        session = None
        try:
            if kept:
                made, session = kept
                if made != failures:
                    session.close()
                    session = None
            session = session or self._connect()
            result = work(session)
        except BaseException:
            # Nobody knows what state it is in, or whether its server is still the right one.
            self._failures += 1
            if session:
                session.close()
            self._pool.put(None)
            raise
        self._pool.put((failures, session))
        return result


def connector(settings: Settings, address: Address) -> Callable[[], Session]:
    """Return what makes a session at `address`."""

    def connect() -> Session:
        # Read each time, so that a new CA is used without a restart.
        tls = {"ssl": ssl.create_default_context(cafile=settings.ca)} if settings.ca else {}
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            user=settings.user,
            password=settings.password,
            database=settings.database,
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00'",
            connect_timeout=settings.connect,
            read_timeout=settings.answer,
            write_timeout=settings.answer,
            **tls,
        )
        return Session(connection)

    return connect
