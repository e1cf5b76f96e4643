"""The import commands of a Radarr or Sonarr: the dry run, the order, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jack.arr.api import MAX_LIST_BYTES
from jack.arr.client import ArrClient
from jack.arr.history import Grab, History
from jack.arr.paths import translate
from jack.errors import PermanentError, ProtocolError
from jack.support.files import shown
from jack.support.http import Wire
from jack.support.waits import SCAN_SECONDS

_RUNNING = frozenset({"queued", "started"})
_KEPT = ("folderName", "quality", "languages", "releaseGroup", "indexerFlags", "releaseType")
"""What the dry run found out and the order repeats."""
_SHOWN_REASONS = 5


@dataclass(frozen=True)
class DryRun:
    """What the server would do with one file: `item` as it describes it, and its objections."""

    item: Mapping[str, Any]
    permanent: tuple[str, ...]
    temporary: tuple[str, ...]


@dataclass(frozen=True)
class CommandState:
    """How far a command is. `result` is not kept for long; `message` may be empty."""

    running: bool
    failed: bool
    """It ended without having imported anything; neither after an end that proves nothing."""
    message: str


class ImportApi:
    """Everything an import needs of one server. Paths are jack's; the server gets its own view.

    Every call raises what `ArrApi` raises.
    """

    def __init__(self, client: ArrClient) -> None:
        self._client = client
        self._api = client.api
        self.server = client.server
        self.history = History(client.api)

    def seen_as(self, path: str) -> str:
        """The path in the server's view."""
        return translate(path, self.server.path_map)

    def dry_run(self, path: str, grab: Grab | None, wire: Wire) -> DryRun | None:
        """What it would do with the file; None when it does not see it.

        The server guesses from the file name what it is. When that is not what it was grabbed for,
        its objections are about the wrong thing: it is asked again, for the right one.
        """
        wanted = self.seen_as(path)
        query = {"folder": wanted, "filterExistingFiles": "true"}
        answer = self._api.call(
            "GET",
            "manualimport",
            wire,
            query=query,
            what="import",
            header_seconds=SCAN_SECONDS,
            max_bytes=MAX_LIST_BYTES,
        )
        if not isinstance(answer, list):
            raise ProtocolError(
                f"{self.server.name} answered the dry run of an import with something else"
            )
        items = [one for one in answer if isinstance(one, dict)]
        item: Mapping[str, Any] | None = next(
            (one for one in items if one.get("path") == wanted), None
        )
        if item is None and len(items) == 1:
            item = items[0]
        if item is None:
            return None
        if grab is not None and not self._means(item, grab):
            item = self._judged_anew(item, wanted, grab, wire)
        return DryRun(item, _reasons(item, permanent=True), _reasons(item, permanent=False))

    def order(self, path: str, grab: Grab, dry_run: DryRun, wire: Wire) -> int:
        """Have the file imported as what it was grabbed for; the command's id.

        `auto` moves a file of no known download. The server does not judge such an order again.
        """
        found = {key: dry_run.item[key] for key in _KEPT if dry_run.item.get(key) is not None}
        file = {**found, "path": self.seen_as(path), **self._identity(grab)}
        body = {"name": "ManualImport", "importMode": "auto", "files": [file]}
        return self._client.send_command(body, wire)

    def scan(self, path: str, wire: Wire) -> int:
        """Have the file imported as what its name says; the command's id."""
        return self._client.scan_path(path, wire)

    def state(self, command_id: int, wire: Wire) -> CommandState:
        """How far the command is. NotThere when the server has forgotten it: after a restart."""
        answer = self._api.get(f"command/{command_id:d}", wire, what="import")
        if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
            raise ProtocolError(f"{self.server.name} does not say how far the import is")
        status, result = answer["status"].lower(), str(answer.get("result") or "").lower()
        words = [answer.get(key) for key in ("message", "exception")]
        message = next((word for word in words if isinstance(word, str) and word), "")
        return CommandState(
            running=status in _RUNNING,
            failed=status == "failed" or (status == "completed" and result == "unsuccessful"),
            message=message.splitlines()[0] if message.strip() else "",
        )

    def find_command(self, path: str, wire: Wire) -> int | None:
        """The id of a command for this file that the server knows of; the newest, if any."""
        answer = self._api.get("command", wire, what="import")
        wanted = self.seen_as(path)
        found = [
            command["id"]
            for command in (answer if isinstance(answer, list) else ())
            if isinstance(command, dict)
            and type(command.get("id")) is int
            and wanted in _paths(command.get("body"))
        ]
        return max(found, default=None)

    def _means(self, item: Mapping[str, Any], grab: Grab) -> bool:
        if self.server.kind == "radarr":
            return bool(_id_in(item.get("movie")) == grab.movie_id)
        episodes = item.get("episodes")
        found = {_id_in(one) for one in episodes} if isinstance(episodes, list) else set()
        return _id_in(item.get("series")) == grab.series_id and found == set(grab.episode_ids)

    def _judged_anew(
        self, item: Mapping[str, Any], wanted: str, grab: Grab, wire: Wire
    ) -> Mapping[str, Any]:
        """As the *arr's own page does when a person corrects what a file is."""
        body = {key: item[key] for key in ("id", *_KEPT) if item.get(key) is not None}
        body |= {"path": wanted, **self._identity(grab)}
        try:
            answer = self._api.call(
                "POST",
                "manualimport",
                wire,
                body=[body],
                what="import",
                header_seconds=SCAN_SECONDS,
            )
        except (ProtocolError, PermanentError):
            return item  # a version that cannot do it: then its first judgement stands
        again = answer[0] if isinstance(answer, list) and answer else None
        return {**item, **again} if isinstance(again, dict) else item

    def _identity(self, grab: Grab) -> dict[str, Any]:
        if self.server.kind == "radarr":
            return {"movieId": grab.movie_id}
        return {"seriesId": grab.series_id, "episodeIds": list(grab.episode_ids)}


def quoted(reasons: tuple[str, ...]) -> str:
    """The server's words, escaped and cut."""
    said = "; ".join(shown(reason) for reason in reasons[:_SHOWN_REASONS])
    left = len(reasons) - _SHOWN_REASONS
    return f"{said} and {left} more" if left > 0 else said


def _reasons(item: Mapping[str, Any], *, permanent: bool) -> tuple[str, ...]:
    """Only what is called temporary passes by itself."""
    rejections = item.get("rejections")
    found = []
    for one in rejections if isinstance(rejections, list) else ():
        if isinstance(one, dict):
            kind = str(one.get("type") or "permanent").lower()
            if (kind != "temporary") == permanent:
                found.append(str(one.get("reason") or "it does not say why"))
    return tuple(found)


def _paths(body: Any) -> set[str]:
    if not isinstance(body, dict):
        return set()
    files = body.get("files")
    entries = [body, *(files if isinstance(files, list) else ())]
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict)]
    return {path for path in paths if isinstance(path, str)}


def _id_in(thing: Any) -> Any:
    return thing.get("id") if isinstance(thing, dict) else None
