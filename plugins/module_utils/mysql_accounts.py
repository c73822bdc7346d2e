"""Pure functions about accounts: what a server's own words mean, and what has to be said to change them."""

from __future__ import annotations

import hashlib
import ipaddress
import re

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# MariaDB shows a privilege under another name than the one both engines accept.
MARIADB_NAMES = {
    "REPLICATION CLIENT": "BINLOG MONITOR",
    "REPLICATION REPLICA": "REPLICATION SLAVE",
    "REPLICA MONITOR": "SLAVE MONITOR",
}


def host_pattern(network: str, engine: str) -> str:
    """Return the host part of an account for an address, a network in CIDR notation, or ``localhost``.

    MySQL takes CIDR notation as it is, MariaDB wants a netmask.
    """
    if network == "localhost":
        return network
    parsed = ipaddress.ip_network(network)
    if parsed.num_addresses == 1:
        return str(parsed.network_address)
    return str(parsed) if engine == "mysql" else parsed.with_netmask


def privileges(wanted: dict[str, list[str]], engine: str) -> dict[str, set[str]]:
    """Return privileges by level as the server spells both."""
    names = MARIADB_NAMES if engine == "mariadb" else {}
    result = {}
    for level, granted in wanted.items():
        upper = {" ".join(name.upper().split()) for name in granted}
        upper = {"ALL PRIVILEGES" if name == "ALL" else names.get(name, name) for name in upper}
        result[_level(level)] = upper
    return result


def _level(level: str) -> str:
    database, table = level.replace("`", "").split(".", 1)
    if database != "*" and table == "*":
        # In a grant on a whole database _ and % are wildcards; nobody who writes app_data.* means appXdata too.
        database = re.sub(r"(?<!\\)([_%])", r"\\\1", database)
    return ".".join(part if part == "*" else f"`{part}`" for part in (database, table))


def parse_grants(lines: list[str]) -> dict[str, set[str]]:
    """Return the privileges by level that the lines of SHOW GRANTS tell."""
    result: dict[str, set[str]] = {}
    for line in lines:
        match = re.match(r"GRANT (.+?) ON (\S+) TO ", line)
        if not match:
            continue
        # A comma inside brackets separates columns, not privileges.
        granted = {name.strip() for name in re.split(r",(?![^(]*\))", match[1])} - {"USAGE"}
        if line.endswith("WITH GRANT OPTION"):
            granted.add("GRANT OPTION")
        if granted:
            result.setdefault(match[2], set()).update(granted)
    return result


def native_hash(password: str) -> str:
    """Return what MariaDB's mysql_native_password stores."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324


def sha2_matches(password: str, stored: bytes) -> bool:
    """Tell whether a caching_sha2_password string ($A$005$ + 20 characters of salt + digest) is of this password."""
    kind, _, rest = stored.partition(b"$A$")
    rounds, _, rest = rest.partition(b"$")
    if kind or len(rest) != 63 or not re.fullmatch(rb"[0-9A-Fa-f]{3}", rounds):
        return False
    return _sha256_crypt(password.encode(), rest[:20], int(rounds, 16) * 1000) == rest[20:].decode("ascii", "replace")


def _sha256_crypt(password: bytes, salt: bytes, rounds: int) -> str:
    """Return the digest part of SHA-256 crypt, with a salt of any length (crypt(3) cuts it at 16)."""

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def stretch(block: bytes, length: int) -> bytes:
        return (block * (length // len(block) + 1))[:length]

    mixed = password + salt + stretch(sha(password + salt + password), len(password))
    length = len(password)
    while length:
        mixed += sha(password + salt + password) if length & 1 else password
        length >>= 1
    digest = first = sha(mixed)
    secret = stretch(sha(password * len(password)), len(password))
    spice = stretch(sha(salt * (16 + first[0])), len(salt))
    for number in range(rounds):
        block = secret if number & 1 else digest
        block += spice if number % 3 else b""
        block += secret if number % 7 else b""
        block += digest if number & 1 else secret
        digest = sha(block)

    text = ""
    for group in range(10):
        a, b, c = (digest[(start + 21 * group) % 30] for start in (0, 10, 20))
        text += _letters(a << 16 | b << 8 | c, 4)
    return text + _letters(digest[31] << 8 | digest[30], 3)


def _letters(bits: int, count: int) -> str:
    return "".join(ALPHABET[bits >> 6 * place & 63] for place in range(count))
