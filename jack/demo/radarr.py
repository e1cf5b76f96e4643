"""A pretend Radarr for the demo. It is not Radarr: it speaks just enough of the API (version 3) for
jack to register, for one film to be searched and grabbed, and for its import to be proven.

It knows one film, judges nothing, and imports what it is asked to import.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl as pairs_of
from urllib.parse import urlencode, urlsplit

from jack.arr.entries import MASK, fields_of
from jack.blackhole.stub import MAX_STUB_BYTES, info_hash
from jack.demo.radarr_http import Answer, JsonServer
from jack.errors import UserError
from jack.support.http import Wire, new_session, read_capped, send

API = "/api/v3/"
MAX_FEED_BYTES = 1024 * 1024
_MOVIE_ID = 1
_EVENTS = {"1": "grabbed", "3": "downloadFolderImported"}
_IMPORTS = frozenset({"ManualImport", "DownloadedMoviesScan"})
_QUALITY = {
    "quality": {"id": 3, "name": "WEBDL-1080p", "source": "webdl", "resolution": 1080},
    "revision": {"version": 1, "real": 0, "isRepack": False},
}
_NOT_FOUND = 404, {"message": "NotFound"}


@dataclass(frozen=True)
class Movie:
    """The one film it wants. `folder` is its folder's name in the library."""

    folder: str
    tmdb_id: int


