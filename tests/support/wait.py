"""Polling, for what takes a moment: never a fixed sleep in a test."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float, what: str, interval: float = 0.5) -> T:
    """Call `predicate` until it answers something true, and return that.

    An AssertionError or OSError in it means "not yet". After `timeout` seconds the test fails and
    says `what` it waited for and what came last.
    """
    end = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = value
        except (AssertionError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
        assert time.monotonic() < end, f"waited {timeout:g} s for {what}; last: {last}"
        time.sleep(interval)
