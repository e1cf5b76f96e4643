"""What `status`, `why` and the commands that steer do: the running jack does it, or else this
process on the database alone. Which of the two, the lock of the state folder decides.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from jack.config import Config
from jack.control.offline import steer_offline
from jack.control.running import Daemon
from jack.downloads.view import DownloadsView
from jack.errors import UserError
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.lock import StateLock
from jack.support.clock import Clock


class Commands:
    """The commands of one config. Every error is a UserError of one line."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._state_path = config.jack.state_path
        self._lock = StateLock(self._state_path)

    def view(self, *, everything: bool = False) -> dict[str, Any]:
        """`downloads` (all of them, or those worth a look and how many `more` have ended), `stubs`,
        and `freeBytes` of completedPath's disk."""
        if self._lock.is_held():
            found = self._daemon.get("downloads" if everything else "overview")
        else:
            with self._offline_view() as view:
                found = view.everything() if everything else view.overview()
        return {**found, "freeBytes": self._free_bytes()}

    def record(self, download_id: int) -> dict[str, Any]:
        """The JSON object of one download."""
        if self._lock.is_held():
            return dict(self._daemon.get(f"downloads/{download_id}"))
        with self._offline_view() as view:
            record = view.one(download_id)
        if record is None:
            raise UserError(f"there is no download {download_id}; `jack status --all` lists them")
        return record

    def steer(self, download_id: int, action: str, *, files: bool = False) -> dict[str, Any]:
        """Do it, and return what the download says then, or last said when it is removed."""
        if self._lock.is_held():
            path = f"downloads/{download_id}/{action}"
            return dict(self._daemon.post(path, {"files": files}))
        before = self.record(download_id)
        with self._offline() as database:
            steer_offline(download_id, action, self._config, database, self._clock, files=files)
        return before if action == "remove" else self.record(download_id)

    def steer_all(self, action: str) -> int:
        """Pause or resume everything that is live; how many there were."""
        if self._lock.is_held():
            return int(self._daemon.post(f"downloads/all/{action}")["count"])
        with self._offline() as database:
            live = [row.id for row in Downloads(database, self._clock).live()]
            for download_id in live:
                steer_offline(download_id, action, self._config, database, self._clock)
        return len(live)

    @contextlib.contextmanager
    def _offline(self) -> Iterator[Database]:
        """The database for changes while no jack runs, and none can start."""
        self._lock.acquire()
        try:
            with Database.existing(self._state_path) as database:
                if database is None:
                    raise UserError("there are no downloads yet")
                yield database
        finally:
            self._lock.release()

    @property
    def _daemon(self) -> Daemon:
        return Daemon(self._state_path, self._clock)

    @contextlib.contextmanager
    def _offline_view(self) -> Iterator[DownloadsView]:
        with Database.existing(self._state_path) as database:
            downloads = None if database is None else Downloads(database, self._clock)
            yield DownloadsView(database, downloads, self._clock)

    def _free_bytes(self) -> int | None:
        if self._config.downloads is None:
            return None
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self._config.downloads.completed_path).free
        return None
