"""Who does a task: one host of the site, and another when that one is gone.

The lock is a lease that lies in the repository itself, so it works the same over a path, SFTP and S3, is encrypted
and authenticated as the backups are, and needs no further service. restic's own lock does not serve: it lets any
number of backups run at once, on purpose, and stays half an hour after its owner has died.

A host announces itself by a tiny snapshot whose tags say what for and until when, looks again, and does the task
if no other announcement that is still valid is older. It renews its lease while it works. One that dies is believed
for as long as its last lease says, then the next host takes over. Two hosts could only win at once if an
announcement took longer than PAUSE to be seen by the other; then there would be two backups instead of one, both
valid, since restic keeps writers apart by itself. The lease saves work, it does not protect data.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from .repository import Repository, Snapshot, utc
from .settings import Failure, Settings

PAUSE = 2.0
LIMIT = 12 * 3600
"""Longest wait for another host to end, in seconds."""


def owners(leases: list[Snapshot], now: float) -> list[tuple[float, str, str]]:
    """Return whoever holds a valid lease, the first first: when announced, token, host."""
    first: dict[str, float] = {}
    last: dict[str, Snapshot] = {}
    for lease in leases:
        token = lease.tagged("token-")
        first.setdefault(token, float(lease.tagged("since-") or lease.time))
        # Times are whole seconds: of two of the same second, the one that says more is the later one.
        if token not in last or _order(lease) >= _order(last[token]):
            last[token] = lease
    valid = [token for token, lease in last.items() if float(lease.tagged("until-") or 0) > now]
    return sorted((first[token], token, last[token].host) for token in valid)


def _order(lease: Snapshot) -> int:
    return int(lease.tagged("serial-") or 0)


class Lease:
    """This host's claim to a task."""

    def __init__(self, repository: Repository, settings: Settings, task: str) -> None:
        self.repository, self.settings, self.task = repository, settings, task
        self.token, self.since, self.serial = secrets.token_hex(4), time.time(), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def announce(self, until: float) -> None:
        """Write the claim into the repository."""
        self.serial += 1
        tags = [f"token-{self.token}", f"since-{self.since:.3f}", f"until-{until:.0f}", f"serial-{self.serial}"]
        self.repository.note("/lease", self.token, "lease", f"task-{self.task}", *tags, when=time.time())

    def take(self) -> str:
        """Claim the task; return nothing when this host has it, or else who does."""
        if others := self.others():
            return others[0]
        self.announce(time.time() + self.settings.lease)
        time.sleep(PAUSE)
        holders = owners(self.repository.snapshots("lease", f"task-{self.task}"), time.time())
        if holders and holders[0][1] != self.token:
            self.announce(0)
            return holders[0][2]
        self._thread.start()
        return ""

    def others(self) -> list[str]:
        """Return the hosts that have it now."""
        return [host for _, _, host in owners(self.repository.snapshots("lease", f"task-{self.task}"), time.time())]

    def give_up(self) -> None:
        """Let others have it at once."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(Failure):  # it runs out by itself
            self.announce(0)

    def _renew(self) -> None:
        while not self._over.wait(self.settings.lease / 3):
            with contextlib.suppress(Failure):  # what cannot be reached will fail the task itself
                self.announce(time.time() + self.settings.lease)


@contextlib.contextmanager
def turn(
    repository: Repository,
    settings: Settings,
    task: str,
    rank: int,
    done: Callable[[], str],
    say: Callable[[str], None] = print,
) -> Iterator[bool]:
    """Wait until this host should do the task, and hold the lease meanwhile.

    :param rank: 0 for the fittest; each more waits ``patience`` longer for a better one to begin.
    :param done: says who has done it already, or nothing.
    :returns: False when another host has done it.
    :raises Failure: when the others neither finish nor give up.
    """
    begun = time.time()
    told = ""
    while True:
        if who := done():
            say(f"Nothing to do: {who}.")
            yield False
            return
        lease = Lease(repository, settings, task)
        early = time.time() < begun + rank * settings.patience
        others = lease.others() if early else []
        holder = (others[0] if others else "") if early else lease.take()
        if not early and not holder:
            try:
                yield True
            finally:
                lease.give_up()
            return
        state = f"{holder} is at work" if holder else "a host that is more fit may begin"
        if state != told:
            say(f"Waits, because {state}.")
            told = state
        if time.time() > begun + LIMIT:
            raise Failure(f"Since {utc(begun)} {state}, and no {task} has come of it; look at its journal.")
        time.sleep(settings.poll)
