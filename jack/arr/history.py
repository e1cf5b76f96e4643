"""What the history of a Radarr or Sonarr says: what a stub was grabbed for, what was imported.

The history is the only thing believed: a command's result is forgotten after minutes, and a manual
import that failed inside still ends as successful.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from jack.arr.api import ArrApi
from jack.arr.paths import untranslate
from jack.errors import ProtocolError
from jack.support.http import Wire

GRABBED, IMPORTED, FAILED = 1, 3, 4
"""`eventType` in /api/v3/history: integers there, the same in both programs."""
PAGE_RECORDS = 100
MAX_PAGES = 10
ONE_GRAB = timedelta(minutes=10)
"""Records of one grab (an episode each) are written together; older ones are of another grab."""
_INFO_HASH = re.compile(r"[0-9A-Fa-f]{40}")
_ONE_IMPORT = ("droppedpath", "importedpath", "fileid")
"""What the records of one import, one for each episode in the file, have in common."""
_OUR_GUID = re.compile(r"[0-9a-f]{8}:")
"""What the guids of jack's indexer begin with: the id of the friend."""
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Grab:
    """What an *arr grabbed a stub for. `record_ids`: its `grabbed` records, newest first."""

    record_ids: tuple[int, ...]
    movie_id: int | None = None
    series_id: int | None = None
    episode_ids: tuple[int, ...] = ()

    @property
    def names_something(self) -> bool:
        """Whether the file can be imported by these ids."""
        return self.movie_id is not None or (self.series_id is not None and bool(self.episode_ids))


@dataclass(frozen=True)
class _Record:
    id: int
    date: datetime
    title: str
    data: Mapping[str, str]
    movie_id: int | None
    series_id: int | None
    episode_id: int | None
    download_id: str
    """The download client's name for it, an info hash; "" for a file found in a watched folder."""

    @property
    def is_of(self) -> tuple[object, ...]:
        """What it is about: the film or episode, and the release."""
        return (self.movie_id, self.series_id, self.episode_id, self.title)


@dataclass(frozen=True)
class Proof:
    """The records of one import: one for a film, one an episode for a file of several."""

    record_ids: tuple[int, ...]
    library: Path | None
    """Where the file is in the library, in jack's view; None when the record does not say."""


