"""Everything we share: searched, looked up by id, and opened for sending. The index is a table."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from jack.errors import JackError, TransientError
from jack.library.disk_places import DiskPlaces
from jack.library.release_rows import bare_imdb, release_of, row_of
from jack.library.shared import OpenFile, Source, inodes, iso_time, open_shared
from jack.model import MOVIES, TV, Release
from jack.store.releases import ReleaseRow, Releases
from jack.support.clock import Clock
from jack.support.waits import (
    FIRST_SCAN_PATIENCE_SECONDS,
    FIRST_SCAN_WAIT_SECONDS,
    FOLDER_RESCAN_SECONDS,
)

log = logging.getLogger(__name__)

FIRST_SCAN_WAITERS = 4
"""Of the eight threads that answer; another one reads the library."""
_MAX_NUMBER = 2**31
_OTHER_KIND = {"movie": "episode", "episode": "movie"}

Columns = Mapping[str, "str | int"]


class ServerSource(Protocol):
    """A Radarr or Sonarr whose rows somebody else keeps fresh; asked only when a row is missing or
    does not fit the file.
    """

    connector_id: str

    def look_up(self, *, tmdb: int | None, tvdb: int | None) -> bool:
        """Ask for one movie or series, rarely; whether rows may have changed. Never raises."""

    def doubt(self, owner: int) -> None:
        """The file of this movie or series is not what the row says: look again soon."""


class Catalog:
    """The rows of all sources. Folders are rescanned by whoever asks when the last scan is older
    than `rescan_seconds`.

    At most one scan runs at a time; meanwhile the others go on with the old rows. Thread-safe.
    `own_files` are jack's state and config: never opened, whatever name a link gives them.
    What sources that are not named here left in the table is forgotten at once.
    """

    def __init__(
        self,
        releases: Releases,
        clock: Clock,
        folders: Sequence[Source] = (),
        servers: Sequence[ServerSource] = (),
        rescan_seconds: float = FOLDER_RESCAN_SECONDS,
        own_files: Sequence[Path] = (),
    ) -> None:
        self._releases = releases
        self._folders = tuple(folders)
        self._servers = {server.connector_id: server for server in servers}
        self._own_files = tuple(own_files)
        self._clock = clock
        self._rescan_seconds = rescan_seconds
        self._disks = DiskPlaces()
        self._changed = threading.Condition()
        self._waiting_for_scan = 0
        self._scanned_at_seconds: float | None = None
        self._scan_began_seconds = 0.0
        self._is_scanning = False
        self._is_outdated = False
        releases.keep_sources([*(f.connector_id for f in self._folders), *self._servers])

    # -- searching -------------------------------------------------------------------------------

    def each(
        self,
        take: Callable[[str], object],
        *,
        imdb_id: str | None = None,
        tmdb_id: str | None = None,
        tvdb_id: str | None = None,
        season: int | None = None,
        episode: int | None = None,
    ) -> None:
        """Hand over the JSON of all releases that match the first id given, in the order tmdb,
        imdb, tvdb; without an id, of all there are. Newest first.

        Ids are compared as text, imdb without its `tt`. A tmdb number means a film and a tvdb
        number a series, for each database counts films and series apart; season and episode
        narrow a series. A number nobody has is asked of the servers, rarely.
        Raises TransientError while the very first scan takes too long.
        """
        self._refresh()
        if not (tmdb_id or imdb_id or tvdb_id):
            self._releases.each(take)
            return
        columns = _columns(imdb_id, tmdb_id, tvdb_id, season, episode)
        bodies = self._releases.by_ids(**columns) if columns else []
        if columns and not bodies and self._look_up(columns):
            bodies = self._releases.by_ids(**columns)
        for body in bodies:
            take(body)

    def _look_up(self, columns: Columns) -> bool:
        tmdb, tvdb = (int(columns[key]) if key in columns else None for key in ("tmdb", "tvdb"))
        if tmdb is None and tvdb is None:
            return False
        return any([server.look_up(tmdb=tmdb, tvdb=tvdb) for server in self._servers.values()])

    # -- one release -----------------------------------------------------------------------------

    def get(self, item_id: str) -> Release | None:
        """The release with the size its file has right now; None when there is no file."""
        found = self._find(item_id)
        opened = self._open(*found) if found else None
        if found is None or opened is None:
            return None
        opened.close()
        # Under the id that was asked for, which may be the one of before (`_find`).
        release = replace(release_of(found[1].body), id=item_id)
        if found[0] in self._servers:
            return replace(release, size=opened.size)
        published = iso_time(opened.modified.timestamp())
        return replace(release, size=opened.size, publish_date=published)

    def open(self, item_id: str) -> OpenFile | None:
        """The file behind a release, opened and checked now; the caller closes it."""
        found = self._find(item_id)
        return self._open(*found) if found else None

    def roots(self) -> list[str]:
        """The folders of all sources; nothing outside of them is served."""
        folders = [str(folder.folder) for folder in self._folders]
        of_servers = [self._releases.state(server).roots for server in self._servers]
        return [*folders, *(root for roots in of_servers for root in roots)]

    def _find(self, item_id: str) -> tuple[str, ReleaseRow] | None:
        """A known id needs no scan: its file is looked at anyway.

        A file that was taken for a film and turned out to be an episode, or the other way round
        (files came and went beside it), has another id since. Downloads that began with the old
        one go on: the rest of the id names the path.
        """
        known = self._known(item_id)
        if known is None:
            self._refresh()
            known = self._known(item_id)
        return known

    def _known(self, item_id: str) -> tuple[str, ReleaseRow] | None:
        known = self._releases.get(item_id)
        source, _, rest = item_id.partition(":")
        kind, _, path = rest.partition(":")
        if known or kind not in _OTHER_KIND or all(f.connector_id != source for f in self._folders):
            return known
        return self._releases.get(f"{source}:{_OTHER_KIND[kind]}:{path}")

    def _open(self, source: str, row: ReleaseRow) -> OpenFile | None:
        roots = self.roots()
        disk = next((root for root in roots if row.path.startswith(root)), "")
        with self._disks.wait_for(disk):
            opened = open_shared(roots, row.path, inodes(self._own_files))
        server = self._servers.get(source)
        if server and (opened is None or opened.size != row.size):
            server.doubt(row.owner)
        return opened

    def look_again(self) -> None:
        """Read the folders now, however lately they were read: more is known of their files."""
        with self._changed:
            self._is_outdated = True
        try:
            self._refresh()
        except JackError as error:
            log.debug("the folders are read again later: %s", error)

    # -- folders ---------------------------------------------------------------------------------

    def _refresh(self) -> None:
        with self._changed:
            if self._is_scanning:
                self._wait_for_the_first_scan()
                return
            if not self._is_stale():
                return
            self._is_scanning = True
            self._scan_began_seconds = self._clock.monotonic()
            self._is_outdated = False
        scanned_at: float | None = None
        try:
            for folder in self._folders:
                self._scan(folder)
            scanned_at = self._clock.monotonic()
        finally:
            with self._changed:
                self._is_scanning = False
                self._scanned_at_seconds = scanned_at or self._scanned_at_seconds
                self._changed.notify_all()

    def _is_stale(self) -> bool:
        if not self._folders:
            return False
        last = self._scanned_at_seconds
        return (
            self._is_outdated
            or last is None
            or self._clock.monotonic() - last >= self._rescan_seconds
        )

    def _wait_for_the_first_scan(self) -> None:
        """Wait, with the lock held, for the scan another thread has begun. A few may do so for
        long, the others only while it is likely to end at any moment.
        """
        if self._scanned_at_seconds is not None:
            return
        is_patient = self._waiting_for_scan < FIRST_SCAN_WAITERS
        end = FIRST_SCAN_WAIT_SECONDS if is_patient else FIRST_SCAN_PATIENCE_SECONDS - self._taken()
        self._waiting_for_scan += is_patient
        self._changed.wait_for(lambda: not self._is_scanning, max(0.0, end))
        self._waiting_for_scan -= is_patient
        if self._scanned_at_seconds is None:
            # What has taken long goes on for long.
            again = min(max(1.0, self._taken()), FIRST_SCAN_WAIT_SECONDS)
            raise TransientError("the library is still being read", again)

    def _taken(self) -> float:
        """Seconds since the scan began."""
        return self._clock.monotonic() - self._scan_began_seconds

    def _scan(self, folder: Source) -> None:
        try:
            with self._releases.sweep(folder.connector_id, self._clock.now()) as sweep:
                for shared in folder.scan():
                    sweep.put(row_of(shared.release, str(shared.root / shared.relative)))
                sweep.finish()
        except (OSError, JackError) as error:
            log.warning("%s cannot be read now, what is known of it stays: %s", folder.name, error)


def _columns(
    imdb_id: str | None,
    tmdb_id: str | None,
    tvdb_id: str | None,
    season: int | None,
    episode: int | None,
) -> dict[str, str | int]:
    """What the rows of a search have in their columns; empty when none can have it."""
    if tmdb_id:
        number = _number(tmdb_id)
        return {"tmdb": number, "category": MOVIES} if number else {}
    if imdb_id:
        imdb = bare_imdb(imdb_id)
        return {"imdb": imdb} if imdb else {}
    number = _number(tvdb_id or "")
    if not number:
        return {}
    narrower = {"season": season, "episode": episode}
    given = {name: value for name, value in narrower.items() if value is not None}
    return {"tvdb": number, "category": TV, **given}


def _number(text: str) -> int | None:
    """`text` as a database's number, written as such numbers are: plain digits, no leading 0."""
    if not (text.isascii() and text.isdecimal()) or text.startswith("0"):
        return None
    number = int(text[:20])
    return number if number <= _MAX_NUMBER else None
