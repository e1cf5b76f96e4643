"""One attempt of one download, in a thread of the pool, and what its end means."""

from __future__ import annotations

import logging
import os
import random
import threading
from typing import Protocol

from jack.downloads.adoption import AskVersion
from jack.downloads.claims import Claims
from jack.downloads.live import Live
from jack.downloads.remote import Exchanges, RemoteFile
from jack.downloads.retry import (
    GiveUp,
    RetryPolicy,
    Trial,
    Wait,
    judge,
)
from jack.downloads.row_ledger import RowLedger
from jack.errors import (
    Interrupted,
    JackError,
    NameTaken,
    NoSpace,
    PermanentError,
    Shortage,
    StorageError,
)
from jack.model import Download, WaitReason
from jack.peers.collection import Peers
from jack.peers.peer import Peer
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.shortage import as_shortage
from jack.support.waits import CLAIMED_LOOK_SECONDS, DATABASE_RETRY_SECONDS, SHORTAGE_LOOK_SECONDS
from jack.transfer.engine import Engine, Progress, TransferState

log = logging.getLogger(__name__)

OLD_SECONDS = 60.0
"""After so long the metadata is read again before bytes that no strong ETag names are resumed."""
FRUITFUL_BYTES = 64 * 1024
"""An attempt that brought less was fruitless, unless it reached the end of the file: one byte at a
time a friend could keep a download, the disk and the log busy for ever."""
_BUG = "an error in jack itself ({}); see the log"


class Desk(Protocol):
    """Where a job reports what became of its download; every report is recorded when the call
    returns.
    """

    def may_start(self, download: Download) -> bool:
        """False when the download was put aside instead (its peer is left alone right now)."""

    def adopt(self, download: Download, ask: AskVersion | None = None) -> bool | None:
        """True when another download has already delivered this very file; None when that cannot
        be told without `ask`."""

    def moved(self, download: Download, error: NameTaken) -> bool:
        """True when the download goes on under another name."""

    def completed(self, download: Download, size: int) -> None: ...

    def failed(self, download: Download, sentence: str) -> None: ...

    def postponed(self, download: Download, wait: Wait, error: JackError) -> None: ...

    def interrupted(self, download_id: int) -> None:
        """The attempt was told to stop; what it has brought is recorded."""

    def later(self, download_id: int, seconds: float) -> None:
        """Put the download back to work in `seconds`."""


