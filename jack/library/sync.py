"""Keeps the rows of one Radarr or Sonarr fresh, in a thread of its own.

A whole pass once a day, its history every few minutes in between, and single movies or series
when somebody asks for one that is not known.
"""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from jack.arr.library import ArrLibrary, HistoryPlace, Owned
from jack.errors import Interrupted, JackError
from jack.library.asking import Rationed, Wires
from jack.library.release_rows import row_of
from jack.store.releases import ReleaseRow, Releases, SourceState
from jack.support import waits
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.once import Once
from jack.support.pauses import Pauses

log = logging.getLogger(__name__)

MAX_DOUBTS = 1000
MAX_FILES = 1_000_000
"""Of one server; each is a row of the database."""


@dataclass(frozen=True)
class SyncSettings:
    """How often an *arr is asked. All in seconds."""

    full_seconds: float = waits.LIBRARY_PASS_SECONDS
    poll_seconds: float = waits.LIBRARY_POLL_SECONDS
    retry_pauses: Pauses = waits.LIBRARY_PAUSES
    ask_again_seconds: float = waits.LOOK_UP_AGAIN_SECONDS
    ask_gap_seconds: float = waits.LOOK_UP_GAP_SECONDS


class ServerSync:
    """One server. `roots` tells the shared folders of all sources, as jack sees them."""

    def __init__(
        self,
        library: ArrLibrary,
        releases: Releases,
        clock: Clock,
        roots: Callable[[], Sequence[str]],
        settings: SyncSettings | None = None,
    ) -> None:
        self.connector_id = library.source_id
        self._library = library
        self._releases = releases
        self._clock = clock
        self._roots = roots
        self._settings = settings or SyncSettings()
        self._kind = library.server.kind
        self._wires = Wires()
        self._asking_wires = Wires()
        self._asking = threading.Lock()
        self._asked = Rationed(clock, self._settings.ask_again_seconds)
        self._doubted = Rationed(clock, self._settings.ask_again_seconds)
        self._doubts: set[int] = set()
        self._next_ask_at_seconds = clock.monotonic()
        self._failures = 0
        self._said = Once()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self._library.name

    # -- the thread ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow the server. Call it once; it never waits for the server."""
        self._thread = threading.Thread(target=self._run, name=f"library-{self.connector_id}")
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End the exchange under way and the thread; False when it still hangs."""
        self._stopping.set()
        self._wires.stop()
        self._asking_wires.stop()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
        self._library.close()
        return True

    def _run(self) -> None:
        due_seconds = self._clock.monotonic()
        while True:
            self._wake.clear()  # first: who sets it has changed before what is looked at below
            if self._stopping.is_set():
                return
            wait_seconds = due_seconds - self._clock.monotonic()
            if wait_seconds <= 0:
                due_seconds = self._clock.monotonic() + self.step()
            elif self._doubts:
                self.settle_doubts()
            else:
                self._wake.wait(wait_seconds)

    # -- the work --------------------------------------------------------------------------------

    def step(self) -> float:
        """Bring the rows up to date; returns the seconds until the next step. Never raises."""
        try:
            self._update()
        except Interrupted:
            return 0.0
        except JackError as error:
            level = logging.WARNING if self._said.first(str(error)) else logging.DEBUG
            log.log(level, "%s; what is known of its library stays shared", error)
            return self._failed()
        except Exception:
            log.exception("%s: its library could not be read because of a bug in jack", self.name)
            return self._failed()
        self._failures = 0
        self._said.over()
        return self._settings.poll_seconds

    def settle_doubts(self) -> None:
        """Look again at the movies and series whose files were not as expected."""
        while self._doubts:
            owner = self._doubts.pop()
            try:
                self._refresh((owner,))
            except Interrupted:
                return
            except JackError as error:
                log.debug("%s: %s; the next pass will tell", self.name, error)

    def _update(self) -> None:
        state = self._releases.state(self.connector_id)
        roots = self._library.roots(self._wires)
        # Other roots mean another pathMap, too: then no path of the rows is right any more.
        if roots != state.roots or self._is_full_pass_due(state):
            self._read_everything(roots)
            return
        mark = HistoryPlace(state.history_id or 0, state.history_date or HistoryPlace.date)
        changes = self._library.changes(mark, self._wires)
        self._refresh(sorted(changes.owners))
        if changes.mark != mark:
            self._releases.set_history(self.connector_id, changes.mark.id, changes.mark.date)

    def _is_full_pass_due(self, state: SourceState) -> bool:
        if state.synced_at is None or state.history_date is None:
            return True
        age = self._clock.now() - state.synced_at
        return not timedelta(0) <= age < timedelta(seconds=self._settings.full_seconds)

    def _read_everything(self, roots: Sequence[str]) -> None:
        started_at = self._clock.now()
        # Asked for first: what changes during the pass is then seen again rather than missed.
        mark = self._library.newest_mark(self._wires)
        self._releases.set_roots(self.connector_id, roots)
        self._warn_of_unseen(roots)
        shared = self._roots()
        count = unreadable = 0
        with (
            self._releases.sweep(self.connector_id, started_at) as sweep,
            contextlib.closing(self._library.everything(self._wires, self._rest)) as everything,
        ):
            for owned in everything:
                if owned.files is None:
                    unreadable += 1
                    sweep.keep_owner(owned.owner)
                rows = self._rows(owned, shared)
                if count + len(rows) > MAX_FILES:
                    log.warning("%s: only the first %d files are shared", self.name, count)
                    break
                count += len(rows)
                for row in rows:
                    sweep.put(row)
            removed = sweep.finish()
        self._releases.set_history(self.connector_id, mark.id, mark.date)
        log.info("%s: %d releases are shared, %d went away", self.name, count, removed)
        if unreadable:
            log.warning("%s could not show %d of its series", self.name, unreadable)

    def _refresh(self, owners: Iterable[int]) -> None:
        for owner in owners:
            began = self._clock.monotonic()
            self._store(self._library.owned_by(owner, self._wires))
            self._rest(min(self._clock.monotonic() - began, 1.0))

    def _store(self, owned: Owned) -> None:
        if owned.files is not None:
            rows = self._rows(owned, self._roots())
            self._releases.replace_owner(self.connector_id, owned.owner, rows)

    def _rows(self, owned: Owned, roots: Sequence[str]) -> list[ReleaseRow]:
        """What could not be served is not offered either: see `is_beneath`."""
        return [
            row_of(file.release, file.path, owned.owner)
            for file in owned.files or ()
            if is_beneath(file.path, roots)
        ]

    def _rest(self, seconds: float) -> None:
        """Between two requests; ends at once when jack stops."""
        if self._stopping.wait(seconds):
            raise Interrupted("jack is stopping")

    def _warn_of_unseen(self, roots: Sequence[str]) -> None:
        unseen = [root for root in roots if not os.path.isdir(root)]
        if unseen:
            log.warning(
                "%s: its root folder %s does not exist here, so nothing in it can be sent;"
                " add a pathMap line to this server: jack's folder, and the same as %s sees it",
                self.name,
                ", ".join(shown(root) for root in unseen),
                self.name,
            )

    def _failed(self) -> float:
        self._failures += 1
        return self._settings.retry_pauses.after(self._failures)

    # -- asked by others -------------------------------------------------------------------------

    def look_up(self, *, tmdb: int | None, tvdb: int | None) -> bool:
        """Ask the server for one movie (tmdb) or series (tvdb); whether it told anything.

        Called by the thread of a search that found nothing. Each number is asked for rarely, one
        at a time, and not while the server is in trouble: a search must not become slow by it.
        """
        number = tmdb if self._kind == "radarr" else tvdb
        if number is None or self._failures or not self._asking.acquire(blocking=False):
            return False
        try:
            return self._may_ask(number) and self._ask(number)
        finally:
            self._asking.release()

    def _may_ask(self, number: int) -> bool:
        now = self._clock.monotonic()
        if now < self._next_ask_at_seconds or not self._asked.allows(number):
            return False
        self._next_ask_at_seconds = now + self._settings.ask_gap_seconds
        return True

    def _ask(self, number: int) -> bool:
        try:
            owned = self._library.look_up(number, self._asking_wires)
            if owned is None:
                return False
            self._store(owned)
        except JackError as error:
            log.debug("%s: %s", self.name, error)
            self._next_ask_at_seconds = self._clock.monotonic() + self._settings.retry_pauses.first
            return False
        return bool(owned.files)

    def doubt(self, owner: int) -> None:
        """Have the thread look at this movie or series again, soon but rarely."""
        if len(self._doubts) < MAX_DOUBTS and self._doubted.allows(owner):
            self._doubts.add(owner)
            self._wake.set()


def is_beneath(path: str, roots: Iterable[str]) -> bool:
    """Whether a path lies below one of the folders, by its name alone: the disk is not asked."""
    tidy = posixpath.normpath(path)
    tops = (posixpath.normpath(root).rstrip("/") + "/" for root in roots)
    return tidy.startswith("/") and any(tidy.startswith(top) for top in tops)
