"""What a person may do with a download, and why not when not. `Steering` does it in a running jack,
`jack.control.offline` where none runs.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from jack.downloads.absent_disks import AbsentDisks
from jack.downloads.held import HeldDownloads
from jack.downloads.naming import Naming, may_share_a_name
from jack.downloads.parts import Parts
from jack.downloads.slots import Slots
from jack.errors import UserError
from jack.model import FINISHED, Download, DownloadStatus
from jack.store.downloads import Downloads
from jack.support.waits import CANCEL_SECONDS

log = logging.getLogger(__name__)


CANCELLED_BY_USER = "cancelled by the user"


def objection(action: str, download: Download, downloads: Downloads) -> str | None:
    """Why `action` ("retry", "cancel") cannot be done now, as a sentence; None when it can."""
    return _to_cancel(download) if action == "cancel" else _to_retry(download, downloads)


def _to_retry(download: Download, downloads: Downloads) -> str | None:
    if download.status is DownloadStatus.IMPORTED:
        return f"download {download.id} is complete already: {download.dest_path}"
    if download.status is DownloadStatus.DOWNLOADING:
        return f"download {download.id} is running already"
    other = downloads.live_at(download.dest_path, but=download.id)
    if other is not None and not may_share_a_name(download, other):
        return f"download {other.id} is writing the same file; cancel that one first"
    return None


def _to_cancel(download: Download) -> str | None:
    if download.status in FINISHED:
        return f"download {download.id} is complete already: {download.dest_path}"
    if download.status is DownloadStatus.CANCELLED:
        return f"download {download.id} is cancelled already"
    return None


class Starter(Protocol):
    """Who starts downloads and is told of those that have ended."""

    def dispatch_id(self, download_id: int) -> None: ...

    def settled(self, download: Download) -> None: ...


class Steering:
    """One order after the other; each is done when the call returns."""

    def __init__(
        self,
        parts: Parts,
        slots: Slots,
        disks: AbsentDisks,
        held: HeldDownloads,
        starter: Starter,
    ) -> None:
        self._p = parts
        self._slots = slots
        self._disks = disks
        self._held = held
        self._starter = starter
        self._one_at_a_time = threading.Lock()
        self._lock = threading.Lock()
        self._cancelling: dict[int, threading.Event] = {}
        """Running downloads that are to be cancelled; the event is set when that is recorded."""

    def ended(self, download_id: int) -> bool:
        """A transfer was told to end and has. Whether that was a cancel, which is recorded then."""
        with self._lock:
            ended = self._cancelling.get(download_id)
        if ended is None:
            return False
        try:
            self._cancel_now(download_id)
        finally:
            ended.set()
        return True

    def steer(self, download_id: int, action: str) -> None:
        """Do `action` ("retry" or "cancel") and return when it is done. Raises UserError when the
        download is not in a state for it.
        """
        with self._one_at_a_time:  # one after the other: `jack cancel 1 && jack retry 1`
            download = self._p.downloads.get(download_id)
            if download is None:
                return
            if problem := objection(action, download, self._p.downloads):
                raise UserError(problem)
            if action == "cancel":
                self._cancel(download)
            else:
                self._retry(download)

    def _cancel(self, download: Download) -> None:
        self._slots.withdraw(download.id)
        self._p.timer.cancel(("row", download.id))
        ended = threading.Event()
        with self._lock:
            self._cancelling[download.id] = ended
        try:
            if self._p.job.stop(download.id, "cancelled"):
                if not ended.wait(CANCEL_SECONDS):
                    raise UserError(f"download {download.id} has been told to end and has not yet")
            else:
                self._cancel_now(download.id)
        finally:
            with self._lock:
                self._cancelling.pop(download.id, None)
        now = self._p.downloads.get(download.id)
        if now is not None and now.status is not DownloadStatus.CANCELLED:
            raise UserError(objection("cancel", now, self._p.downloads) or "it was not cancelled")

    def _cancel_now(self, download_id: int) -> None:
        download = self._p.downloads.get(download_id)
        if download is not None and self._p.settling.cancel(download, CANCELLED_BY_USER):
            log.info("download %d (%s): cancelled", download.id, download.filename)
            self._starter.settled(download)

    def _retry(self, download: Download) -> None:
        if download.status in FINISHED:
            self._p.imports.retry(download)
            return
        self._disks.accept(download)
        with self._p.database.transaction():
            if not Naming(self._p.downloads).make_way(download) or not self._p.downloads.revive(
                download.id
            ):
                raise UserError(f"download {download.id} has just changed; look at `jack status`")
        log.info("download %d (%s): tried again now", download.id, download.filename)
        self._held.hurry(download)
        self._starter.dispatch_id(download.id)
