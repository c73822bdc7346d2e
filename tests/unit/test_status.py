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


def screen(*databases: dict[str, Any], hosts: dict[str, Any] | None = None, vips: tuple[str, ...] = ()) -> str:
    results = [with_item(pair) for pair in zip(databases, MEMBERS, strict=False)]
    return "\n".join(status_screen(hosts or {}, results, list(vips), "mysql", "replication"))


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