class PretendRadarr:
    """Listens on loopback from the start; `close` ends it."""

    def __init__(self, library: Path, movie: Movie) -> None:
        self.key = secrets.token_hex(16)
        self.registered = threading.Event()
        """Set when it has jack's indexer, bound to a download client."""
        self.film: Path | None = None
        """Where in the library the film is, once it is imported."""
        self._folder = library / movie.folder
        self._movie = movie
        self._lock = threading.Lock()
        self._entries: dict[str, list[dict[str, Any]]] = {"downloadclient": [], "indexer": []}
        self._history: list[dict[str, Any]] = []
        self._commands: list[dict[str, Any]] = []
        self._server = JsonServer(self.key, self._answer)
        self.url = self._server.url

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    # -- what a person sees Radarr do --------------------------------------------------------------

    def search_and_grab(self) -> str | None:
        """Ask jack's indexer for the film, and put the stub of the first release into jack's
        folder. The release's title; None when the indexer has none.

        Raises UserError before jack is registered, and what `send` raises.
        """
        indexer, client = self._registration()
        session = new_session({}, None, 1)
        with contextlib.closing(session):
            wanted = {
                "t": "movie",
                "cat": ",".join(map(str, indexer["categories"])),
                "extended": "1",
                "apikey": indexer["apiKey"],
                "offset": "0",
                "limit": "100",
                "tmdbid": str(self._movie.tmdb_id),
            }
            url = f"{indexer['baseUrl']}{indexer['apiPath']}?{urlencode(wanted)}"
            item = _first_item(_body(session, url, MAX_FEED_BYTES))
            if item is None:
                return None
            title, guid, enclosure = item
            stub = _body(session, enclosure, MAX_STUB_BYTES)
        # Written in place and not renamed into it, as Radarr does: jack has to cope with a half.
        (Path(client["torrentFolder"]) / f"{title}.torrent").write_bytes(stub)
        grab = {"torrentInfoHash": info_hash(stub).upper(), "guid": guid, "indexer": "Jack"}
        with self._lock:
            self._record("grabbed", grab)
        return title

    def _registration(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings of jack's indexer, and of the client it is bound to."""
        with self._lock:
            for indexer in self._entries["indexer"]:
                client = self._entry("downloadclient", indexer.get("downloadClientId"))
                if client is not None and indexer.get("enableAutomaticSearch"):
                    return fields_of(indexer), fields_of(client)
        raise UserError("your jack is not registered with the pretend Radarr")

    # -- what jack asks, with the lock held --------------------------------------------------------

    def _answer(self, method: str, target: str, body: Any) -> Answer:
        parts = urlsplit(target)
        query = dict(pairs_of(parts.query))
        kind, _, number = parts.path.removeprefix(API).partition("/")
        with self._lock:
            if kind in self._entries:
                return self._settings(method, kind, number, body)
            return self._activity(method, kind, number, query, body)

    def _settings(self, method: str, kind: str, number: str, body: Any) -> Answer:
        entries = self._entries[kind]
        if (method, number) == ("GET", ""):
            return 200, [_masked(entry) for entry in entries]
        present = self._entry(kind, number)
        if (method, number) == ("POST", ""):
            saved = {**body, "id": len(entries) + 1}
            entries.append(saved)
        elif method == "PUT" and present is not None:
            saved = _kept_key(present, body)
            entries[entries.index(present)] = saved
        else:
            return _NOT_FOUND
        if kind == "indexer" and self._entry("downloadclient", saved.get("downloadClientId")):
            self.registered.set()
        return 201 if method == "POST" else 202, _masked(saved)

    def _activity(
        self, method: str, kind: str, number: str, query: Mapping[str, str], body: Any
    ) -> Answer:
        match method, kind, number:
            case "GET", "system", "status":
                return 200, {"appName": "Radarr", "version": "5.0.0.0", "instanceName": "pretend"}
            case "GET", "history", "":
                return 200, self._page(query)
            case "GET", "manualimport", "":
                return 200, self._dry_run(Path(query["folder"]))
            case "GET", "command", "":
                return 200, self._commands
            case "POST", "command", "":
                return 201, self._run(body)
            case "GET", "command", _:
                found = [one for one in self._commands if str(one["id"]) == number]
                return (200, found[0]) if found else _NOT_FOUND
        return _NOT_FOUND

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Newest first; all of it is on the first page."""
        wanted = _EVENTS.get(query.get("eventType", ""))
        found = [one for one in reversed(self._history) if one["eventType"] == wanted]
        records = found if query.get("page", "1") == "1" else []
        return {"page": 1, "totalRecords": len(found), "records": records}

    def _dry_run(self, path: Path) -> list[dict[str, Any]]:
        if not path.is_file():
            return []
        found = {"id": 1, "path": str(path), "name": path.stem, "size": path.stat().st_size}
        languages = [{"id": 1, "name": "English"}]
        known = {"movie": {"id": _MOVIE_ID}, "quality": _QUALITY, "languages": languages}
        return [{**found, **known, "rejections": []}]

    def _run(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Done at once, for moving a file within a folder takes no time."""
        files = body.get("files") or [body]
        name = body.get("name")
        paths = [Path(one["path"]) for one in files] if name in _IMPORTS else []
        moved = [self._import(path) for path in paths]
        result = "successful" if any(moved) else "unsuccessful"
        command = {"id": len(self._commands) + 1, "name": name, "body": body}
        self._commands.append({**command, "status": "completed", "result": result})
        return self._commands[-1]

    def _import(self, path: Path) -> bool:
        target = self._folder / path.name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        except OSError:
            return False
        self.film = target
        self._record(_EVENTS["3"], {"droppedPath": str(path), "importedPath": str(target)})
        return True

    def _record(self, event: str, data: Mapping[str, str]) -> None:
        date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        entry = {"id": len(self._history) + 1, "movieId": _MOVIE_ID, "date": date}
        self._history.append({**entry, "eventType": event, "data": data})

    def _entry(self, kind: str, number: object) -> dict[str, Any] | None:
        return next((one for one in self._entries[kind] if str(one["id"]) == str(number)), None)


def _body(session: Any, url: str, max_bytes: int) -> bytes:
    wire = Wire()
    response = send(session, "GET", url, who="your jack", wire=wire)
    with contextlib.closing(response):
        if response.status_code != 200:
            raise UserError(f"your jack's indexer answered with {response.status_code}")
        return read_capped(response, max_bytes, who="your jack", wire=wire)


def _first_item(feed: bytes) -> tuple[str, str, str] | None:
    """Title, guid and the stub's address of the first release of a feed."""
    item = ElementTree.fromstring(feed).find("channel/item")  # noqa: S314  (our own jack's)
    enclosure = None if item is None else item.find("enclosure")
    if item is None or enclosure is None:
        return None
    return item.findtext("title", ""), item.findtext("guid", ""), enclosure.get("url", "")


def _masked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """As it is shown: a stored key never is."""
    fields = [
        {**field, "value": MASK} if field["name"] == "apiKey" else field
        for field in entry["fields"]
    ]
    return {**entry, "fields": fields}


def _kept_key(present: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """The update; a mask in it stands for the stored value."""
    stored = fields_of(present)
    fields = [
        {**field, "value": stored[field["name"]]} if field.get("value") == MASK else field
        for field in update["fields"]
    ]
    return {**update, "fields": fields}
