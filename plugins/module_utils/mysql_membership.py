"""What the modules that make a server a member of its cluster share, whichever engine it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import mysql

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Documented in the fragment tandem.web.mysql.member.
ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "choices": ["form", "prepare", "wait"], "required": True},
    "gtid": {"type": "str", "default": ""},
    "source_gtid": {"type": "str", "default": ""},
    "reseed_errant": {"type": "bool", "default": False},
    **mysql.ARGUMENTS,
}
ERRANT = (
    "This server holds transactions that the cluster does not: {errant}. It may not enter with them, and seeding it"
    " again would lose them. They are saved in {path} on this host; look at them first, then run once with"
    " mysql_reseed_errant: true."
)
UNFIT = (
    "The tables {tables} have no primary key or are not InnoDB, and a cluster cannot take writes to those."
    " Change them first (ALTER TABLE), and run again."
)
# The words of the unit mysql-cluster (decision.py) for one that may not enter with what it holds.
KEPT_OUT = "it holds transactions that the cluster does not"
STATUS = Path("/run/mysql-cluster/status")


def refuse_unfit(module: AnsibleModule, server: mysql.Server) -> None:
    """End the module if the server has tables that a cluster cannot replicate."""
    if unfit := server.unfit_for_cluster():
        module.fail_json(msg=UNFIT.format(tables=", ".join(unfit)))


def waits_for() -> str:
    """Return what the unit mysql-cluster of this host says it waits for; nothing if it says nothing."""
    return STATUS.read_text(encoding="utf-8").strip() if STATUS.exists() else ""


def kept_out_for() -> str:
    """Return the transactions for which the unit keeps the server out.

    It knows more than a comparison of what servers hold: where the cluster began again without a member, others got
    the numbers of those that only this member has.
    """
    found = re.search(rf"{KEPT_OUT}: ([^;]*)", waits_for())
    return found[1] if found else ""
