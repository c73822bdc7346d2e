"""The JSON API."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from flask import Blueprint, Response, jsonify, request

from notes import metrics
from notes.web import checked_key, checked_limit, checked_text, json_body, log, patience, settings, store

blueprint = Blueprint("api", __name__)


@blueprint.get("/whoami")
def whoami() -> Response:
    """Say which server, release and process answers. A release is the directory it was started in."""
    return jsonify(web=settings().web, release=Path.cwd().name, process=os.getpid())


@blueprint.get("/healthz")
def healthz() -> Response:
    """Answer as long as this process serves."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Say how both databases are."""
    states = store().states()
    ready = all(state.ok for state in states.values())
    databases = {name: asdict(state) for name, state in states.items()}
    return jsonify(ready=ready, web=settings().web, databases=databases), 200 if ready else 503


@blueprint.get("/metrics")
def numbers() -> Response:
    """Tell Prometheus how much was asked, how long it took, and what failed. The web server keeps clients out."""
    return Response(metrics.text(), content_type=metrics.CONTENT_TYPE)


@blueprint.get("/notes")
def list_notes() -> Response:
    """List the latest notes, or the one with a key; with ``fresh=1`` from the write address."""
    fresh = request.args.get("fresh") == "1"
    if "key" in request.args:
        reading = store().by_key(checked_key(request.args["key"]), fresh=fresh, wait=patience())
    else:
        reading = store().latest(checked_limit(request.args.get("limit", "20")), fresh=fresh, wait=patience())
    response = jsonify(reading.notes)
    response.headers["X-Database"] = reading.server
    return response


@blueprint.post("/notes")
def add_note() -> tuple[Response, int]:
    """Add a note; the same key gives the same answer again."""
    text, key = checked_text(json_body().get("text")), checked_key(request.headers.get("Idempotency-Key"))
    reading = store().add(text, key, wait=patience())
    [note] = reading.notes
    log.info("note %s, key %s, written by %s", note["id"], note["key"], note["database"])
    response = jsonify(note)
    response.headers["X-Database"] = reading.server
    return response, 201
