"""The HTTP side put together: blueprints, errors, and headers that every answer carries."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from jack.errors import JackError, TransientError
from jack.support.files import shown
from jack.web.answers import json_error

log = logging.getLogger(__name__)

_SECURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app(blueprints: Iterable[Blueprint]) -> Flask:
    """A Flask application of `GET /ping` (needs no key) and `blueprints` (each guards itself)."""
    app = Flask("jack", static_folder=None)
    # A redirect to a tidier path would repeat a key that stands in the query.
    app.url_map.merge_slashes = False
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(JackError, _unavailable)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_secured)

    @app.get("/ping")
    def ping() -> Response:
        return jsonify(status="OK")

    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


def _secured(response: Response) -> Response:
    given = {name.lower() for name, _ in response.headers}
    for name, value in _SECURE_HEADERS.items():
        if name.lower() not in given:
            response.headers.add(name, value)
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    response = json_error(status, error.name.upper().replace(" ", "_"), error.name)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unavailable(error: JackError) -> Response:
    """Our own sources fail: the text stays in our log, it may name paths and hosts of ours."""
    log.warning("%s %s failed: %s", request.method, shown(request.path), error)
    response = json_error(503, "SERVICE_UNAVAILABLE", "Not available right now, try again later")
    if isinstance(error, TransientError) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    return response


def _unexpected(error: Exception) -> Response:
    log.error("%s %s failed", request.method, shown(request.path), exc_info=error)
    return json_error(
        500, "INTERNAL_SERVER_ERROR", "Something went wrong; the server's log says what"
    )
