"""The request that this thread works for, so that whoever it asks can be told."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")
