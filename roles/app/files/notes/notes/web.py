"""What holds for every request: its id, the limits of its input, and errors that are sentences."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, NoReturn, cast

from flask import Response, abort, current_app, g, has_request_context, jsonify, request
from werkzeug.exceptions import HTTPException

from notes import metrics, trace
from notes.database import UnavailableError
from notes.store import KeyConflictError

if TYPE_CHECKING:
    from flask import Flask

    from notes.settings import Settings
    from notes.store import Store

# What watches the service is no part of its work.
UNCOUNTED = {"/healthz", "/readyz", "/metrics"}
MAX_TEXT = 1000
MAX_LIMIT = 200
RETRY_SECONDS = 2

log = logging.getLogger("notes")


def store() -> Store:
    """Return the application's store."""
    return cast("Store", current_app.extensions["notes.store"])


def settings() -> Settings:
    """Return the application's settings."""
    return cast("Settings", current_app.extensions["notes.settings"])


def refuse(status: int, sentence: str) -> NoReturn:
    """End the request with an error that says what to do instead."""
    abort(status, description=sentence)


def init_app(app: Flask) -> None:
    """Make the application follow the rules of this module."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_add_request_id)
    app.before_request(_begin)
    app.before_request(_take_request_id)
    app.after_request(_add_headers)
    app.after_request(_count)
    app.register_error_handler(HTTPException, _answer_refusal)
    app.register_error_handler(UnavailableError, _answer_unavailable)
    app.register_error_handler(KeyConflictError, _answer_conflict)
    app.register_error_handler(Exception, _answer_bug)


# --- Input ------------------------------------------------------------------------------------------


def checked_text(value: object) -> str:
    """Return the text of a note, or refuse it."""
    if not isinstance(value, str) or not value.strip():
        refuse(400, 'Give the note as {"text": "..."}, with something in it.')
    if len(value) > MAX_TEXT:
        refuse(400, f"The text has {len(value)} characters; the limit is {MAX_TEXT}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        refuse(400, "The text is not valid Unicode: it holds half of a surrogate pair.")
    return value


def checked_key(value: str | None) -> str:
    """Return an idempotency key: the given one if it is good, a new one if none is given."""
    if value is None:
        return str(uuid.uuid4())
    if not re.fullmatch(r"[!-~]{1,128}", value):
        refuse(400, "A key has 1 to 128 printable ASCII characters and no space.")
    return value


def checked_limit(value: str) -> int:
    """Return how many notes are asked for."""
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= MAX_LIMIT:
        refuse(400, f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(value)


def json_body() -> dict[str, object]:
    """Return the request's JSON object."""
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    if (request.content_length or 0) > limit:  # older releases of Werkzeug limit forms only
        refuse(413, f"The body has {request.content_length} bytes; the limit is {limit}.")
    if not request.is_json:
        refuse(415, "Send JSON, with Content-Type: application/json.")
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        refuse(400, "The body is not JSON.")
    if not isinstance(body, dict):
        refuse(400, 'The body is not a JSON object: send {"text": "..."}.')
    return body


def patience() -> float | None:
    """Return how many seconds this request may wait for a database; None: as long as the service waits for any.

    Whoever asked says how long it listens. Nine tenths of it leave time to say that the database is away.
    """
    given = request.headers.get("X-Answer-Within", "")
    return float(given) * 0.9 if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", given) else None


# --- Numbers, request id and headers ----------------------------------------------------------------


def _begin() -> None:
    g.begun = time.monotonic()


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "none"
    if route not in UNCOUNTED:
        metrics.REQUESTS.labels(request.method, route, str(response.status_code)).inc()
        metrics.REQUEST_SECONDS.labels(route).observe(time.monotonic() - g.begun)
    return response


def _take_request_id() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if re.fullmatch(r"[\w.:+=@-]{1,128}", given, re.ASCII) else uuid.uuid4().hex
    trace.request_id.set(g.request_id)


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = g.get("request_id", "-") if has_request_context() else "-"
    return True


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "-")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers.setdefault("Cache-Control", "no-store")
    return response


# --- Errors -----------------------------------------------------------------------------------------


def _answer(status: int, sentence: str) -> tuple[Response, int]:
    return jsonify(error=sentence), status


def _answer_refusal(error: HTTPException) -> Response | tuple[Response, int]:
    if error.code is None or error.code < 400:  # a redirect
        return cast("Response", error.get_response())
    response, status = _answer(error.code, error.description or error.name)
    if error.code == 405:
        response.headers["Allow"] = error.get_response().headers["Allow"]
    return response, status


def _answer_conflict(_: KeyConflictError) -> tuple[Response, int]:
    return _answer(422, "This Idempotency-Key was used for another text. Use a new key for a new note.")


def _answer_unavailable(error: UnavailableError) -> tuple[Response, int]:
    response, status = _answer(503, f"{error} Try again in {RETRY_SECONDS} seconds.")
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response, status


def _answer_bug(error: Exception) -> tuple[Response, int]:
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return _answer(500, f"This is a bug. Its trace is in the log, with request id {g.get('request_id', '-')}.")