class History:
    """Questions to one server's history. Each raises what `ArrApi` raises; NotThere when the
    server has no history at all.
    """

    def __init__(self, api: ArrApi) -> None:
        self._api = api
        self.highest = 0
        """The highest id in the answer to the last question."""

    def look(self, wire: Wire, known: int = 0) -> int:
        """The highest id there is now, 0 for none. Records come by their dates, and clocks jump: an
        id as high as the `known` one is looked for on further pages before it is taken for gone.
        """
        for _ in self._records(None, wire):
            if self.highest >= known:  # of the whole page
                break
        return self.highest

    def grab(self, info_hash: str | None, guid: str | None, wire: Wire) -> Grab | None:
        """The newest grab of the stub with that info hash (either case) or guid.

        A stub parsed as several episodes has a record for each.
        """
        return self._newest_grab(lambda record: _is_of(record, info_hash, guid), wire)

    def grab_to_report(self, info_hash: str | None, guid: str, wire: Wire) -> Grab | None:
        """The newest grab of this very stub: never one of another friend's copy, whose stub by an
        older jack has the same info hash.
        """
        return self._newest_grab(lambda record: _is_very(record, info_hash, guid), wire)

    def _newest_grab(self, is_it: Callable[[_Record], bool], wire: Wire) -> Grab | None:
        newest: _Record | None = None
        found: list[_Record] = []
        for record in self._records(GRABBED, wire):
            if newest is not None and newest.date - record.date > ONE_GRAB:
                break
            if is_it(record) and (newest is None or newest.series_id == record.series_id):
                newest = newest or record
                found.append(record)
        return None if newest is None else self._grab_of(newest, found)

    def imports(self, arr_path: str, info_hash: str | None, after: int, wire: Wire) -> list[Proof]:
        """The imports with an id above `after` that name the file at `arr_path` (as the *arr sees
        it) or the grab of that info hash; the oldest first. An import that had begun to be written
        down before is none of them.

        Dates are not looked at: the clock of that machine may be any other than ours, and jump.
        """
        found: dict[tuple[str | None, ...], list[_Record]] = {}
        for record in self._records(IMPORTED, wire, after):
            can_be_told_apart = record.id > after or "fileid" in record.data
            if can_be_told_apart and self._names(record, arr_path, info_hash):
                one_import = tuple(record.data.get(name) for name in _ONE_IMPORT)
                found.setdefault(one_import, []).append(record)
        newer = [group for group in found.values() if min(each.id for each in group) > after]
        groups = sorted(newer, key=lambda records: min(each.id for each in records))
        return [
            Proof(tuple(sorted(each.id for each in group)), self._in_library(group[0]))
            for group in groups
        ]

    def _in_library(self, record: _Record) -> Path | None:
        path = record.data.get("importedpath")
        return Path(untranslate(path, self._api.server.path_map)) if path else None

    def _names(self, record: _Record, arr_path: str, info_hash: str | None) -> bool:
        """Whether the import is of this grab or, where the record names none, of this path. One
        that names another torrent is another download's, whatever the path.
        """
        for its in (record.download_id, record.data.get("torrentinfohash", "")):
            if _INFO_HASH.fullmatch(its):
                return info_hash is not None and its.lower() == info_hash.lower()
        dropped, path_map = record.data.get("droppedpath", ""), self._api.server.path_map
        if _same_path(dropped, arr_path):
            return True
        return untranslate(dropped, path_map) == untranslate(arr_path, path_map)

    def has_failed(self, record_id: int, wire: Wire) -> bool:
        """Whether that grab was called failed since: by us, whose request it may have taken though
        its answer did not arrive, or by a person. Also true of a grab that it has forgotten.
        """
        grabs = (record for record in self._records(GRABBED, wire) if record.id == record_id)
        grab = next(grabs, None)
        failures = self._records(FAILED, wire, record_id)
        return grab is None or any(
            record.id > record_id and record.is_of == grab.is_of for record in failures
        )

    def report_failed(self, record_id: int, wire: Wire) -> None:
        """Tell that the grab of this record came to nothing; the *arr then looks for another.

        Raises NotThere when it does not know the record any more.
        """
        self._api.call("POST", f"history/failed/{record_id:d}", wire, what="failure report")

    def _grab_of(self, newest: _Record, found: list[_Record]) -> Grab:
        records = found if self._api.server.kind == "sonarr" else [newest]
        episodes = dict.fromkeys(r.episode_id for r in records if r.episode_id is not None)
        return Grab(
            tuple(record.id for record in records),
            newest.movie_id,
            newest.series_id,
            tuple(sorted(episodes)),
        )

    def _records(self, event: int | None, wire: Wire, after: int = 0) -> Iterator[_Record]:
        """Records of one kind, newest first, page by page as they are needed: all with an id above
        `after`, and some below. Behind a whole page of lower ids there are no higher ones.
        """
        self.highest = 0
        for page in range(1, MAX_PAGES + 1):
            count, records = self._page(page, event, wire)
            yield from records
            if count < PAGE_RECORDS or all(record.id <= after for record in records):
                return

    def _page(self, page: int, event: int | None, wire: Wire) -> tuple[int, list[_Record]]:
        """How many records the page has, and those that make sense."""
        query = {
            "page": str(page),
            "pageSize": str(PAGE_RECORDS),
            "sortKey": "date",
            "sortDirection": "descending",
        }
        if event is not None:
            query["eventType"] = str(event)
        answer = self._api.get("history", wire, query, what="import")
        records = answer.get("records") if isinstance(answer, dict) else None
        if not isinstance(records, list):
            raise ProtocolError(
                f"{self._api.server.name} answered a look at its history with something else;"
                f" check that its url leads to {self._api.product}"
            )
        found = [record for record in map(_record, records) if record is not None]
        self.highest = max([self.highest, *(record.id for record in found)])
        return len(records), found


def _record(entry: Any) -> _Record | None:
    """None for what is not a record with an id and a date: another version may add such."""
    if not isinstance(entry, dict):
        return None
    number, date, data = _id(entry.get("id")), _moment(entry.get("date")), entry.get("data")
    if number is None or date is None:
        return None
    words = data.items() if isinstance(data, dict) else ()
    return _Record(
        number,
        date,
        title if isinstance(title := entry.get("sourceTitle"), str) else "",
        {str(key).lower(): value for key, value in words if isinstance(value, str)},
        _id(entry.get("movieId")),
        _id(entry.get("seriesId")),
        _id(entry.get("episodeId")),
        download_id if isinstance(download_id := entry.get("downloadId"), str) else "",
    )


def _is_of(record: _Record, info_hash: str | None, guid: str | None) -> bool:
    its_hash = record.data.get("torrentinfohash", "").lower()
    if info_hash and its_hash == info_hash.lower():
        return True
    return bool(guid) and record.data.get("guid") == guid


def _is_very(record: _Record, info_hash: str | None, guid: str) -> bool:
    """Whether what the record says of hash and guid is all of this stub, and one of it is said.

    A guid of another form is another indexer's: then the hash alone has to do.
    """
    its_hash, its_guid = record.data.get("torrentinfohash", ""), record.data.get("guid", "")
    if info_hash and its_hash and its_hash.lower() != info_hash.lower():
        return False
    if _OUR_GUID.match(its_guid):
        return its_guid == guid
    return bool(info_hash and its_hash)


def _same_path(one: str, other: str) -> bool:
    """Windows takes either case and either slash; its paths are the ones with backslashes here."""
    if "\\" not in other:
        return one == other
    return one.replace("/", "\\").casefold() == other.casefold()


def _id(value: Any) -> int | None:
    """Not isinstance: `true` would pass as the integer 1. 0 is C#'s "none"."""
    return value if type(value) is int and 0 < value < 2**63 else None


def _moment(value: Any) -> datetime | None:
    """.NET writes up to seven digits of a second, more than datetime takes."""
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(
            f"{whole}.{micros}{'+00:00' if zone in {None, 'Z'} else zone}"
        )
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
