"""The rules of a download's life: who starts when, who waits for what, what happens at the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

from jack.downloads.absent_disks import AbsentDisks
from jack.downloads.adoption import Adoption, AskVersion, Unasked
from jack.downloads.held import HeldDownloads
from jack.downloads.naming import Naming
from jack.downloads.parts import Parts
from jack.downloads.retry import Wait
from jack.downloads.settling import inode_of
from jack.downloads.slots import Slots
from jack.downloads.steering import Steering
from jack.errors import JackError, NameTaken, PeerRefused, PeerUnreachable, StorageError
from jack.model import Download, WaitReason
from jack.support.files import printable
from jack.support.shortage import as_shortage
from jack.support.text import size_text
from jack.support.waits import (
    DATABASE_RETRY_SECONDS,
    SHORTAGE_LOOK_SECONDS,
    SPACE_LOOK_SECONDS,
    STORAGE_LOOK_SECONDS,
)

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
STEPS_AT_ONCE = 50
"""Downloads that get their next step before the timer looks at what else is due."""


class DownloadService:
    """The desk that jobs report to, and the place where every download is started, held or
    ended.
    """

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._slots = Slots(parts.slots, self)
        self._held = HeldDownloads(
            parts.database,
            parts.downloads,
            parts.peers,
            parts.stubs,
            parts.policy,
            parts.clock,
            self,
        )
        parts.peers.follow(self._held)
        self._lock = threading.Lock()
        self._adoption = Adoption(parts.downloads)
        self._naming = Naming(parts.downloads)
        self._disks = AbsentDisks(parts.volumes, parts.downloads)
        self.steering = Steering(parts, self._slots, self._disks, self._held, self)
        self._is_flushing = False
        self._stopping = False

    # -- starting --------------------------------------------------------------------------------

    def dispatch(self, download: Download) -> None:
        """Give a download its next step: a slot, a probe of its peer, or a wait that says why."""
        if not self.may_start(download) or self._held.keeps(download, unproven=True):
            return
        if download.wait_reason is WaitReason.SPACE and not self._fits(download):
            self.later(download.id, SPACE_LOOK_SECONDS)
        else:
            self._slots.submit(download.peer_id, download.id)

    def may_start(self, download: Download) -> bool:
        """False when it is paused, the peer is unknown or left alone right now, or the disk is not
        there; the row then says so.
        """
        if self._stopping or not download.is_live or download.blocked_by is not None:
            return False
        if download.paused_at is not None or not self._held.has_peer(download):
            return False
        if self._disks.keeps_waiting(download):
            self.later(download.id, STORAGE_LOOK_SECONDS)
            return False
        return not self._held.keeps(download, unproven=False)

    def attempt(self, download_id: int) -> None:
        """For the slots: one attempt, and then the download settles or waits for the timer."""
        self._p.job.run(download_id, self)

    def later(self, download_id: int, seconds: float) -> None:
        """Give the download its next step in `seconds`; 0 is soon, in the timer's thread."""
        self._p.timer.after(seconds, lambda: self.dispatch_id(download_id), ("row", download_id))

    def go_on(self, ids: Sequence[int], seconds: float = 0.0, first: int = 0) -> None:
        """Give many downloads, from position `first`, their next step in `seconds`: some at a time,
        so that others that are due get their turn.
        """
        end = first + STEPS_AT_ONCE

        def step() -> None:
            for download_id in ids[first:end]:
                self.dispatch_id(download_id)
            self.go_on(ids, first=end)

        if first < len(ids):
            self._p.timer.after(seconds, step)

    def dispatch_id(self, download_id: int) -> None:
        try:
            download = self._p.downloads.get(download_id)
            if download is not None:
                self.dispatch(download)
        except (StorageError, MemoryError) as error:
            shortage = as_shortage(error)
            seconds = SHORTAGE_LOOK_SECONDS if shortage else DATABASE_RETRY_SECONDS
            trouble = shortage or error
            log.error("download %d: %s; looked at again in %.0f s", download_id, trouble, seconds)
            self.later(download_id, seconds)

    def _fits(self, download: Download) -> bool:
        size = download.expected_bytes or download.release_size
        return self._p.space.can_hold(download.dest_path.parent, size - download.downloaded_bytes)

    # -- what jobs report ------------------------------------------------------------------------

    def adopt(self, download: Download, ask: AskVersion | None = None) -> bool | None:
        """Whether an earlier download of the very same has delivered the file already. None: it
        has, and the friend would have to be asked whether it is still the same."""
        before = self._adoption.of(download, ask)
        if not isinstance(before, Download):
            return None if before is Unasked.FRIEND else False
        log.info(
            "download %d (%s): download %d has already brought this file",
            download.id,
            download.filename,
            before.id,
        )
        self.completed(download, before.downloaded_bytes)
        return True

    def moved(self, download: Download, error: NameTaken) -> bool:
        """Something else has the name: the download goes on under another one, if there is one."""
        with self._p.database.transaction():
            before = self._p.downloads.get(download.id)
            if before is None or not self._naming.move(before):
                return False
            self._p.downloads.uncount_attempt(download.id)
            now = self._p.downloads.get(download.id) or before
        log.info(
            "download %d (%s): %s; it arrives as %s instead",
            now.id,
            now.filename,
            str(error).partition(";")[0],
            printable(now.dest_path.name),
        )
        return True

    def completed(self, download: Download, size: int) -> None:
        """The file stands, durably: record it, then the stub goes, then *arr is told."""
        inode = inode_of(download.dest_path)

        def record() -> bool:
            done = self._p.downloads.complete(download.id, size, inode)
            if done:
                self._p.imports.plan(download)
            return done

        if not self._p.database.commit(record):
            return
        log.info(
            "download %d (%s): complete, %s at %s",
            download.id,
            download.filename,
            size_text(size),
            printable(str(download.dest_path)),
        )
        self._after_completion(download)

    def _after_completion(self, download: Download) -> None:
        """Every step may be repeated, so a database that does not answer only delays them."""
        try:
            self._p.settling.remove_stub(download)
            self._flush_soon()
            self.settled(download)
            self._p.imports.tell(download)
        except StorageError as error:
            log.error("download %d: %s; goes on in 30 s", download.id, error)
            self._p.timer.after(DATABASE_RETRY_SECONDS, lambda: self._after_completion(download))

    def _flush_soon(self) -> None:
        """Many stubs that have gone are recorded together."""
        with self._lock:
            is_first, self._is_flushing = not self._is_flushing, True
        if is_first:
            self._p.timer.after(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        with self._lock:
            self._is_flushing = False
        if not self._p.settling.flush():
            self._flush_soon()

    def failed(self, download: Download, sentence: str) -> None:
        """For good: the row says why, the `.part` stays, the stub is parked, and the server that
        had grabbed it is told.
        """
        with self._p.database.transaction():  # a crash in between, and nobody would ever be told
            if not self._p.downloads.fail(download.id, sentence):
                return
            reports = self._p.imports.plan_reports(download)
        self._after_failure(download, sentence)
        self._p.imports.report(reports)

    def closed(self, download: Download, sentence: str) -> None:
        """Like `failed`, for a row that is given up although nothing is wrong with its release."""
        if self._p.downloads.fail(download.id, sentence):
            self._after_failure(download, sentence)

    def _after_failure(self, download: Download, sentence: str) -> None:
        now = self._p.downloads.get(download.id) or download
        log.error(
            "download %d (%s) from %s failed: %s; %s are kept, `jack retry %d` goes on from there",
            download.id,
            download.filename,
            download.peer_name,
            sentence,
            size_text(now.downloaded_bytes),
            download.id,
        )
        self._p.settling.park_stub(download)
        self.settled(download)

    def postponed(self, download: Download, wait: Wait, error: JackError) -> None:
        if not wait.counts:
            self._p.downloads.uncount_attempt(download.id)
        due = self._p.clock.now() + timedelta(seconds=wait.delay_seconds)
        self._p.downloads.wait(
            download.id,
            wait.reason,
            str(error),
            None if wait.reason is WaitReason.SPACE else due,
            wait.fruitless,
        )
        if isinstance(error, (PeerUnreachable, PeerRefused)):
            return  # the peer's own line in the log has said it
        is_ours = wait.reason in (WaitReason.STORAGE, WaitReason.SPACE)
        log.log(
            # A disk that goes on refusing with the same words is no news every half minute.
            logging.DEBUG if is_ours and download.error == str(error) else logging.WARNING,
            "download %d (%s) from %s: %s; attempt %d, next in %.1f s",
            download.id,
            download.filename,
            download.peer_name,
            error,
            download.attempts,
            wait.delay_seconds,
        )

    def interrupted(self, download_id: int) -> None:
        if not self.steering.ended(download_id):
            self._p.downloads.requeue(download_id)

    # -- at the end ------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits for a slot."""
        return self._slots.is_idle

    def stop(self) -> None:
        """Take no new work and end what runs; every byte received is recorded before a job
        returns.
        """
        self._stopping = True
        self._slots.close()
        self._p.job.stop_all()

    def join(self, seconds: float) -> bool:
        """After `stop`: False when a transfer has not ended in time."""
        return self._slots.join(seconds)

    def settled(self, download: Download) -> None:
        """The next one for the same file may go on, and its stub is a new grab."""
        self._p.claims.release(download.torrent_filename, download.stub)
        self._p.timer.cancel(("row", download.id))
        self._held.let_go(download)
        followers = self._p.downloads.followers(download)
        for follower in followers[1:]:
            self._p.downloads.put_behind(follower.id, followers[0].id)
        if followers:
            self._unblock(followers[0])
        self._p.stubs.forget(download.torrent_filename)

    def _unblock(self, download: Download) -> None:
        with self._p.database.transaction():
            owner = self._p.downloads.owner(download.dest_path)
            if owner is not None and owner != download.id:
                self._p.downloads.put_behind(download.id, owner)
                return
            unblocked = self._p.downloads.unblock(download.id)
        if unblocked:
            self.dispatch_id(download.id)
