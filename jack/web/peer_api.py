"""What friends ask for: handshake, search, one release, and its file."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from flask import Blueprint, Response, jsonify, request
from werkzeug.http import http_date
from werkzeug.wsgi import wrap_file

from jack.library.catalog import Catalog
from jack.library.shared import OpenFile
from jack.peers.protocol import PROTOCOL_NAME, PROTOCOL_VERSION, release_to_json
from jack.support.files import shown
from jack.web.answers import json_error
from jack.web.auth import KeyGuard, current_friend
from jack.web.listing import list_answer
from jack.web.spans import Span, UnsatisfiableRange, requested_span
from jack.web.streaming import FileWindow, content_disposition
from jack.web.uploads import Refusal, Upload, UploadGate

log = logging.getLogger(__name__)

DEFAULT_UPLOADS = 16
MAX_LONG_LISTS = 16
"""Lists that are a temporary file each, of a whole catalog say, under way at the same time."""
BLOCK_BYTES = 262_144
_WHOLE = re.compile(r"[0-9]{1,9}")


class BadQuery(ValueError):
    """A query parameter is not what it should be; the text names it."""


class TooBusy(Exception):
    """No place is free; ask again in `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"busy for {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


def peer_blueprint(
    catalog: Catalog,
    guard: KeyGuard,
    uploads: UploadGate | None = None,
    spool_folder: Path | None = None,
    lists: UploadGate | None = None,
) -> Blueprint:
    """The peer protocol over `catalog`; every route asks for the key first.

    `uploads` limits the files under way, `lists` the long lists: these are kept in unnamed files in
    `spool_folder` (None: where the system keeps such) until they have left.
    """
    api = Blueprint("peer", __name__)
    api.before_request(guard.check_peer)
    api.register_error_handler(BadQuery, lambda error: json_error(400, "BAD_REQUEST", str(error)))
    api.register_error_handler(TooBusy, _busy)
    gate = uploads or UploadGate(DEFAULT_UPLOADS)
    enter_list = partial(_enter_list, lists or UploadGate(MAX_LONG_LISTS))

    @api.get("/handshake")
    def handshake() -> Response:
        return jsonify(name=PROTOCOL_NAME, version=PROTOCOL_VERSION)

    @api.get("/peer/search")
    def search() -> Response:
        imdb, tmdb, tvdb = (request.args.get(name) for name in ("imdbId", "tmdbId", "tvdbId"))
        each = partial(
            catalog.each,
            imdb_id=imdb,
            tmdb_id=tmdb,
            tvdb_id=tvdb,
            season=_whole_number("season"),
            episode=_whole_number("episode"),
        )
        return list_answer(each, spool_folder, enter_list)

    @api.get("/peer/items/<item_id>")
    def item(item_id: str) -> Response:
        release = catalog.get(item_id)
        return jsonify(release_to_json(release)) if release else _not_found("Not found")

    @api.get("/peer/items/<item_id>/file")
    def file(item_id: str) -> Response:
        opened = catalog.open(item_id)
        return _file_answer(opened, item_id, gate) if opened else _not_found("File not found")

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


def _busy(error: TooBusy) -> Response:
    response = json_error(503, "TOO_BUSY", "Too much is being sent right now, try again later")
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _enter_list(gate: UploadGate) -> Upload:
    """A place for a list of the friend who asks, whose own limit is about films. Raises TooBusy."""
    friend = current_friend()
    asking = replace(friend, max_downloads=0) if friend else None
    return _entered(gate.enter(asking, item="list", address=request.remote_addr or ""))


def _entered(found: Upload | Refusal) -> Upload:
    if isinstance(found, Refusal):
        raise TooBusy(found.retry_after_seconds)
    return found


def _file_answer(opened: OpenFile, item_id: str, gate: UploadGate) -> Response:
    """Owns `opened`: closed here, or by the server when the body has left or the peer is gone."""
    try:
        span = _wanted_span(opened)
    except UnsatisfiableRange:
        opened.close()
        headers = {"Content-Range": f"bytes */{opened.size}", "Accept-Ranges": "bytes"}
        return Response(status=416, headers=headers)
    friend = current_friend()
    # HEAD sends no body, and a client that only looks must not be told to wait.
    wanted = span or Span(0, opened.size)
    upload = None
    if request.method == "GET":
        address = request.remote_addr or ""
        try:
            upload = _entered(gate.enter(friend, wanted.length, item_id, address))
        except TooBusy:
            opened.close()
            raise
    _note(friend.name if friend else None, opened, wanted)
    window = FileWindow(opened, wanted, upload)
    body = wrap_file(request.environ, window, BLOCK_BYTES)  # type: ignore[arg-type]
    # Passed through as it is: only then does waitress see its own file wrapper, and sends the file
    # from its event loop while the thread is free for the next request.
    headers = _file_headers(opened, span)
    return Response(body, status=206 if span else 200, headers=headers, direct_passthrough=True)


def _note(friend: str | None, opened: OpenFile, span: Span) -> None:
    level = logging.INFO if friend and request.method == "GET" else logging.DEBUG
    if log.isEnabledFor(level):
        who = friend or request.remote_addr
        log.log(level, "%s fetches %s from byte %d", who, shown(opened.filename), span.start)


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
