"""What the daemon is doing, for scripts and dashboards: the rows `jack status --json` shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify

from jack.web.auth import KeyGuard
from jack.web.listing import list_answer

Json = Mapping[str, Any]
_ID = re.compile(r"[0-9]{1,18}")


class Shown(Protocol):
    """What there is to see, ready for JSON; `jack.downloads.view` has it."""

    def one(self, download_id: int) -> Json | None: ...

    def each(self) -> Iterable[Json]: ...

    def stubs(self) -> Sequence[Json]: ...

    def overview(self) -> Json: ...


def status_blueprint(guard: KeyGuard, shown: Shown, spool_folder: Path | None = None) -> Blueprint:
    """`GET /downloads` and `GET /downloads/ID`."""
    status = Blueprint("status", __name__)
    status.before_request(guard.check)

    @status.get("/downloads")
    def downloads() -> Response:
        return downloads_answer(shown, spool_folder)

    @status.get("/downloads/<text>")
    def download(text: str) -> Response:
        row = row_of(shown, text)
        response = jsonify(dict(row) if row is not None else {"error": "Not found"})
        response.status_code = 404 if row is None else 200
        return response

    return status


def downloads_answer(shown: Shown, spool_folder: Path | None) -> Response:
    """Every download, and every stub that waits."""

    def each(take: Callable[[str], object]) -> None:
        for row in shown.each():
            take(json.dumps(dict(row)))

    return list_answer(each, spool_folder, name="downloads", also={"stubs": shown.stubs()})


def row_of(shown: Shown, text: str) -> Json | None:
    """The download whose id is `text`."""
    # Not the `int` converter: it fails on digits beyond what Python or SQLite can hold.
    return shown.one(int(text)) if _ID.fullmatch(text) else None
