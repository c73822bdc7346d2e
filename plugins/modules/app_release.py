#!/usr/bin/python
"""Puts a release of an application into service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_release
short_description: Puts a release of an application into service without losing a request.
description:
  - >-
    Starts the release beside the one that serves, as C(<name>-next.service) on a socket of its own. Only when that
    answers the health check do requests go there; the old process finishes those it has. Then
    C(<name>.service) starts again, with the new release, and takes the requests back.
  - Traffic moves by renaming the symbolic link C(/run/<name>/<name>.sock), so there is always somebody behind it.
  - >-
    A release that is not healthy never sees a request. If it only fails as C(<name>.service), the release before
    is started again while the healthy C(<name>-next.service) serves.
  - Does nothing when the release already serves, with the files of O(watch) as they are.
options:
  name:
    description: The application, which is also the name of its units.
    type: str
    required: true
  release:
    description: The release, a directory in C(<directory>/releases) that holds a file C(.complete).
    type: str
    required: true
  directory:
    description: Holds C(releases), and the links C(current) and C(next).
    type: path
    required: true
  watch:
    description: Files whose change needs new processes, such as the units and the environment.
    type: list
    elements: path
    default: []
  health_path:
    description: The path that answers with a status below 400 when the release is well.
    type: str
    required: true
  health_timeout:
    description: How long a release may take to become healthy, in seconds.
    type: int
    default: 30
  drain_timeout:
    description: How long the requests of the old process may take to finish, in seconds.
    type: int
    default: 30
  keep:
    description: How many releases to keep, those that served last.
    type: int
    default: 5
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Put a release into service
  tandem.web.app_release:
    name: notes
    release: 3f2a9c41d07e
    directory: /srv/notes
    health_path: /healthz
"""

RETURN = r"""
previous:
  description: The release that served before, if any.
  type: str
removed:
  description: Releases that are no longer kept.
  type: list
  elements: str
"""

import hashlib
import http.client
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

LOG_LINES = 25


class ReleaseError(Exception):
    """A release is not well."""


class HealthConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=2)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Application:
    """One application on this host: its releases, its two services, and where its requests go."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name = module.params["name"]
        self.directory = Path(module.params["directory"])
        self.releases = self.directory / "releases"
        self.current = self.directory / "current"
        self.stamp = self.directory / ".serving"
        self.run = Path("/run") / self.name
        self.link = self.run / f"{self.name}.sock"
        self.main = f"{self.name}.service"
        self.next = f"{self.name}-next.service"
        self.sockets = {self.main: self.run / "main.sock", self.next: self.run / "next.sock"}

    # --- What is -------------------------------------------------------------------------------------

    def serving(self) -> str | None:
        """Return the release that `current` names."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def state(self, release: str) -> str:
        """Return what the stamp says after `release` was put into service with the files as they are."""
        digest = hashlib.sha256(release.encode())
        for path in map(Path, self.module.params["watch"]):
            digest.update(path.read_bytes() if path.exists() else b"")
        return digest.hexdigest()

    def settled(self, release: str) -> bool:
        """Tell whether `release` serves, and no roll was interrupted."""
        return (
            self.serving() == release
            and self.stamp.exists()
            and self.stamp.read_text() == self.state(release)
            and self._show(self.main, "ActiveState") == "active"
            and self.link.resolve() == self.sockets[self.main]
        )

    # --- What is done --------------------------------------------------------------------------------

    def roll(self, release: str) -> None:
        """Put `release` into service."""
        before = self.serving()
        self._systemctl("daemon-reload")
        self._point(self.directory / "next", self.releases / release)
        try:
            self._start(self.next)
        except ReleaseError as error:
            self._stop_next()
            kept = f"Release {before} keeps serving." if before else "Nothing serves yet."
            raise ReleaseError(f"Release {release} was refused: {error}\n{kept}") from error

        if self._show(self.main, "ActiveState") == "active":
            self._send_requests_to(self.next)
        self._point(self.current, self.releases / release)
        try:
            self._start(self.main)
        except ReleaseError as error:
            raise ReleaseError(f"Release {release} failed: {error}\n{self._go_back(before)}") from error
        self._send_requests_to(self.main)
        self._stop_next()
        (self.releases / release / ".served").touch()
        self.stamp.write_text(self.state(release))

    def prune(self, keep: int) -> list[str]:
        """Remove all but the releases that served last; one that was refused never did."""

        def last_served(release: Path) -> float:
            marker = release / ".served"
            return marker.stat().st_mtime if marker.exists() else 0

        newest_first = sorted(self.releases.iterdir(), key=last_served, reverse=True)
        removed = [release for release in newest_first[keep:] if release.name != self.serving()]
        for release in removed:
            shutil.rmtree(release)
        return [release.name for release in removed]

    def _go_back(self, before: str | None) -> str:
        if before is None:
            return "There is no release to go back to."
        self._point(self.current, self.releases / before)
        try:
            self._start(self.main)
        except ReleaseError as error:
            return f"Release {before} could not be restored: {error}"
        self._send_requests_to(self.main)
        self._stop_next()
        return f"Release {before} was restored."

    def _start(self, service: str) -> None:
        """Start `service` anew and wait until it is healthy, or raise with the end of its log."""
        since = time.time()
        self._systemctl("reset-failed", service, check=False)
        code, _, error = self._systemctl("restart", service, check=False)
        invocation = self._show(service, "InvocationID")
        try:
            if code != 0:
                raise ReleaseError(error.strip())
            self._wait_until_healthy(service, invocation)
        except ReleaseError as error:
            log = "\n".join(self._log(service, since))
            raise ReleaseError(
                f"{error}\nIts last log lines, of which `journalctl -u {service}` has more:\n{log}"
            ) from error

    def _wait_until_healthy(self, service: str, invocation: str) -> None:
        path = self.module.params["health_path"]
        end = time.monotonic() + self.module.params["health_timeout"]
        while True:
            answer = self._ask(self.sockets[service], path)
            if answer == "healthy":
                return
            # A request to its socket makes systemd start a service that has ended again.
            if self._show(service, "InvocationID") != invocation or self._show(service, "ActiveState") != "active":
                raise ReleaseError(f"{service} ended while it started.")
            if time.monotonic() > end:
                raise ReleaseError(f"GET {path} {answer}.")
            time.sleep(0.1)

    def _log(self, service: str, since: float) -> list[str]:
        """Return the last lines that the service's own processes logged, without the frames of traces."""
        # Not by unit: the journal cannot tell it of a process that has ended by the time it looks.
        journal = ["journalctl", "--quiet", "--output=cat", "--lines=500", f"--since=@{since:.6f}"]
        _, log, _ = self.module.run_command([*journal, f"--identifier={service.removesuffix('.service')}"])
        return [line for line in log.splitlines() if not line.startswith("  ")][-LOG_LINES:]

    def _ask(self, sock: Path, path: str) -> str:
        connection = HealthConnection(sock)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"got no answer ({error or type(error).__name__})"
        finally:
            connection.close()
        return "healthy" if status < 400 else f"answered {status}"

    def _send_requests_to(self, service: str) -> None:
        """Move new requests to `service`, and wait until the others have finished theirs."""
        self._point(self.link, self.sockets[service])
        end = time.monotonic() + self.module.params["drain_timeout"]
        others = [str(path) for name, path in self.sockets.items() if name != service]
        quiet = 0
        # Twice: a client may have followed the link just before it moved.
        while quiet < 2 and time.monotonic() < end:
            quiet = 0 if any(_connections(path) for path in others) else quiet + 1
            time.sleep(0.05)

    def _stop_next(self) -> None:
        self._systemctl("stop", self.next, self.next.replace(".service", ".socket"))
        (self.directory / "next").unlink(missing_ok=True)

    # --- Tools ---------------------------------------------------------------------------------------

    @staticmethod
    def _point(link: Path, target: Path) -> None:
        """Make `link` lead to `target`; at every moment it leads somewhere."""
        new = link.with_name(f".{link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)

    def _show(self, unit: str, name: str) -> str:
        _, out, _ = self.module.run_command(["systemctl", "show", "--value", f"--property={name}", unit])
        return out.strip()

    def _systemctl(self, *arguments: str, check: bool = True) -> tuple[int, str, str]:
        code, out, error = self.module.run_command(["systemctl", *arguments])
        if check and code != 0:
            raise ReleaseError(error.strip())
        return code, out, error


def _connections(path: str) -> int:
    """Count who is connected to a listening unix socket, accepted or not."""
    # Num RefCount Protocol Flags Type St Inode Path; flag 0x10000 marks the listening socket itself.
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(1 for fields in lines if fields[7:] == [path] and fields[3] != "00010000")


def main() -> None:
    """Run the module."""
    spec: dict[str, Any] = {
        "name": {"type": "str", "required": True},
        "release": {"type": "str", "required": True},
        "directory": {"type": "path", "required": True},
        "watch": {"type": "list", "elements": "path", "default": []},
        "health_path": {"type": "str", "required": True},
        "health_timeout": {"type": "int", "default": 30},
        "drain_timeout": {"type": "int", "default": 30},
        "keep": {"type": "int", "default": 5},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    application = Application(module)
    release = module.params["release"]
    previous = application.serving()
    if application.settled(release):
        module.exit_json(changed=False, previous=previous, removed=[])
    if module.check_mode:
        module.exit_json(changed=True, previous=previous, removed=[])
    if not (application.releases / release / ".complete").exists():
        kept = ", ".join(sorted(path.parent.name for path in application.releases.glob("*/.complete"))) or "none"
        module.fail_json(msg=f"There is no release {release} on this host. Kept are: {kept}.")
    try:
        application.roll(release)
    except ReleaseError as error:
        module.fail_json(msg=str(error), previous=previous)
    module.exit_json(changed=True, previous=previous, removed=application.prune(module.params["keep"]))


if __name__ == "__main__":
    main()
