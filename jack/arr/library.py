"""The library of one Radarr or Sonarr as a source of releases: what it has, and what changed.

There is no call for "all episodes with files" (Sonarr issue 2208): a whole pass asks series by
series, one after the other. So it is made rarely, and `/history/since` tells the changes between.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from jack.arr.api import ArrServer
from jack.arr.lists import ListReader
from jack.arr.media import LibraryFile, episode_file, movie_file, whole_number
from jack.arr.paths import untranslate
from jack.errors import PeerRefused, PeerUnreachable, ProtocolError, TransientError
from jack.support.http import Wire
from jack.support.waits import LOOK_UP_SECONDS, SYNC_SECONDS

MAX_ROOTS = 1000
"""Every file that is served is looked for in all of them."""
LONGEST_REST_SECONDS = 2.0
MAX_UNREADABLE_IN_A_ROW = 3
_NOT_OUR_BUSINESS = frozenset({"grabbed", "downloadFailed", "downloadIgnored"})
"""History events that change no file; all others count, also those a later version may add."""

Wires = Callable[[], Wire]
"""Gives the handle for the next exchange, or raises Interrupted when there shall be none."""


@dataclass(frozen=True)
class Owned:
    """All files of one movie or series; `files` is None when they could not be read this time."""

    owner: int
    files: tuple[LibraryFile, ...] | None


OwnedOnes = Generator[Owned, None, None]


@dataclass(frozen=True)
class HistoryPlace:
    """A place in the history: the record's id, and its date in the *arr's own words and clock."""

    id: int = 0
    date: str = "2000-01-01T00:00:00Z"


@dataclass(frozen=True)
class Changes:
    """The movies or series whose files changed, and the mark to ask from the next time."""

    owners: frozenset[int]
    mark: HistoryPlace


class ArrLibrary(ABC):
    """Reads one server. `source_id` is the first part of the release ids. Threads may share it.

    Every call raises TransientError (PeerUnreachable, PeerRefused, ProtocolError included), Refused
    or what the wire was aborted with, like `ArrApi`.
    """

    def __init__(
        self,
        server: ArrServer,
        source_id: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self.source_id = source_id
        self._reader = ListReader(server)
        self._monotonic = monotonic

    @property
    def name(self) -> str:
        return self.server.name

    def close(self) -> None:
        """Give back the connections."""
        self._reader.close()

    def roots(self, wires: Wires) -> tuple[str, ...]:
        """The root folders, as jack sees them."""
        found = []
        for folder in self._reader.items("rootfolder", wires(), longest=MAX_ROOTS):
            path = folder.get("path")
            if isinstance(path, str) and path:
                found.append(self._ours(path))
        return tuple(found)

    def newest_mark(self, wires: Wires) -> HistoryPlace:
        """Where the history ends now."""
        query = {"page": "1", "pageSize": "1", "sortKey": "date", "sortDirection": "descending"}
        page = self._reader.one("history", wires(), query) or {}
        records = page.get("records")
        if not isinstance(records, list):
            raise ProtocolError(f"{self.name}: its history has no records")
        return max(filter(None, map(_mark, records)), key=_mark_id, default=HistoryPlace())

    def changes(self, since: HistoryPlace, wires: Wires) -> Changes:
        """What happened after `since`. Records of the same second come again: their ids tell."""
        owners: set[int] = set()
        newest = since
        for record in self._reader.items("history/since", wires(), {"date": since.date}):
            mark = _mark(record)
            if mark is None or mark.id <= since.id:
                continue
            newest = max(newest, mark, key=_mark_id)
            owner = whole_number(record.get(self._owner_key))
            if owner and record.get("eventType") not in _NOT_OUR_BUSINESS:
                owners.add(owner)
        return Changes(frozenset(owners), newest)

    @abstractmethod
    def everything(self, wires: Wires, rest: Callable[[float], None]) -> OwnedOnes:
        """All movies or series that have files. `rest` is called between requests, with seconds."""

    @abstractmethod
    def owned_by(self, owner: int, wires: Wires) -> Owned:
        """The files of one movie or series now; none when the *arr does not know it any more."""

    @abstractmethod
    def look_up(self, number: int, wires: Wires) -> Owned | None:
        """Find one movie by its tmdb number, or one series by its tvdb number."""

    _owner_key: str

    def _ours(self, path: str) -> str:
        return untranslate(path, self.server.path_map)


class RadarrLibrary(ArrLibrary):
    """Movies with files; the owner is the movie."""

    _owner_key = "movieId"

    def everything(self, wires: Wires, rest: Callable[[float], None]) -> OwnedOnes:
        query = {"excludeLocalCovers": "true"}
        for movie in self._reader.items("movie", wires(), query):
            owned = self._owned(movie)
            if owned and owned.files:
                yield owned

    def owned_by(self, owner: int, wires: Wires) -> Owned:
        movie = self._reader.one(f"movie/{owner:d}", wires())
        return (self._owned(movie) if movie else None) or Owned(owner, ())

    def look_up(self, number: int, wires: Wires) -> Owned | None:
        query = {"tmdbId": str(number), "excludeLocalCovers": "true"}
        found = list(self._reader.items("movie", wires(), query, LOOK_UP_SECONDS))
        return self._owned(found[0]) if found else None

    def _owned(self, movie: Mapping[str, Any]) -> Owned | None:
        owner = whole_number(movie.get("id"))
        if not owner:
            return None
        file = movie_file(movie, self.source_id, self._ours)
        return Owned(owner, (file,) if file else ())


class SonarrLibrary(ArrLibrary):
    """Episodes with files; the owner is the series. A file of several episodes comes with each."""

    _owner_key = "seriesId"

    def everything(self, wires: Wires, rest: Callable[[float], None]) -> OwnedOnes:
        """The list of series is read first and its connection closed: a server drops one that
        waits for minutes.
        """
        series = [_summary(one) for one in self._reader.items("series", wires()) if _has_files(one)]
        unreadable = 0
        for one in series:
            began = self._monotonic()
            try:
                owned = self._owned(one, wires)
            except (PeerUnreachable, PeerRefused):
                raise
            except TransientError:
                unreadable += 1
                if unreadable >= MAX_UNREADABLE_IN_A_ROW:
                    raise
                owner = whole_number(one.get("id"))
                owned = Owned(owner, None) if owner else None
            else:
                unreadable = 0
            if owned:
                yield owned
            # As long as the answers took: the *arr is never more than half busy with us.
            rest(min(self._monotonic() - began, LONGEST_REST_SECONDS))

    def owned_by(self, owner: int, wires: Wires) -> Owned:
        series = self._reader.one(f"series/{owner:d}", wires())
        found = self._owned(series, wires) if series else None
        return found or Owned(owner, ())

    def look_up(self, number: int, wires: Wires) -> Owned | None:
        query = {"tvdbId": str(number)}
        found = list(self._reader.items("series", wires(), query, LOOK_UP_SECONDS))
        return self._owned(found[0], wires, LOOK_UP_SECONDS) if found else None

    def _owned(
        self, series: Mapping[str, Any], wires: Wires, seconds: float = SYNC_SECONDS
    ) -> Owned | None:
        owner = whole_number(series.get("id"))
        if not owner:
            return None
        of_series = {"seriesId": str(owner)}
        files = {
            whole_number(file.get("id")): file
            for file in self._reader.items("episodefile", wires(), of_series, seconds)
        }
        in_file: dict[tuple[int, int | None], list[dict[str, Any]]] = {}
        for episode in self._reader.items("episode", wires(), of_series, seconds):
            number = whole_number(episode.get("episodeFileId"))
            if number and number in files:
                season = whole_number(episode.get("seasonNumber"))
                in_file.setdefault((number, season), []).append(_told(episode))
        found = []
        for (number, _), episodes in in_file.items():
            numbers = (whole_number(episode["episodeNumber"]) for episode in episodes)
            together = tuple(n for n in numbers if n is not None)
            for episode in episodes:
                release = episode_file(
                    series, episode, files[number], self.source_id, self._ours, together
                )
                if release:
                    found.append(release)
        return Owned(owner, tuple(found))


def arr_library(server: ArrServer, source_id: str) -> ArrLibrary:
    """The library of a server of either kind."""
    kinds = {"radarr": RadarrLibrary, "sonarr": SonarrLibrary}
    return kinds[server.kind](server, source_id)


def _summary(series: Mapping[str, Any]) -> dict[str, Any]:
    """What the releases of a series need of it; the rest would be megabytes for a long list."""
    kept = ("id", "title", "seriesType", "tvdbId", "imdbId", "tmdbId")
    return {key: series.get(key) for key in kept}


def _told(episode: Mapping[str, Any]) -> dict[str, Any]:
    """What its release needs of an episode."""
    keys = ("id", "seasonNumber", "episodeNumber", "airDate", "absoluteEpisodeNumber")
    return {key: episode.get(key) for key in keys}


def _has_files(series: Mapping[str, Any]) -> bool:
    statistics = series.get("statistics")
    return not isinstance(statistics, dict) or statistics.get("episodeFileCount") != 0


def _mark(record: object) -> HistoryPlace | None:
    if not isinstance(record, dict):
        return None
    number, date = whole_number(record.get("id")), record.get("date")
    return HistoryPlace(number, date) if number and isinstance(date, str) else None


def _mark_id(mark: HistoryPlace) -> int:
    return mark.id
