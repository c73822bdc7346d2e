"""``python3 -m notes setup``: make the table. May run again, and on any web server."""

import logging
import os
import sys

from notes.database import UnavailableError
from notes.settings import Settings
from notes.store import Store


def main() -> str | None:
    """Return what went wrong, if anything did."""
    logging.basicConfig(format="%(message)s")
    if sys.argv[1:] != ["setup"]:
        return "usage: python3 -m notes setup"
    try:
        made = Store.from_settings(Settings.from_environment(os.environ)).setup()
    except UnavailableError as error:
        return str(error)
    print("The table was made." if made else "The table is there.")
    return None


sys.exit(main())
