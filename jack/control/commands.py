"""What `status`, `why`, `retry` and `cancel` do: the running jack does it, or else this process on
the database alone. Which of the two, the lock of the state folder decides.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from jack.config import Config
from jack.control.offline import steer_offline
from jack.control.running import Daemon, is_running
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

    def view(self, *, everything: bool = False) -> dict[str, Any]:
        """`downloads` (all of them, or those worth a look and how many `more` have ended), `stubs`,
        and `freeBytes` of completedPath's disk."""
        if is_running(self._state_path):
            found = self._daemon.get("downloads" if everything else "overview")
        else:
            with self._offline_view() as view:
                found = view.everything() if everything else view.overview()
        return {**found, "freeBytes": self._free_bytes()}

    def record(self, download_id: int) -> dict[str, Any]:
        """The JSON object of one download."""
        if is_running(self._state_path):
            return dict(self._daemon.get(f"downloads/{download_id}"))
        with self._offline_view() as view:
            record = view.one(download_id)
        if record is None:
            raise UserError(f"there is no download {download_id}; `jack status --all` lists them")
        return record

    def steer(self, download_id: int, action: str) -> dict[str, Any]:
        """Do it ("retry", "cancel"), and return what the download says then."""
        self.record(download_id)
        lock = StateLock(self._state_path)
        if is_running(self._state_path):
            return dict(self._daemon.post(f"downloads/{download_id}/{action}"))
        lock.acquire()
        try:
            with Database.existing(self._state_path) as database:
                if database is not None:
                    steer_offline(download_id, action, self._config, database, self._clock)
        finally:
            lock.release()
        return self.record(download_id)

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
