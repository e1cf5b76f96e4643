"""Why downloads wait whose peer is left alone or not yet proven: the rows say so, and after long
enough they fail.

The peer itself knows whom it holds up, and sends one probe ahead of all of them: a friend who is
down costs one request per look, never a transfer slot.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from jack.blackhole.reasons import Reasons
from jack.downloads.retry import RetryPolicy
from jack.errors import JackError, PeerRefused, PeerUnreachable, StorageError
from jack.model import Download, DownloadStatus, WaitReason
from jack.peers.collection import Peers
from jack.peers.peer import Peer
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock

log = logging.getLogger(__name__)

_REASONS: dict[type[JackError], WaitReason] = {
    PeerRefused: WaitReason.REFUSED,
    PeerUnreachable: WaitReason.UNREACHABLE,
}


class Stepper(Protocol):
    """Who gives downloads their next step, and ends them."""

    def go_on(self, ids: Sequence[int]) -> None:
        """Give them their next step."""

    def failed(self, download: Download, sentence: str) -> None:
        """For good."""


class HeldDownloads:
    """Follows the peers, and keeps the rows of their downloads true."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        peers: Peers,
        stubs: Reasons,
        policy: RetryPolicy,
        clock: Clock,
        stepper: Stepper,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._peers = peers
        self._stubs = stubs
        self._policy = policy
        self._clock = clock
        self._stepper = stepper

    def has_peer(self, download: Download) -> bool:
        """False when its peer is not in the config; the row then says so."""
        if self._peers.get(download.peer_id) is not None:
            return True
        self._downloads.wait(
            download.id,
            WaitReason.UNKNOWN_PEER,
            f"the friend {download.peer_name} ({download.peer_id}) is not in the config any more:"
            " add the peer again, or cancel this download",
            None,
            download.fruitless_attempts,
        )
        return False

    def keeps(self, download: Download, *, unproven: bool) -> bool:
        """Whether the download has to wait until its peer may be asked; with `unproven` also until
        it has answered somebody.
        """
        peer = self._peers.get(download.peer_id)
        if peer is None:
            return True
        if peer.closed_seconds <= 0 and (peer.is_proven or not unproven):
            return False
        pause = peer.hold(download.id)
        until = self._clock.now() + timedelta(seconds=pause)
        if pause > 0 and not _says(download, peer.why_closed, until):
            fruitless = download.fruitless_attempts
            self._downloads.wait(
                download.id, WaitReason.COOLDOWN, peer.why_closed, until, fruitless
            )
        return True

    def let_go(self, download: Download) -> None:
        """It has settled some other way."""
        peer = self._peers.get(download.peer_id)
        if peer is not None:
            peer.let_go([download.id])

    def hurry(self, download: Download) -> None:
        """A person wants its peer to be asked at once."""
        peer = self._peers.get(download.peer_id)
        if peer is not None:
            peer.ask_now()

    # -- what peers tell ---------------------------------------------------------------------------

    def go_on(self, ids: Sequence[int]) -> None:
        self._stepper.go_on(ids)

    def joined(self, peer: Peer) -> None:
        """What waited for a peer to be in the config again goes on."""
        with self._database.connection():
            waiting = self._downloads.with_status(DownloadStatus.WAITING)
            ids = [download.id for download in waiting if download.peer_id == peer.id]
        self._stepper.go_on(ids)
        self._stubs.room(peer.id)

    def paused(self, peer: Peer, error: JackError) -> None:
        """Say in all rows of the peer why they wait: also those held back for a probe must not look
        as if they only waited for a slot. After a long time without an answer they fail.
        """
        if not (peer.holds_any or isinstance(error, (PeerUnreachable, PeerRefused))):
            return
        try:
            with self._database.connection():
                self._tell(peer, error)
        except StorageError as trouble:  # must not end the looking
            log.error("%s; why its downloads wait is not recorded: %s", error, trouble)

    def _tell(self, peer: Peer, error: JackError) -> None:
        seconds = peer.failing_seconds
        if seconds >= self._policy.unreachable_patience_seconds and not isinstance(
            error, PeerRefused
        ):
            self._give_all_up(peer, f"{error}; it has been like that for {seconds:.0f} s")
            return
        until = self._clock.now() + timedelta(seconds=peer.closed_seconds)
        reason = _REASONS.get(type(error), WaitReason.COOLDOWN)
        self._downloads.hold_peer(peer.id, reason, str(error), until)

    def _give_all_up(self, peer: Peer, sentence: str) -> None:
        for download_id in peer.held():
            download = self._downloads.get(download_id)
            if download is not None:
                self._stepper.failed(download, sentence)
            peer.let_go([download_id])  # what the database did not take is tried at the next look


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
