"""The control interface, `/manage/...`: what goes on, and how to steer it. JSON in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from flask import Blueprint, Response, jsonify, request

from jack.downloads.steering import ACTIONS
from jack.errors import UserError
from jack.web.answers import json_error
from jack.web.auth import KeyGuard
from jack.web.status import Shown, downloads_answer, row_of


class Steers(Protocol):
    """Whoever does what a person wants of one download."""

    def steer(self, download_id: int, action: str, *, files: bool = False) -> None:
        """Return when it is done. Raises UserError, with the reason, when it cannot be done."""

    def steer_all(self, action: str) -> int:
        """The same for everything that is live; how many there were."""


def manage_blueprint(
    shown: Shown,
    steering: Steers | None,
    guard: KeyGuard | None = None,
    spool_folder: Path | None = None,
) -> Blueprint:
    """The routes. Without `guard` no key is asked for: who may open the socket is the owner.
    `steering` is None in a jack that only shares. Very long lists are kept in unnamed files in
    `spool_folder` until they have left.
    """
    manage = Blueprint("manage", __name__, url_prefix="/manage")
    if guard is not None:
        manage.before_request(guard.check)
    manage.register_error_handler(UserError, lambda error: json_error(409, "CONFLICT", str(error)))

    @manage.get("/overview")
    def overview() -> Response:
        return jsonify(dict(shown.overview()))

    @manage.get("/downloads")
    def downloads() -> Response:
        return downloads_answer(shown, spool_folder)

    @manage.get("/downloads/<text>")
    def download(text: str) -> Response:
        return _download(shown, text)

    @manage.post("/downloads/<text>/<action>")
    def act(text: str, action: str) -> Response:
        if action not in ACTIONS:
            return json_error(404, "NOT_FOUND", f"the actions are {', '.join(ACTIONS)}")
        if steering is None:
            raise UserError("this jack only shares: its config has no downloads block")
        if text == "all" and action in {"pause", "resume"}:
            return jsonify(count=steering.steer_all(action))
        row = row_of(shown, text)
        if row is None:
            return _download(shown, text)
        wanted = request.get_json(silent=True)
        files = isinstance(wanted, dict) and wanted.get("files") is True
        steering.steer(row["id"], action, files=files)
        return jsonify(dict(row)) if action == "remove" else _download(shown, text)

    return manage


def _download(shown: Shown, text: str) -> Response:
    row = row_of(shown, text)
    if row is None:
        message = f"there is no download {text}; `jack status --all` lists them"
        return json_error(404, "NOT_FOUND", message)
    return jsonify(dict(row))
