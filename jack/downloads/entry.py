"""How downloads come in: from a resolved stub, from a stub dropped again, and from the rows of the
last run.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from jack.blackhole.drops import Drop
from jack.downloads.claims import Claims
from jack.downloads.explain import size_text
from jack.downloads.friends import Friends
from jack.downloads.handover import HandoverDesk
from jack.downloads.retry import RetryPolicy
from jack.downloads.service import DownloadService
from jack.downloads.settling import Settling
from jack.downloads.wishes import FINISHED
from jack.model import Download, DownloadStatus, Release, WaitReason
from jack.peers.protocol import release_to_json
from jack.store.downloads import Downloads
from jack.support.clock import Clock
from jack.support.retry_after import MAX_WAIT_SECONDS

log = logging.getLogger(__name__)


class Entry:
    """Makes and wakes rows; what happens to them then is the service's business."""

    def __init__(
        self,
        downloads: Downloads,
        claims: Claims,
        friends: Friends,
        service: DownloadService,
        settling: Settling,
        handover: HandoverDesk,
        policy: RetryPolicy,
        clock: Clock,
        completed_path: Path,
    ) -> None:
        self._downloads = downloads
        self._claims = claims
        self._friends = friends
        self._service = service
        self._settling = settling
        self._handover = handover
        self._policy = policy
        self._clock = clock
        self._completed_path = completed_path
        self._registering = threading.Lock()

    def redrive(self) -> int:
        """Put every stale row back to work, before anything new can arrive; returns how many.

        All claims are taken before the first one starts. Of several rows for one destination the
        one that owns it goes on.
        """
        owners: dict[Path, Download] = {}
        for download in sorted(self._downloads.live(), key=lambda d: (d.blocked_by or 0, d.id)):
            owner = owners.setdefault(download.dest_path, download)
            if owner is download:
                self._service.claim(download)
            else:
                sentence = f"superseded by download {owner.id}, which writes the same file"
                self._service.closed(download, sentence)
        for download in owners.values():
            self._resume(download)
        for download in self._downloads.stubs_left_behind():
            self._tidy_stub(download)
        self._handover.resume()
        return len(owners)

    def revive(self, drop: Drop) -> bool:
        """Whether this stub has a row already: the same drop seen again, or a failed one dropped
        anew.
        """
        download = self._downloads.latest_for_stub(drop.name, drop.stub.peer_id, drop.stub.item_id)
        if download is None:
            return False
        same_drop = download.stub_present and download.stub_fingerprint == drop.fingerprint
        if same_drop and download.status in FINISHED:
            self._settling.remove_stub(download)
        elif same_drop and not download.is_live:
            self._settling.park_stub(download)
        elif download.status in {DownloadStatus.FAILED, DownloadStatus.CANCELLED}:
            return self._revive_row(download, drop)
        return same_drop or download.is_live

    def register(self, drop: Drop, release: Release) -> None:
        """A stub whose release is known becomes a row and starts, or waits behind the owner of its
        file.
        """
        dest = self._completed_path / release.filename
        with self._registering:
            owner = self._claims.owner(dest)
            download = self._create(drop, release, dest, owner)
            self._claims.claim_stub((download.torrent_filename, download.stub), download.id)
            if owner is None:
                self._service.claim(download)
        if owner is not None:
            self._service.stay_behind(download, owner)
            return
        self._service.dispatch(download)

    def _create(self, drop: Drop, release: Release, dest: Path, owner: int | None) -> Download:
        behind = f"waits for download {owner}, which writes the same file" if owner else None
        download = self._downloads.create(
            torrent_filename=drop.name,
            stub_fingerprint=drop.fingerprint,
            peer_id=drop.stub.peer_id,
            peer_name=self._friends.name(drop.stub.peer_id),
            release=release,
            release_json=release_to_json(release),
            dest_path=dest,
            blocked_by=owner,
            sentence=behind,
            info_hash=drop.info_hash or None,
        )
        log.info(
            "download %d (%s) from %s: accepted, %s%s",
            download.id,
            download.filename,
            download.peer_name,
            size_text(release.size) if release.size else "size unknown",
            f"; {behind}" if behind else "",
        )
        return download

    def _resume(self, download: Download) -> None:
        if download.status is DownloadStatus.DOWNLOADING:
            self._downloads.requeue(download.id)
        if download.blocked_by is not None:
            # The one in front has settled, in the last run or by a command since.
            self._downloads.unblock(download.id)
        due = download.next_attempt_at
        remaining = (due - self._clock.now()).total_seconds() if due else 0.0
        if remaining > 0 and download.wait_reason is not WaitReason.SPACE:
            # A clock that was wrong when the row was written must not make it wait for years.
            longest = max(MAX_WAIT_SECONDS, self._policy.max_seconds)
            self._service.later(download.id, min(remaining, longest))
        else:
            self._service.later(download.id, 0.0)

    def _tidy_stub(self, download: Download) -> None:
        if download.status in FINISHED:
            self._settling.remove_stub(download)
        else:
            self._settling.park_stub(download)

    def _revive_row(self, download: Download, drop: Drop) -> bool:
        if download.dest_path.parent != self._completed_path:
            return False
        with self._registering:
            if self._claims.owner(download.dest_path) is not None:
                return False
            if not self._downloads.revive(download.id, drop.fingerprint, drop.info_hash):
                return False
            self._service.claim(download)
        log.info(
            "download %d (%s): stub dropped again; goes on from %s",
            download.id,
            download.filename,
            size_text(download.downloaded_bytes),
        )
        self._service.later(download.id, 0.0)
        return True
