"""The page for people."""

from __future__ import annotations

import uuid

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from notes.database import UnavailableError
from notes.store import KeyConflictError, Reading
from notes.web import MAX_TEXT, RETRY_SECONDS, checked_key, checked_text, patience, settings, store

blueprint = Blueprint("page", __name__)

Page = tuple[str, int, dict[str, str]]


@blueprint.get("/")
def show() -> Page:
    """Show who serves, and the latest notes."""
    return _render()


@blueprint.post("/")
def add() -> Response | Page:
    """Add the form's note. Its key is in the form, so that sending it twice adds one note."""
    text = request.form.get("text", "")
    try:
        store().add(checked_text(text), checked_key(request.form.get("key")), wait=patience())
    except BadRequest:
        return _render(400, f"A note has 1 to {MAX_TEXT} characters.", text)
    except KeyConflictError:
        return _render(409, "This form was sent before, with another text. Send it again to add this one, too.", text)
    except UnavailableError:
        return _render(503, "The note could not be written: the database is away. Send it again in a moment.", text)
    return redirect(url_for("page.show", fresh=1), 303)


def _render(status: int = 200, problem: str = "", text: str = "") -> Page:
    """Show the page; without notes when there is nobody to read them from."""
    try:
        reading = store().latest(10, fresh=request.args.get("fresh") == "1", wait=patience())
    except UnavailableError:
        reading = Reading([], "")
        status = max(status, 503)
    html = render_template(
        "page.html",
        web=settings().web,
        states=store().states(),
        reading=reading,
        problem=problem,
        text=text,
        key=uuid.uuid4(),
        max_text=MAX_TEXT,
    )
    return html, status, {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
