"""A long list as an answer. A whole catalog, or a history of years, may be a hundred megabytes of
JSON: it is written to an unnamed file first, and sent from there like any file, so that it costs
neither memory nor a thread.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from flask import Response, request
from werkzeug.wsgi import wrap_file

from jack.library.shared import OpenFile
from jack.web.ranges import Span
from jack.web.streaming import FileWindow

MEMORY_BYTES = 1024 * 1024
"""Longer answers go through a file."""
BLOCK_BYTES = 262_144

Each = Callable[[Callable[[str], object]], None]
"""Hands the JSON of one entry after the other to what it is given."""


def list_answer(
    each: Each,
    spool_folder: Path | None,
    on_close: Callable[[], None] = lambda: None,
    name: str = "items",
) -> Response:
    """`{name: [...]}` of what `each` gives. `on_close` is called when the answer has left, and
    also when it cannot be made: `each` may raise whatever it likes.
    """
    try:
        response = _answer(each, spool_folder, on_close, name)
    except BaseException:
        on_close()
        raise
    response.mimetype = "application/json"
    return response


def _answer(
    each: Each, spool_folder: Path | None, on_close: Callable[[], None], name: str
) -> Response:
    folder = str(spool_folder) if spool_folder else None
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=folder) as spool:
        separator = b'{"%b":[' % name.encode()

        def take(body: str) -> None:
            nonlocal separator
            spool.write(separator + body.encode())
            separator = b","

        each(take)
        spool.write(b"]}" if separator == b"," else separator + b"]}")
        size = spool.tell()
        if size > MEMORY_BYTES:
            spool.flush()
            return _from_file(os.dup(spool.fileno()), size, on_close)
        spool.seek(0)
        response = Response(spool.read())
    on_close()
    return response


def _from_file(descriptor: int, size: int, on_close: Callable[[], None]) -> Response:
    status, now = os.fstat(descriptor), datetime.now(timezone.utc)
    opened = OpenFile(descriptor, "search", size, "", now, status.st_mtime_ns)
    window = FileWindow(opened, Span(0, size), on_close)
    body = wrap_file(request.environ, window, BLOCK_BYTES)  # type: ignore[arg-type]
    response = Response(body, direct_passthrough=True)
    response.headers["Content-Length"] = str(size)
    return response
