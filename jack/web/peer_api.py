"""What friends ask for: handshake, search, one release, and its file."""

from __future__ import annotations

import re

from flask import Blueprint, Response, jsonify, request
from werkzeug.http import http_date
from werkzeug.wsgi import wrap_file

from jack.library.catalog import Catalog
from jack.library.shared import OpenFile
from jack.peers.protocol import PROTOCOL_NAME, PROTOCOL_VERSION, release_to_json
from jack.web.answers import json_error
from jack.web.auth import KeyGuard
from jack.web.ranges import Span, UnsatisfiableRange, requested_span
from jack.web.streaming import FileWindow, content_disposition

BLOCK_BYTES = 262_144
_WHOLE = re.compile(r"[0-9]{1,9}")


class BadQuery(ValueError):
    """A query parameter is not what it should be; the text names it."""


def peer_blueprint(catalog: Catalog, guard: KeyGuard) -> Blueprint:
    """The peer protocol over `catalog`; every route asks for the key first."""
    api = Blueprint("peer", __name__)
    api.before_request(guard.check)
    api.register_error_handler(BadQuery, lambda error: json_error(400, "BAD_REQUEST", str(error)))

    @api.get("/handshake")
    def handshake() -> Response:
        return jsonify(name=PROTOCOL_NAME, version=PROTOCOL_VERSION)

    @api.get("/peer/search")
    def search() -> Response:
        releases = catalog.search(
            imdb_id=request.args.get("imdbId"),
            tmdb_id=request.args.get("tmdbId"),
            tvdb_id=request.args.get("tvdbId"),
            season=_whole_number("season"),
            episode=_whole_number("episode"),
        )
        return jsonify(items=[release_to_json(release) for release in releases])

    @api.get("/peer/items/<item_id>")
    def item(item_id: str) -> Response:
        release = catalog.get(item_id)
        return jsonify(release_to_json(release)) if release else _not_found("Not found")

    @api.get("/peer/items/<item_id>/file")
    def file(item_id: str) -> Response:
        opened = catalog.open(item_id)
        return _file_answer(opened) if opened else _not_found("File not found")

    return api


def _whole_number(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text.strip()):
        raise BadQuery(f"{name} is not a whole number")
    return int(text)


def _not_found(message: str) -> Response:
    response = jsonify(error=message)
    response.status_code = 404
    return response


def _file_answer(opened: OpenFile) -> Response:
    """Owns `opened`: closed here, or by the server when the body has left or the peer is gone."""
    try:
        span = _wanted_span(opened)
    except UnsatisfiableRange:
        opened.close()
        headers = {"Content-Range": f"bytes */{opened.size}", "Accept-Ranges": "bytes"}
        return Response(status=416, headers=headers)
    window = FileWindow(opened, span or Span(0, opened.size))
    body = wrap_file(request.environ, window, BLOCK_BYTES)  # type: ignore[arg-type]
    # Passed through as it is: only then does waitress see its own file wrapper, and sends the file
    # from its event loop while the thread is free for the next request.
    response = Response(body, status=206 if span else 200, direct_passthrough=True)
    response.headers.update(_file_headers(opened, span))
    return response


def _wanted_span(opened: OpenFile) -> Span | None:
    """Only GET has ranges (RFC 9110, 14.2); a failed If-Range asks for the whole file (13.1.5).

    If-Range counts only as a strong entity tag: a date cannot tell two versions of one second.
    """
    if request.method != "GET":
        return None
    condition = request.environ.get("HTTP_IF_RANGE")
    if condition is not None and condition.strip(" \t") != opened.etag:
        return None
    return requested_span(request.environ.get("HTTP_RANGE"), opened.size)


def _file_headers(opened: OpenFile, span: Span | None) -> dict[str, str]:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(span.length if span else opened.size),
        "Accept-Ranges": "bytes",
        "ETag": opened.etag,
        "Last-Modified": http_date(opened.modified),
        "Content-Disposition": content_disposition(opened.filename),
        # A proxy that compresses would break the byte positions (RFC 9111, 5.2.2.6).
        "Cache-Control": "private, no-transform",
    }
    if span:
        headers["Content-Range"] = span.content_range(opened.size)
    return headers
