"""What a person may do with a download, and why not when not. `Steering` does it in a running jack,
`jack.control.offline` where none runs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from jack.downloads.absent_disks import AbsentDisks
from jack.downloads.held import HeldDownloads
from jack.downloads.naming import Naming, may_share_a_name
from jack.downloads.parts import Parts
from jack.downloads.settling import Settling
from jack.downloads.slots import Slots
from jack.errors import UserError
from jack.imports.own_copy import Finished
from jack.model import FINISHED, Download, DownloadStatus
from jack.store.downloads import Downloads
from jack.support.files import printable
from jack.support.own import remove_own
from jack.support.waits import CANCEL_SECONDS

log = logging.getLogger(__name__)

CANCELLED_BY_USER = "cancelled by the user"
ACTIONS = ("retry", "cancel", "pause", "resume", "remove")


def objection(action: str, download: Download, downloads: Downloads) -> str | None:
    """Why `action`, one of ACTIONS, cannot be done now, as a sentence; None when it can."""
    if action == "retry":
        return _to_retry(download, downloads)
    if action == "cancel":
        return _to_cancel(download)
    if action in {"pause", "resume"} and not download.is_live:
        return f"download {download.id} is {download.status.value}: there is nothing to {action}"
    return None


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


class _Order:
    """What is to be recorded when a transfer has ended, and whether that is done."""

    def __init__(self, record: Callable[[int], None]) -> None:
        self.record = record
        self.is_done = threading.Event()


def remove_ended(download: Download, settling: Settling, files: bool) -> None:
    """What goes with the row of a download that has ended: its stub, which would be a new grab,
    and where `files` is true its own finished file, if it is still that one."""
    if files and download.finished_inode is not None:
        finished = Finished(download.finished_inode, download.expected_bytes)
        reason = remove_own(download.dest_path, finished)
        if reason is not None:
            raise UserError(f"{printable(str(download.dest_path))} stays: {reason}")
    settling.remove_stub(download)
    settling.flush()


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
        self._orders: dict[int, _Order] = {}
        """Of downloads whose transfer was told to end."""

    def ended(self, download_id: int) -> bool:
        """A transfer was told to end and has. Whether that was an order, which is recorded then."""
        with self._lock:
            order = self._orders.get(download_id)
        if order is None:
            return False
        try:
            order.record(download_id)
        finally:
            order.is_done.set()
        return True

    def steer(self, download_id: int, action: str, *, files: bool = False) -> None:
        """Do `action`, one of ACTIONS, and return when it is done; `files`: remove its own finished
        file as well. Raises UserError when the download is not in a state for it.
        """
        with self._one_at_a_time:  # one after the other: `jack cancel 1 && jack retry 1`
            download = self._p.downloads.get(download_id)
            if download is None:
                return
            if problem := objection(action, download, self._p.downloads):
                raise UserError(problem)
            if action == "remove":
                self._remove(download, files)
                return
            orders = {
                "retry": self._retry,
                "cancel": self._cancel,
                "pause": self._pause,
                "resume": self._resume,
            }
            orders[action](download)

    def steer_all(self, action: str) -> int:
        """Pause or resume everything that is live; how many there were."""
        live = [row.id for row in self._p.downloads.live()]
        for download_id in live:
            with contextlib.suppress(UserError):  # it has just ended
                self.steer(download_id, action)
        return len(live)

    def _end(self, download: Download, reason: str, record: Callable[[int], None]) -> None:
        """Take it out of its line, or end its transfer; then `record` what was wanted."""
        self._slots.withdraw(download.id)
        self._p.timer.cancel(("row", download.id))
        order = _Order(record)
        with self._lock:
            self._orders[download.id] = order
        try:
            if not self._p.job.stop(download.id, reason):
                record(download.id)
            elif not order.is_done.wait(CANCEL_SECONDS):
                raise UserError(f"download {download.id} has been told to end and has not yet")
        finally:
            with self._lock:
                self._orders.pop(download.id, None)

    def _cancel(self, download: Download) -> None:
        self._end(download, "cancelled", self._record_cancel)
        now = self._p.downloads.get(download.id)
        if now is not None and now.status is not DownloadStatus.CANCELLED:
            raise UserError(objection("cancel", now, self._p.downloads) or "it was not cancelled")

    def _record_cancel(self, download_id: int) -> None:
        download = self._p.downloads.get(download_id)
        if download is not None and self._p.settling.cancel(download, CANCELLED_BY_USER):
            log.info("download %d (%s): cancelled", download.id, download.filename)
            self._starter.settled(download)

    def _pause(self, download: Download) -> None:
        """On record first: whatever starts it from now on sees that it is paused."""
        if download.paused_at is None and self._p.downloads.pause(download.id):
            self._end(download, "paused", self._record_pause)
            log.info("download %d (%s): paused", download.id, download.filename)

    def _record_pause(self, download_id: int) -> None:
        if self._p.downloads.requeue(download_id):
            self._p.downloads.uncount_attempt(download_id)

    def _resume(self, download: Download) -> None:
        if download.paused_at is not None and self._p.downloads.resume(download.id):
            log.info("download %d (%s): goes on", download.id, download.filename)
            self._starter.dispatch_id(download.id)

    def _remove(self, download: Download, files: bool) -> None:
        if download.is_live:
            self._cancel(download)
        # The files first: one that must stay keeps its row, which is followed as before.
        remove_ended(self._p.downloads.get(download.id) or download, self._p.settling, files)
        self._p.imports.withdraw(download)
        self._p.downloads.remove(download.id)
        log.info("download %d (%s): removed from the list", download.id, download.filename)
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
