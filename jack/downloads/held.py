"""Downloads whose peer is left alone or not yet proven: one probe goes ahead, in the peer's lane,
for all of them.

So a friend who is down costs one request per look, never a transfer slot.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from jack.downloads.friends import Friends
from jack.downloads.lanes import Lanes
from jack.downloads.retry import SHORTAGE_LOOK_SECONDS, RetryPolicy
from jack.errors import Interrupted, JackError, PeerRefused, PeerUnreachable, Shortage, StorageError
from jack.model import Download, DownloadStatus, WaitReason
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.shortage import as_shortage
from jack.support.timer import Timer

log = logging.getLogger(__name__)

_REASONS: dict[type[JackError], WaitReason] = {
    PeerRefused: WaitReason.REFUSED,
    PeerUnreachable: WaitReason.UNREACHABLE,
}


class HeldDownloads:
    """Ids held back per peer. `go_on` gives all of a peer their next step; `give_up` fails one for
    good.
    """

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        friends: Friends,
        lanes: Lanes,
        timer: Timer,
        policy: RetryPolicy,
        clock: Clock,
        go_on: Callable[[Sequence[int]], None],
        give_up: Callable[[Download, str], None],
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._friends = friends
        self._lanes = lanes
        self._timer = timer
        self._policy = policy
        self._clock = clock
        self._go_on = go_on
        self._give_up = give_up
        self._lock = threading.Lock()
        self._held: dict[str, set[int]] = {}
        self._probes: dict[str, Wire] = {}
        self._stopping = False

    def hold(self, download: Download) -> None:
        """Keep the download until its peer answers; the first one held sends the probe."""
        with self._lock:
            self._held.setdefault(download.peer_id, set()).add(download.id)
        pause = self._friends.gate.closed_seconds(download.peer_id)
        if pause <= 0:
            self._probe(download.peer_id)
            return
        until = self._clock.now() + timedelta(seconds=pause)
        sentence = self._friends.gate.sentence(download.peer_id)
        if not _says(download, sentence, until):
            self._downloads.wait(
                download.id, WaitReason.COOLDOWN, sentence, until, download.fruitless_attempts
            )
        self._look_later(download.peer_id, pause)

    def note_pause(self, peer_id: str, error: JackError) -> None:
        """Something else than our probe closed the peer's gate, and the probe stands still behind
        it: those held back must not look as if they only waited for a slot.
        """
        with self._lock:
            if not self._held.get(peer_id):
                return
        self._tell(peer_id, error)
        self._look_later(peer_id, self._friends.gate.closed_seconds(peer_id))

    def let_go(self, download: Download) -> None:
        """The download has settled some other way."""
        with self._lock:
            self._held.get(download.peer_id, set()).discard(download.id)

    def note_failure(self, peer_id: str, error: JackError) -> None:
        """Say in all rows of the peer why they wait; after a long time without an answer they
        fail.
        """
        seconds = self._friends.gate.failing_seconds(peer_id)
        if seconds >= self._policy.unreachable_patience_seconds and not isinstance(
            error, PeerRefused
        ):
            self._give_all_up(peer_id, f"{error}; it has been like that for {seconds:.0f} s")
            return
        until = self._clock.now() + timedelta(seconds=self._friends.gate.closed_seconds(peer_id))
        reason = _REASONS.get(type(error), WaitReason.COOLDOWN)
        self._downloads.hold_peer(peer_id, reason, str(error), until)

    def _give_all_up(self, peer_id: str, sentence: str) -> None:
        held = self._take(peer_id)
        try:
            while held:
                download = self._downloads.get(held[-1])
                if download is not None:
                    self._give_up(download, sentence)
                held.pop()
        finally:
            with self._lock:  # what the database did not take is tried at the next look
                self._held.setdefault(peer_id, set()).update(held)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            probes = list(self._probes.values())
        for wire in probes:
            wire.abort(Interrupted("jack is stopping"))

    def _take(self, peer_id: str) -> list[int]:
        with self._lock:
            return sorted(self._held.pop(peer_id, set()))

    def _look_later(self, peer_id: str, seconds: float) -> None:
        self._timer.after(seconds, lambda: self._look(peer_id), ("peer", peer_id))

    def _look(self, peer_id: str) -> None:
        """The peer may be asked again: its downloads go on, or one probe goes ahead of them."""
        pause = self._friends.gate.closed_seconds(peer_id)
        if pause > 0:
            self._look_later(peer_id, pause)
        elif self._friends.gate.is_proven(peer_id):
            self._go_on(self._take(peer_id))
        else:
            self._probe(peer_id)

    def _probe(self, peer_id: str) -> None:
        with self._lock:
            if peer_id in self._probes or self._stopping or not self._held.get(peer_id):
                return
            self._probes[peer_id] = wire = Wire()
        self._lanes.submit(peer_id, lambda: self._run_probe(peer_id, wire), first=True)

    def _run_probe(self, peer_id: str, wire: Wire) -> None:
        """In the peer's lane: is anybody there?"""
        client = self._friends.client(peer_id)
        try:
            self._database.keep_connection()
            if client is not None:
                client.probe(wire)
                self._friends.note_answer(peer_id)
        except Interrupted:
            return
        except (Shortage, MemoryError) as error:
            log.error("a look at peer %s: %s; next look in 5 s", peer_id, as_shortage(error))
            self._look_later(peer_id, SHORTAGE_LOOK_SECONDS)
            return
        except JackError as error:
            if self._friends.note_error(peer_id, error) is None:
                self._friends.note_answer(peer_id)  # nonsense, but an answer: the files will tell
            else:
                self._tell(peer_id, error)
        finally:
            with self._lock:
                self._probes.pop(peer_id, None)
        self._look(peer_id)

    def _tell(self, peer_id: str, error: JackError) -> None:
        """A row that cannot be written now must not end the looking."""
        try:
            self.note_failure(peer_id, error)
        except StorageError as trouble:
            log.error("%s; why its downloads wait is not recorded: %s", error, trouble)


def _says(download: Download, sentence: str, until: datetime) -> bool:
    """Whether the row says already that it waits like that: a friend who is down may have tens of
    thousands of downloads, and one statement has told them all.
    """
    known = download.next_attempt_at
    return (
        download.status is DownloadStatus.WAITING
        and download.error == sentence
        and known is not None
        and abs(known - until) < timedelta(seconds=1)
    )
