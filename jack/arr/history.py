"""What the history of a Radarr or Sonarr says: what a stub was grabbed for, what was imported.

The history is the only thing believed: a command's result is forgotten after minutes, and a manual
import that failed inside still ends as successful.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from jack.arr.api import ArrApi
from jack.errors import ProtocolError
from jack.support.http import Wire

GRABBED, IMPORTED = 1, 3
"""`eventType` in /api/v3/history: integers there, the same in both programs."""
PAGE_RECORDS = 100
MAX_PAGES = 10
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of the *arr's machine may be behind ours."""
ONE_GRAB = timedelta(minutes=10)
"""Records of one grab (an episode each) are written together; older ones are of another grab."""
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
    data: Mapping[str, str]
    movie_id: int | None
    series_id: int | None
    episode_id: int | None


class History:
    """Questions to one server's history. Each raises what `ArrApi` raises; NotThere when the
    server has no history at all.
    """

    def __init__(self, api: ArrApi) -> None:
        self._api = api

    def grab(self, info_hash: str | None, guid: str | None, wire: Wire) -> Grab | None:
        """The newest grab of the stub with that info hash (either case) or guid.

        A stub parsed as several episodes has a record for each.
        """
        newest: _Record | None = None
        found: list[_Record] = []
        for record in self._records(GRABBED, wire):
            if newest is not None and newest.date - record.date > ONE_GRAB:
                break
            if _is_of(record, info_hash, guid) and (
                newest is None or newest.series_id == record.series_id
            ):
                newest = newest or record
                found.append(record)
        return None if newest is None else self._grab_of(newest, found)

    def has_imported(self, arr_path: str, since: datetime, wire: Wire) -> bool:
        """Whether the file at `arr_path` (as the *arr sees it) was imported after `since`."""
        earliest = since - CLOCK_TOLERANCE
        for record in self._records(IMPORTED, wire):
            if record.date < earliest:
                return False
            if _same_path(record.data.get("droppedpath", ""), arr_path):
                return True
        return False

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

    def _records(self, event: int, wire: Wire) -> Iterator[_Record]:
        """Records of one kind, newest first, page by page as they are needed."""
        for page in range(1, MAX_PAGES + 1):
            query = {
                "page": str(page),
                "pageSize": str(PAGE_RECORDS),
                "sortKey": "date",
                "sortDirection": "descending",
                "eventType": str(event),
            }
            answer = self._api.get("history", wire, query, what="import")
            records = answer.get("records") if isinstance(answer, dict) else None
            if not isinstance(records, list):
                raise ProtocolError(
                    f"{self._api.server.name} answered a look at its history with something else;"
                    f" check that its url leads to {self._api.product}"
                )
            yield from (record for record in map(_record, records) if record is not None)
            if len(records) < PAGE_RECORDS:
                return


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
        {str(key).lower(): value for key, value in words if isinstance(value, str)},
        _id(entry.get("movieId")),
        _id(entry.get("seriesId")),
        _id(entry.get("episodeId")),
    )


def _is_of(record: _Record, info_hash: str | None, guid: str | None) -> bool:
    its_hash = record.data.get("torrentinfohash", "").lower()
    if info_hash and its_hash == info_hash.lower():
        return True
    return bool(guid) and record.data.get("guid") == guid


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
