"""How downloads come in: from a resolved stub, from a stub dropped again, and from the rows of the
last run.
"""

from __future__ import annotations

import logging
from array import array
from pathlib import Path

from jack.blackhole.drops import Drop
from jack.downloads.claims import Claims
from jack.downloads.naming import Naming
from jack.downloads.retry import RetryPolicy
from jack.downloads.service import DownloadService
from jack.downloads.settling import Settling
from jack.downloads.steering import CANCELLED_BY_USER
from jack.imports.telling import Imports
from jack.model import FINISHED, Download, DownloadStatus, Release
from jack.peers.collection import Peers
from jack.peers.protocol import release_to_json
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock
from jack.support.retry_after import MAX_WAIT_SECONDS
from jack.support.text import size_text

log = logging.getLogger(__name__)


class Entry:
    """Makes and wakes rows; what happens to them then is the service's business."""

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        claims: Claims,
        peers: Peers,
        service: DownloadService,
        settling: Settling,
        imports: Imports,
        policy: RetryPolicy,
        clock: Clock,
        completed_path: Path,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._claims = claims
        self._peers = peers
        self._service = service
        self._settling = settling
        self._imports = imports
        self._policy = policy
        self._clock = clock
        self._completed_path = completed_path
        self._naming = Naming(downloads)

    def redrive(self) -> int:
        """Put every stale row back to work, before anything new can arrive; returns how many.

        Of several rows for one destination the one that owns it goes on.
        """
        self._settling.recover_stubs()
        for download in self._downloads.with_status(DownloadStatus.DOWNLOADING):
            self._downloads.requeue(download.id)
        for download in self._downloads.behind():
            self._unblock_or_close(download)
        for name, stub in self._downloads.live_stubs():
            self._claims.reenqueue(name, stub)
        count = self._resume()
        for download in self._downloads.stubs_left_behind():
            self._tidy_stub(download)
        self._imports.resume()
        return count

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
        """A stub whose release is known becomes a row and starts, or waits behind another of the
        same item.
        """
        looked = self._naming.look(self._completed_path, release.filename, drop.stub)

        def record() -> Download:  # at once, so that nobody becomes the owner in between
            dest, owner = self._naming.choose(looked, drop.stub)
            behind = f"waits for download {owner}, which writes the same file" if owner else None
            return self._create(drop, release, dest, owner, behind)

        download = self._database.commit(record)
        self._imports.expect(download.category)
        log.info(
            "download %d (%s) from %s: accepted, %s%s",
            download.id,
            download.filename,
            download.peer_name,
            size_text(release.size) if release.size else "size unknown",
            f"; {download.error}" if download.error else "",
        )
        if download.blocked_by is None:
            self._service.dispatch(download)

    def _create(
        self, drop: Drop, release: Release, dest: Path, owner: int | None, sentence: str | None
    ) -> Download:
        return self._downloads.create(
            torrent_filename=drop.name,
            stub_fingerprint=drop.fingerprint,
            peer_id=drop.stub.peer_id,
            peer_name=self._peers.name(drop.stub.peer_id),
            release=release,
            release_json=release_to_json(release),
            dest_path=dest,
            blocked_by=owner,
            sentence=sentence,
            info_hash=drop.info_hash or None,
            announced_bytes=max(drop.announced_bytes, release.size) or None,
        )

    def _unblock_or_close(self, download: Download) -> None:
        """The one in front may have settled, in the last run or by a command since."""
        owner = self._downloads.owned(download.dest_path)
        if owner is None:
            self._downloads.unblock(download.id)
        elif owner.stub == download.stub or not self._moved(download):
            sentence = f"superseded by download {owner.id}, which writes the same file"
            self._service.closed(download, sentence)

    def _moved(self, download: Download) -> bool:
        """A jack of before put different releases of one name in line."""
        with self._database.transaction():
            return self._naming.move(download)

    def _resume(self) -> int:
        """Only ids are in memory: there may be tens of thousands."""
        now, longest = self._clock.now(), max(MAX_WAIT_SECONDS, self._policy.pauses.longest)
        waits: dict[float, array[int]] = {}
        for download_id, due, written in self._downloads.due():
            # A clock behind the row's own time is wrong (a board without a battery starts in 1970):
            # the wait is not longer for it than it was. Nor for one that was wrong then.
            since = max(now, written) if written is not None else now
            wait = (due - since).total_seconds() if due is not None else 0.0
            waits.setdefault(min(max(wait, 0.0), longest), array("q")).append(download_id)
        for seconds, ids in waits.items():
            self._service.go_on(ids, seconds)
        return sum(map(len, waits.values()))

    def _tidy_stub(self, download: Download) -> None:
        if download.status in FINISHED:
            self._settling.remove_stub(download)
        elif download.status is DownloadStatus.CANCELLED:
            self._settling.finish_cancel(download, download.error or CANCELLED_BY_USER)
        else:
            self._settling.park_stub(download)

    def _revive_row(self, download: Download, drop: Drop) -> bool:
        if download.dest_path.parent != self._completed_path:
            return False
        with self._database.transaction():
            if self._downloads.owner(download.dest_path) is not None:
                return False
            if not self._downloads.revive(download.id, drop.fingerprint, drop.info_hash):
                return False
        log.info(
            "download %d (%s): stub dropped again; goes on from %s",
            download.id,
            download.filename,
            size_text(download.downloaded_bytes),
        )
        self._service.later(download.id, 0.0)
        return True
