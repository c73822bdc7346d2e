"""The one screen about the site, without a host."""

from typing import Any

from plugins.filter.status import status_screen, with_item

MEMBERS = [{"name": f"db{n}", "address": f"192.0.2.3{n}"} for n in (1, 2, 3)]


def state(**given: Any) -> dict[str, Any]:
    known = {"installed": True, "running": True, "writable": False, "blank": False, "replicas": [], "gtid": "a:1-9"}
    return {"state": known | {"version": "9.7.4-2", "replication": {}} | given}


def replica(**given: Any) -> dict[str, Any]:
    replication = {"source": "192.0.2.31", "receiver": "Yes", "applier": "Yes", "lag": 0}
    return state(replication=replication | {"receiver_error": "", "applier_error": ""} | given)


def member(inside: str = "ONLINE", majority: bool = True, **given: Any) -> dict[str, Any]:
    return state(cluster={"state": inside, "majority": majority, "members": []}, **given)


def screen(
    *databases: dict[str, Any],
    hosts: dict[str, Any] | None = None,
    vips: tuple[str, ...] = (),
    topology: str = "replication",
) -> str:
    results = [with_item(pair) for pair in zip(databases, MEMBERS, strict=False)]
    return "\n".join(status_screen(hosts or {}, results, list(vips), "mysql", topology, now=1_000_000))


def test_databases() -> None:
    text = screen(state(writable=True, replicas=["192.0.2.33", "192.0.2.32"]), replica(), replica(lag=3))
    assert "db1  primary  takes writes, followed by db2 and db3  9 transactions  9.7.4\n" in text
    assert "db2  replica  0 s behind db1" in text
    assert "db3  replica  3 s behind db1" in text
    assert "PROBLEM" not in text


def test_what_is_wrong_is_seen() -> None:
    broken = replica(applier="No", applier_error="duplicate key", lag=None)
    text = screen(state(), broken, {"unreachable": True, "msg": "no route"})
    assert "db1  READ-ONLY  follows nobody" in text
    assert "db2  replica    BROKEN, follows db1: duplicate key" in text
    assert "db3  DOWN       does not answer: no route" in text
    assert "PROBLEM    No server takes writes, and db3 cannot be asked." in text


def test_members_of_a_cluster() -> None:
    text = screen(member(), member(writable=True), member(), topology="cluster")
    assert "db1  replica  online                                   9 transactions  9.7.4\n" in text
    assert "db2  primary  takes writes, 3 of 3 members are online  9 transactions" in text
    assert "PROBLEM" not in text


def test_what_is_wrong_with_a_cluster_is_seen() -> None:
    text = screen(member("RECOVERING"), member(majority=False), {"unreachable": True}, topology="cluster")
    assert "db1  OUTSIDE  not in the cluster: RECOVERING" in text
    assert "db2  OUTSIDE  not in the cluster: without a majority" in text
    assert "db3  DOWN     does not answer: unreachable" in text
    assert "PROBLEM  No member takes writes." in text
    assert "db1 and db2 take writes." in screen(member(writable=True), member(writable=True), topology="cluster")
    assert "OUTSIDE  not in the cluster: OFFLINE" in screen(state(cluster={}), topology="cluster")


def test_backups() -> None:
    db2 = {
        "run": {"newest_timestamp_seconds": 996_400, "failed": 0},
        "archive": {"archive_until_timestamp_seconds": 999_958},
    }
    mon1 = {"prove": {"proof_backup_timestamp_seconds": 900_000, "proof_ok": 1, "failed": 0}}
    hosts = {name: {"backups": told} for name, told in (("db2", db2), ("mon1", mon1))}
    text = screen(state(writable=True), hosts=hosts)
    assert "  newest       60 min ago (db2)\n  binary logs  until 42 s ago (db2)\n" in text
    assert "  proof        restored: the one of 28 h ago (mon1)\n" in text
    assert "FAILED" not in text
    mon1["prove"] |= {"proof_ok": 0, "failed": 1}
    del db2["archive"]
    text = screen(state(writable=True), hosts=hosts)
    assert "binary logs  NONE yet" in text
    assert "proof        NOT PROVEN: the one of 28 h ago (mon1)\n  FAILED       prove on mon1" in text
    assert "Backups" not in screen(state(writable=True))


def test_hosts() -> None:
    lb1 = {"versions": {"haproxy": "3.0.11"}, "held": ["192.0.2.10"], "certificates": {"www": 79, "ca": 3}}
    text = screen(
        state(writable=True), vips=("192.0.2.10", "192.0.2.11"), hosts={"lb1": lb1, "lb2": {"msg": "timed out"}}
    )
    assert "192.0.2.10  lb1\n" in text
    assert "192.0.2.11  NOBODY holds it" in text
    assert "lb1  haproxy 3.0.11  www 79, ca 3 EXPIRES SOON" in text
    assert "lb2  DOWN            does not answer: timed out" in text


def test_no_line_ends_in_blanks() -> None:
    lines = screen(state(writable=True), replica()).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
