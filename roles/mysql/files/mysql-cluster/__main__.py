"""Keeps the database server of this host in its cluster, and begins the cluster anew after a power cut.

mysql-cluster CONFIG        run for ever
mysql-cluster CONFIG ask    print what every member says, as JSON
mysql-cluster CONFIG begin  note that the cluster begins again from what this host holds
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from decision import FORMING, JOINING, LOST, OFFLINE, ONLINE, Report, Step, decide, leads
from history import History
from reports import PATIENCE, Server, ask_all

INTERVAL = {"mysql": 1.0, "mariadb": 0.5}  # seconds between two looks
HASTE = 0.7  # seconds that an answer may take when nobody may be taking writes
PAUSE = 10.0  # seconds after a step that failed
RUN = Path("/run/mysql-cluster")
STATUS = RUN / "status"  # what it waits for, for the role check
WITHOUT = RUN / "without"  # members that an operator gave up, one a line
MODULES = {"mysql": "group_replication", "mariadb": "galera"}


class Keeper:
    """This host's member and what it knows of the others."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        [own] = [one for one in config["members"] if one["address"] == config["address"]]
        self.others = [one for one in config["members"] if one is not own]
        names = [f"{one['name']}={one['address']}" for one in config["members"]]
        self.member = importlib.import_module(MODULES[config["engine"]]).Member(own["name"], names, config)
        self.address, self.port, self.tls = config["address"], config["port"], config["tls"]
        self.routed = config["engine"] == "mariadb"
        self.history = History()
        self.forming = False
        self._said: str | None = None

    def report(self) -> Report:
        """Return what this member is, asked of its server now."""
        report = self.look()
        # Announced before the others are asked a last time: of two that begin, the later one sees the other.
        return replace(report, state=FORMING) if self.forming and report.state == OFFLINE else report

    def look(self) -> Report:
        """Return what its server is, and where its data come from."""
        return replace(self.member.report(), begun=self.history.begun)

    def everybody(self) -> dict[str, Report | None]:
        """Return what every member says."""
        me = self.report()
        return {me.name: me} | ask_all(self.others, self.port, self.tls)

    def run(self) -> None:
        """Look and act, for ever."""
        addresses = [one["address"] for one in self.config["members"]]
        server = Server(self.address, self.port, self.tls, addresses, self.report)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while True:
            time.sleep(INTERVAL[self.config["engine"]] if self.turn() else PAUSE)

    def turn(self) -> bool:
        """Take one step; tell whether it went well."""
        try:
            step = self.next_step()
            self.say(step.reason)
            if step.action == "form":
                return self.form()
            if step.action != "wait":
                getattr(self.member, step.action)()
        # Whatever goes wrong, the next look is a new beginning; nothing is remembered but what the servers know.
        except Exception as error:
            self.say(f"{type(error).__name__}: {error.args[-1] if error.args else error}")
            return False
        return True

    def next_step(self) -> Step:
        """Return what is to be done now."""
        me = self.look()
        if self.routed and me.state in (ONLINE, JOINING, LOST):
            self.lead(me)
        if me.state in (ONLINE, JOINING):
            WITHOUT.unlink(missing_ok=True)
            return Step("wait", "" if me.state == ONLINE else "it enters the cluster")
        self.member.settle(me)
        # Asked after this one's own: what they hold is then never older than what it is compared with.
        others = ask_all(self.others, self.port, self.tls)
        without = self.without()
        step = decide(me, others, without)
        if step.action in ("join", "form"):
            self.history.adopt(others.values())
        if step.action == "form" and self.forming and without:
            self.begin_again(me)
        return step

    def lead(self, me: Report) -> None:
        """On Galera, where every member could take writes, one does."""
        # Those that the engine has given up are not waited for.
        inside = [one for one in self.others if one["address"] in me.present]
        # Nobody waits for the one that takes writes: it may listen for longer, and so hears whom an operator wants.
        patience = PATIENCE if me.writes else HASTE
        leader = me.state == ONLINE and leads(me, ask_all(inside, self.port, self.tls, patience))
        if leader != me.writes:
            self.member.lead(leader)
        elif leader:
            self.member.fulfilled()

    def begin_again(self, me: Report) -> None:
        """Note that the cluster begins again from what this member holds, and others may hold more."""
        self.member.begin_again(self.history.begin(me))

    def form(self) -> bool:
        """Begin the cluster anew, unless another one is about to as well."""
        self.forming = True
        try:
            step = self.next_step()
            if step.action == "form":
                self.member.form()
            self.say(step.reason)
            return step.action == "form"
        finally:
            self.forming = False

    def without(self) -> list[str]:
        """Return the members that an operator gave up."""
        with suppress(OSError):
            return WITHOUT.read_text(encoding="utf-8").split()
        return []

    def say(self, reason: str) -> None:
        """Tell the journal and the role check, once for each sentence."""
        if reason == self._said:
            return
        self._said = reason
        print(reason or "the server is in its cluster", flush=True)
        new = STATUS.with_suffix(".new")
        new.write_text(f"{reason}\n" if reason else "", encoding="utf-8")
        new.rename(STATUS)


def main() -> None:
    """Do what the command line says."""
    keeper = Keeper(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    if sys.argv[2:] == ["ask"]:
        everybody = keeper.everybody()
        print(json.dumps({name: report and report.record() for name, report in everybody.items()}))
    elif sys.argv[2:] == ["begin"]:
        keeper.begin_again(keeper.look())
    elif sys.argv[2:]:
        sys.exit(__doc__)
    else:
        keeper.run()


if __name__ == "__main__":
    main()
