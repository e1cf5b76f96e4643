"""Everything we share, in memory: searched, looked up by id, and opened for sending."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jack.errors import JackError, TransientError
from jack.library.shared import OpenFile, Shared, Source, iso_time, open_shared
from jack.model import MOVIES, TV, Release
from jack.support.clock import Clock

log = logging.getLogger(__name__)

FIRST_SCAN_WAIT_SECONDS = 20.0
"""How long a request waits for the very first scan; below the 30 s a peer waits for us."""


@dataclass(frozen=True)
class _Index:
    by_id: Mapping[str, Shared] = field(default_factory=dict)
    made_at_seconds: float = 0.0


class Catalog:
    """The index of all sources, refreshed by whoever asks when it is older than `rescan_seconds`.

    At most one scan runs at a time; meanwhile the others go on with the old index. Thread-safe.
    """

    def __init__(
        self, sources: Sequence[Source], clock: Clock, rescan_seconds: float = 60.0
    ) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._rescan_seconds = rescan_seconds
        self._changed = threading.Condition()
        self._index: _Index | None = None
        self._is_scanning = False

    def search(
        self,
        imdb_id: str | None = None,
        tmdb_id: str | None = None,
        tvdb_id: str | None = None,
        season: int | None = None,
        episode: int | None = None,
    ) -> list[Release]:
        """Releases that match the first id given, in the order tmdb, imdb, tvdb; else all.

        Ids are compared as text, imdb without its `tt`. A tmdb number means a film and a tvdb
        number a series, for each database counts films and series apart; season and episode
        narrow a series.
        Raises TransientError while the very first scan takes too long.
        """
        wanted = _matcher(imdb_id, tmdb_id, tvdb_id, season, episode)
        releases = (shared.release for shared in self._fresh().by_id.values())
        return [release for release in releases if wanted(release)]

    def get(self, item_id: str) -> Release | None:
        """The release with the size and date its file has right now; None when there is no file."""
        shared = self._find(item_id)
        opened = open_shared(shared) if shared else None
        if shared is None or opened is None:
            return None
        opened.close()
        date = iso_time(opened.modified.timestamp())
        return replace(shared.release, size=opened.size, publish_date=date)

    def open(self, item_id: str) -> OpenFile | None:
        """The file behind a release, opened and checked now; the caller closes it."""
        shared = self._find(item_id)
        return open_shared(shared) if shared else None

    def _find(self, item_id: str) -> Shared | None:
        """A known id needs no scan: its file is looked at anyway."""
        with self._changed:
            known = self._index.by_id.get(item_id) if self._index else None
        return known or self._fresh().by_id.get(item_id)

    def _fresh(self) -> _Index:
        with self._changed:
            if self._index and (self._is_scanning or not self._is_stale(self._index)):
                return self._index
            if self._is_scanning:
                return self._first_index()
            self._is_scanning = True
        index: _Index | None = None
        try:
            index = self._scan()
        finally:
            with self._changed:
                self._is_scanning = False
                self._index = index or self._index
                self._changed.notify_all()
        return index

    def _is_stale(self, index: _Index) -> bool:
        return self._clock.monotonic() - index.made_at_seconds >= self._rescan_seconds

    def _first_index(self) -> _Index:
        """Wait, with the lock held, for the scan another thread has begun."""
        self._changed.wait_for(lambda: not self._is_scanning, FIRST_SCAN_WAIT_SECONDS)
        if self._index is None:
            raise TransientError("the library is still being read", FIRST_SCAN_WAIT_SECONDS)
        return self._index

    def _scan(self) -> _Index:
        by_id: dict[str, Shared] = {}
        for source in self._sources:
            try:
                by_id.update((shared.release.id, shared) for shared in source.scan())
            except (OSError, JackError) as error:
                log.warning("%s shares nothing for now: %s", source.name, error)
        return _Index(by_id, self._clock.monotonic())


def _matcher(
    imdb_id: str | None,
    tmdb_id: str | None,
    tvdb_id: str | None,
    season: int | None,
    episode: int | None,
) -> Callable[[Release], bool]:
    if tmdb_id:
        return lambda release: release.category == MOVIES and _is_id(release.tmdb_id, tmdb_id)
    if imdb_id:
        return lambda release: _bare_imdb(release.imdb_id) == _bare_imdb(imdb_id)
    if tvdb_id:
        return lambda release: (
            release.category == TV
            and _is_id(release.tvdb_id, tvdb_id)
            and season in {None, release.season}
            and episode in {None, release.episode}
        )
    return lambda release: True


def _is_id(number: int | None, text: str) -> bool:
    return number is not None and str(number) == text


def _bare_imdb(imdb_id: str | None) -> str | None:
    return imdb_id.lower().removeprefix("tt") if imdb_id else None
