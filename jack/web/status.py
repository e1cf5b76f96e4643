"""What the daemon is doing, for scripts and dashboards: the rows `jack status --json` shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify

from jack.web.auth import KeyGuard
from jack.web.listing import Each, list_answer

Row = Mapping[str, Any]
_ID = re.compile(r"[0-9]{1,18}")


def status_blueprint(
    guard: KeyGuard,
    each_download: Each,
    get_download: Callable[[int], Row | None],
    spool_folder: Path | None = None,
) -> Blueprint:
    """`GET /downloads` and `GET /downloads/ID` from rows made elsewhere, ready for JSON."""
    status = Blueprint("status", __name__)
    status.before_request(guard.check)

    @status.get("/downloads")
    def downloads() -> Response:
        return list_answer(each_download, spool_folder, name="downloads")

    @status.get("/downloads/<text>")
    def download(text: str) -> Response:
        # Not the `int` converter: it fails on digits beyond what Python or SQLite can hold.
        row = get_download(int(text)) if _ID.fullmatch(text) else None
        response = jsonify(dict(row) if row is not None else {"error": "Not found"})
        response.status_code = 404 if row is None else 200
        return response

    return status
