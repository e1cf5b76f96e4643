"""What a fake Radarr or Sonarr remembers: its records, in the form of the real ones, and those of
everything else that goes on there.

Dates are shown in whole seconds and ordered by more than that; the ids are in the order of writing,
whatever the clock said. What is null in `data` is sent as null, what is null beside it is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from tests.support.fake_arr_providers import Answer

EVENTS = {
    "radarr": {
        1: "grabbed",
        3: "downloadFolderImported",
        4: "downloadFailed",
        6: "movieFileDeleted",
        8: "movieFileRenamed",
        9: "downloadIgnored",
    },
    "sonarr": {
        1: "grabbed",
        3: "downloadFolderImported",
        4: "downloadFailed",
        5: "episodeFileDeleted",
        6: "episodeFileRenamed",
        7: "downloadIgnored",
    },
}
QUALITIES = {
    "radarr": {"id": 3, "name": "WEBDL-1080p", "source": "webdl", "resolution": 1080}
    | {"modifier": "none"},
    "sonarr": {"id": 3, "name": "WEBDL-1080p", "source": "web", "resolution": 1080},
}
IDS = ("movieId", "episodeId", "seriesId")
"""What a record is of."""
REVISION = {"version": 1, "real": 0, "isRepack": False}
LANGUAGES = [{"id": 1, "name": "English"}]
SINCE_FORM = "%Y-%m-%dT%H:%M:%SZ"
_AT = "at"
"""In a record that is kept, not in one that is shown: the date with its fraction."""


def quality_of(kind: str) -> dict[str, Any]:
    """What both programs read from "1080p WEB-DL"."""
    return {"quality": QUALITIES[kind], "revision": REVISION}


def deleted(kind: str) -> str:
    return "movieFileDeleted" if kind == "radarr" else "episodeFileDeleted"


def renamed(kind: str) -> str:
    return "movieFileRenamed" if kind == "radarr" else "episodeFileRenamed"


def new_record(
    kind: str,
    number: int,
    when: datetime,
    event: str,
    title: str,
    data: Mapping[str, str | None],
    ids: Mapping[str, int],
    download_id: str | None = None,
) -> dict[str, Any]:
    """One record as it is kept."""
    entry: dict[str, Any] = {
        **ids,
        "sourceTitle": title,
        "languages": LANGUAGES,
        "quality": quality_of(kind),
        "customFormats": [],
        "customFormatScore": 0,
        "qualityCutoffNotMet": False,
        "date": when.strftime(SINCE_FORM),
        "eventType": event,
        "data": dict(data),
        "id": number,
        _AT: when.timestamp(),
    }
    return entry if download_id is None else {**entry, "downloadId": download_id}


def grabbed_data(kind: str, guid: str, info_hash: str | None, title: str) -> dict[str, str | None]:
    """`info_hash` None: of an *arr that did not keep it."""
    data: dict[str, str | None] = {
        "indexer": "Jack",
        "nzbInfoUrl": None,
        "releaseGroup": None,
        "age": "0",
        "ageHours": "0.38",
        "ageMinutes": "23.3",
        "publishedDate": "2026-11-28T00:40:08Z",
        "downloadClient": "Torrent Blackhole",
        "downloadClientName": "Jack",
        "size": "12777762",
        "downloadUrl": f"http://127.0.0.1:5225/torznab/download/{title}.torrent?apikey=x",
        "guid": guid,
        **(
            {"tmdbId": "0", "imdbId": "0"}
            if kind == "radarr"
            else {"tvdbId": "0", "tvRageId": "0", "imdbId": None}
        ),
        "protocol": "2",
        "customFormatScore": "0",
        ("movieMatchType" if kind == "radarr" else "seriesMatchType"): "Title",
        "releaseSource": "Rss",
        "indexerFlags": "G_Freeleech, G_Internal" if kind == "radarr" else "Freeleech, Internal",
        **({"indexerId": "1"} if kind == "radarr" else {"releaseType": "SingleEpisode"}),
    }
    return data if info_hash is None else {**data, "torrentInfoHash": info_hash.upper()}


def imported_data(
    kind: str, file_id: int, dropped: str, imported: str, client: tuple[str, str] | None = None
) -> dict[str, str | None]:
    """`client`: its implementation and name, of what a client had in its list."""
    data: dict[str, str | None] = {
        "fileId": str(file_id),
        "droppedPath": dropped,
        "importedPath": imported,
        "downloadClient": client[0] if client else None,
        "downloadClientName": client[1] if client else None,
        "releaseGroup": None,
        "customFormatScore": "0",
        "size": "12777762",
        "indexerFlags": "0",
    }
    return data if kind == "radarr" else {**data, "releaseType": "SingleEpisode"}


def failed_data() -> dict[str, str | None]:
    return {
        "downloadClient": "Torrent Blackhole",
        "downloadClientName": None,
        "message": "Manually marked as failed",
        "releaseGroup": None,
        "size": "12777764",
        "indexer": "Jack",
    }


def deleted_data(kind: str, reason: str) -> dict[str, str | None]:
    data: dict[str, str | None] = {"reason": reason, "releaseGroup": None, "size": "12777762"}
    data["indexerFlags"] = "G_Freeleech, G_Internal" if kind == "radarr" else "Freeleech, Internal"
    return data if kind == "radarr" else {**data, "releaseType": "SingleEpisode"}


def renamed_data(old: str, new: str) -> dict[str, str | None]:
    return {"sourcePath": old, "sourceRelativePath": old, "path": new, "relativePath": new}


Neighbour = tuple[str, str, dict[str, str | None], dict[str, int], str | None]
"""Event, title, data, ids and download id of a record that is none of jack's."""