class Job:
    """Makes attempts; one instance serves all threads of the pool."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        claims: Claims,
        engine: Engine,
        peers: Peers,
        policy: RetryPolicy,
        rng: random.Random,
        clock: Clock,
        live: Live,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._claims = claims
        self._engine = engine
        self._peers = peers
        self._policy = policy
        self._rng = rng
        self._clock = clock
        self._live = live
        self._lock = threading.Lock()
        self._runs: dict[int, Exchanges] = {}
        self._ended_at: dict[int, float] = {}
        """When the last attempt of a download that waits has ended; the clock's monotonic time."""
        self._stopping = False

    def run(self, download_id: int, desk: Desk) -> None:
        """One attempt, after which the download has settled or waits for the timer."""
        exchanges = Exchanges()
        with self._lock:
            self._runs[download_id] = exchanges
            if self._stopping:
                exchanges.end("jack is stopping")
        try:
            self._database.keep_connection()
            try:
                self._attempt(download_id, exchanges, desk)
            finally:
                with self._lock:
                    self._runs.pop(download_id, None)
                if exchanges.is_ended:
                    desk.interrupted(download_id)
        except Exception as error:
            trouble = as_shortage(error) or error
            if not isinstance(trouble, StorageError):
                # A bug in the rules: the thread and its slot live on.
                log.exception("download %d hit a bug beside its transfer", download_id)
                self._give_up(download_id, desk, error)
                return
            is_short = isinstance(trouble, Shortage)
            seconds = SHORTAGE_LOOK_SECONDS if is_short else DATABASE_RETRY_SECONDS
            log.error("download %d: %s; next try in %.0f s", download_id, trouble, seconds)
            desk.later(download_id, seconds)

    def _give_up(self, download_id: int, desk: Desk, error: Exception) -> None:
        try:
            download = self._downloads.get(download_id)
            if download is not None:
                desk.failed(download, _BUG.format(type(error).__name__))
        except Exception:
            log.exception("download %d could not even be marked as failed", download_id)

    def stop(self, download_id: int, reason: str) -> bool:
        """Reach into the running download, if it runs."""
        with self._lock:
            exchanges = self._runs.get(download_id)
        if exchanges is not None:
            exchanges.end(reason)
        return exchanges is not None

    def stop_all(self) -> None:
        with self._lock:
            self._stopping = True
            runs = list(self._runs.values())
        for exchanges in runs:
            exchanges.end("jack is stopping")

    def _attempt(self, download_id: int, exchanges: Exchanges, desk: Desk) -> None:
        download = self._downloads.get(download_id)
        if download is None or not desk.may_start(download):
            return
        with self._claims.at_work_on(download.dest_path) as is_ours:
            wait = self._try(download, exchanges, desk) if is_ours else None
        if not is_ours:
            desk.later(download_id, CLAIMED_LOOK_SECONDS)
        elif wait is not None:
            desk.later(download_id, wait.delay_seconds)

    def _try(self, before: Download, exchanges: Exchanges, desk: Desk) -> Wait | None:
        """None when the download has settled or was put aside."""
        adopted = desk.adopt(before)
        if adopted:
            return None
        peer = self._peers.get(before.peer_id)
        may_stand = os.path.lexists(before.dest_path)
        download = self._downloads.begin_attempt(before, may_stand=may_stand)
        if download is None or peer is None:
            return None
        progress = Progress(received_offset=download.downloaded_bytes)
        try:
            remote = RemoteFile(peer.client, download.item_id, self._clock, exchanges)
            if adopted is None and desk.adopt(download, remote.validator):
                return None
            with self._live.running(download.id, progress):
                size = self._transfer(download, peer, remote, exchanges.transfer, progress)
        except Interrupted:
            return None
        except NameTaken as error:
            if desk.moved(download, error):
                return Wait(WaitReason.RETRY, 0.0, before.fruitless_attempts)
            return self._failed_attempt(before, download, peer, progress, error, desk)
        except JackError as error:
            return self._failed_attempt(before, download, peer, progress, error, desk)
        except Exception as error:  # a bug: the traceback for us, a sentence for the user
            shortage = as_shortage(error)
            if shortage is not None:
                return self._failed_attempt(before, download, peer, progress, shortage, desk)
            log.exception("download %d (%s) hit a bug", download.id, download.filename)
            desk.failed(download, _BUG.format(type(error).__name__))
            return None
        peer.answered()
        desk.completed(download, size)
        return None

    def _transfer(
        self,
        download: Download,
        peer: Peer,
        remote: RemoteFile,
        wire: Wire,
        progress: Progress,
    ) -> int:
        ledger = RowLedger(self._database, self._downloads, download, remote)
        ended = self._ended_at.pop(download.id, None)
        state = TransferState(
            who=remote.who,
            dest=download.dest_path,
            part=download.part_path,
            offset=download.downloaded_bytes,
            expected=download.expected_bytes,
            release_size=download.release_size,
            validator=download.validator,
            use_if_range=peer.honours_if_range(),
            fruitless=download.fruitless_attempts,
            is_old=ended is None or self._clock.monotonic() - ended > OLD_SECONDS,
            announced=download.announced_bytes,
            part_inode=download.part_inode,
        )
        try:
            return self._engine.run(state, ledger, remote.open, wire, progress).size
        except NoSpace:
            ledger.note()
            raise
        finally:
            if progress.if_range_ignored:
                peer.note_if_range_ignored()

    def _failed_attempt(
        self,
        before: Download,
        download: Download,
        peer: Peer,
        progress: Progress,
        error: JackError,
        desk: Desk,
    ) -> Wait | None:
        begun_at = before.best_bytes if progress.restarted else progress.start_offset
        brought = progress.end_offset - min(begun_at, before.best_bytes)
        pause = None
        if not isinstance(error, (StorageError, PermanentError)):
            pause = peer.failed(error)
        trial = Trial(
            brought_bytes=brought >= FRUITFUL_BYTES,
            fruitless=before.fruitless_attempts,
            was_protocol_error=before.wait_reason is WaitReason.PROTOCOL,
            peer_pause_seconds=pause,
            unreachable_seconds=peer.failing_seconds,
        )
        verdict = judge(self._policy, trial, error, self._rng.random)
        if isinstance(verdict, GiveUp):
            desk.failed(download, verdict.sentence)
            return None
        self._ended_at[download.id] = self._clock.monotonic()
        desk.postponed(download, verdict, error)
        return verdict
