"""A long list as an answer. A whole catalog, or a history of years, may be a hundred megabytes of
JSON: it is written to an unnamed file first, and sent from there like any file, so that it costs
neither memory nor a thread while nobody reads it. A shorter one holds a place as well.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from flask import Response, request
from werkzeug.wsgi import wrap_file

from jack.library.shared import OpenFile
from jack.web.spans import Span
from jack.web.streaming import FileWindow
from jack.web.uploads import Upload

PLACELESS_BYTES = 65_536
"""Longer answers need a place."""
MEMORY_BYTES = 1024 * 1024
"""Longer ones go through a file on disk; the others let the disk sleep."""
BLOCK_BYTES = 262_144

Each = Callable[[Callable[[str], object]], None]
"""Hands the JSON of one entry after the other to what it is given."""


def list_answer(
    each: Each,
    spool_folder: Path | None,
    enter: Callable[[], Upload | None] = lambda: None,
    name: str = "items",
    also: Mapping[str, object] | None = None,
) -> Response:
    """`{name: [...], **also}` of what `each` gives. `enter` is asked for a place as soon as the
    answer is long, and held until it has left. `each` and `enter` may raise whatever they like.
    """
    upload: Upload | None = None
    is_long = False
    separator = b'{"%b":[' % name.encode()

    def write(data: bytes) -> None:
        nonlocal upload, is_long
        spool.write(data)
        if not is_long and spool.tell() > PLACELESS_BYTES:
            is_long = True
            upload = enter()

    def take(body: str) -> None:
        nonlocal separator
        write(separator + body.encode())
        separator = b","

    folder = str(spool_folder) if spool_folder else None
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=folder) as spool:
        try:
            each(take)
            write(b"]" if separator == b"," else separator + b"]")
            write(b"".join(b",%b:%b" % tuple(map(_json, pair)) for pair in (also or {}).items()))
            write(b"}")
            size = spool.tell()
            spool.seek(0)  # which also writes what is still in the buffer
            if size > MEMORY_BYTES:
                response = _from_file(os.dup(spool.fileno()), size, upload)
            elif is_long:
                response = _from_file(_in_memory(spool.read()), size, upload)
            else:
                response = Response(spool.read())
        except BaseException:
            if upload:
                upload.leave()
            raise
    response.mimetype = "application/json"
    return response


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _in_memory(data: bytes) -> int:
    """The descriptor of a file of this content, which lies in memory where the system has such."""
    has_such = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("list"), "r+b") if has_such else tempfile.TemporaryFile() as out:
        out.write(data)
        out.flush()
        return os.dup(out.fileno())


def _from_file(descriptor: int, size: int, upload: Upload | None) -> Response:
    status, now = os.fstat(descriptor), datetime.now(timezone.utc)
    opened = OpenFile(descriptor, "search", size, "", now, status.st_mtime_ns)
    window = FileWindow(opened, Span(0, size), upload, is_list=True)
    body = wrap_file(request.environ, window, BLOCK_BYTES)  # type: ignore[arg-type]
    response = Response(body, direct_passthrough=True)
    response.headers["Content-Length"] = str(size)
    return response