def neighbours(kind: str, number: int, path: str) -> list[Neighbour]:
    """What else happens there at the same time: a torrent is grabbed and imported, from a file
    called like the one at `path` that lies elsewhere; one whose name differs in case only was in
    the watched folder; a file is replaced by a better one; one is renamed.
    """
    ids = _ids_of(kind, 9000 + number)
    torrent = hashlib.sha1(b"%d" % number).hexdigest().upper()
    folder, _, name = path.rpartition("/")
    elsewhere, other_case = f"/downloads/qb/{name}", f"{folder}/{name.swapcase()}"
    library = f"/library/{number}.mkv"
    qb, us = ("qBittorrent", "QB"), ("Torrent Blackhole", "Jack")
    grab = {**grabbed_data(kind, f"other:{number}", torrent, "Other"), "indexer": "Other"}
    grab |= {"downloadClient": qb[0], "downloadClientName": qb[1]}
    imported = "downloadFolderImported"
    scanned = f"Jack_{name.swapcase()}_63931425660638{number % 10000:04d}"
    return [
        ("grabbed", "Other", grab, ids, torrent),
        (deleted(kind), library, deleted_data(kind, "Upgrade"), ids, None),
        (imported, "Other", imported_data(kind, number, elsewhere, library, qb), ids, torrent),
        (imported, "Case", imported_data(kind, number, other_case, library, us), ids, scanned),
        (renamed(kind), library, renamed_data(library, f"{library}.new.mkv"), ids, None),
    ]


def _ids_of(kind: str, number: int) -> dict[str, int]:
    if kind == "radarr":
        return {"movieId": number}
    return {"episodeId": number, "seriesId": number}


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """As it is sent."""
    return {key: value for key, value in record.items() if key != _AT}


def page(kind: str, history: Sequence[Mapping[str, Any]], query: Mapping[str, list[str]]) -> Answer:
    """`GET history`: kinds of events by their numbers, a page at a time."""
    events = query.get("eventType", [])
    if not all(event.isdigit() for event in events):
        return Answer(400, [{"propertyName": "eventType", "errorMessage": "not a number"}])
    names = {EVENTS[kind].get(int(event)) for event in events}
    found = [record for record in history if not names or record["eventType"] in names]
    found.sort(key=lambda record: float(record[_AT]), reverse=True)
    size, number = int(query.get("pageSize", ["10"])[0]), int(query.get("page", ["1"])[0])
    body: dict[str, Any] = {"page": number, "pageSize": size}
    body |= {"sortKey": "date", "sortDirection": "descending", "totalRecords": len(found)}
    body["records"] = [shown(record) for record in found[(number - 1) * size : number * size]]
    return Answer(200, body)


def since(history: Sequence[Mapping[str, Any]], query: Mapping[str, list[str]]) -> Answer:
    """`GET history/since`: all from a moment on, the oldest first; events by their names."""
    first = datetime.strptime(query["date"][0], SINCE_FORM).replace(tzinfo=timezone.utc)
    names = query.get("eventType", [])
    if any(name.isdigit() for name in names):
        return Answer(400, [{"propertyName": "eventType", "errorMessage": "not a name"}])
    found = [
        record
        for record in history
        if record[_AT] >= first.timestamp() and (not names or record["eventType"] in names)
    ]
    found.sort(key=lambda record: float(record[_AT]))
    return Answer(200, [shown(record) for record in found])
