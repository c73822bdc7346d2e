"""The notes service. gunicorn runs ``notes:create_app()``."""

from __future__ import annotations

import logging
import os

from flask import Flask

from notes import api, page, web
from notes.settings import Settings
from notes.store import Store


def create_app(store: Store | None = None, settings: Settings | None = None) -> Flask:
    """Make the application from the environment; tests bring a store and settings of their own."""
    settings = settings or Settings.from_environment(os.environ)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024
    app.extensions["notes.settings"] = settings
    app.extensions["notes.store"] = store or Store.from_settings(settings)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s [%(request_id)s] %(message)s")
    web.init_app(app)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(page.blueprint)
    return app
