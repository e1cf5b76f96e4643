"""The downloads table: every step of a download as a guarded, durable transition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import Case, fn

from jack.model import LIVE, Download, DownloadStatus, Release, Validator, WaitReason
from jack.store.database import Database, translated
from jack.store.models import DownloadRow
from jack.support.clock import Clock

S = DownloadStatus
_LIVE = [status.value for status in LIVE]


class Downloads:
    """Repository of downloads. Methods that change a row return whether it was in a state to change.

    Every method raises StorageError when SQLite does not take the statement.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # -- reading ---------------------------------------------------------------------------------

    def get(self, download_id: int) -> Download | None:
        return self._first(DownloadRow.select().where(DownloadRow.id == download_id))

    def all(self, limit: int | None = None) -> list[Download]:
        """Newest change first; ties by id."""
        query = DownloadRow.select().order_by(DownloadRow.updated_at.desc(), DownloadRow.id.desc())
        return self._list(query.limit(limit) if limit is not None else query)

    def live(self) -> list[Download]:
        """Everything that still owns its destination, oldest first."""
        return self._list(
            DownloadRow.select().where(DownloadRow.status.in_(_LIVE)).order_by(DownloadRow.id)
        )

    def with_status(self, status: DownloadStatus) -> list[Download]:
        return self._list(
            DownloadRow.select().where(DownloadRow.status == status.value).order_by(DownloadRow.id)
        )

    def stubs_left_behind(self) -> list[Download]:
        """Rows that are settled but whose stub was still there when last looked at."""
        return self._list(
            DownloadRow.select()
            .where(DownloadRow.stub_present & DownloadRow.status.not_in(_LIVE))
            .order_by(DownloadRow.id)
        )

    def latest_for_stub(self, name: str, peer_id: str, item_id: str) -> Download | None:
        """The newest row a stub of that file name and content ever got."""
        return self._first(
            DownloadRow.select()
            .where(
                DownloadRow.torrent_filename == name,
                DownloadRow.peer_id == peer_id,
                DownloadRow.item_id == item_id,
            )
            .order_by(DownloadRow.id.desc())
        )

    def latest_for_destination(self, dest: Path, before_id: int | None = None) -> Download | None:
        """The newest row (older than `before_id`) that wrote or writes to `dest`."""
        query = DownloadRow.select().where(DownloadRow.dest_path == dest)
        if before_id is not None:
            query = query.where(DownloadRow.id < before_id)
        return self._first(query.order_by(DownloadRow.id.desc()))

    def blocked_by(self, download_id: int) -> list[Download]:
        return self._list(
            DownloadRow.select()
            .where(DownloadRow.blocked_by == download_id, DownloadRow.status.in_(_LIVE))
            .order_by(DownloadRow.id)
        )

    def counts(self) -> dict[DownloadStatus, int]:
        with translated():
            rows: Any = DownloadRow.select(DownloadRow.status, fn.COUNT(DownloadRow.id)).group_by(
                DownloadRow.status
            )
            return {DownloadStatus(status): count for status, count in rows.tuples()}

    # -- the life of a row -----------------------------------------------------------------------

    def create(
        self,
        *,
        torrent_filename: str,
        stub_fingerprint: str,
        peer_id: str,
        peer_name: str,
        release: Release,
        dest_path: Path,
        release_json: dict[str, Any],
        blocked_by: int | None,
        sentence: str | None,
    ) -> Download:
        """A new row, `queued`, or `waiting` behind `blocked_by`. Raises StorageError when the destination
        already has an owner (the unique index is the last guard behind the claims)."""
        now = self._clock.now()
        with self._database.transaction():
            row = DownloadRow.create(
                status=(S.WAITING if blocked_by else S.QUEUED).value,
                wait_reason=WaitReason.BLOCKED.value if blocked_by else None,
                torrent_filename=torrent_filename,
                stub_fingerprint=stub_fingerprint,
                peer_id=peer_id,
                peer_name=peer_name,
                item_id=release.id,
                filename=release.filename,
                dest_path=dest_path,
                category=release.category,
                release_size=release.size,
                release_json=json.dumps(release_json, ensure_ascii=False),
                blocked_by=blocked_by,
                error=sentence,
                started_at=now,
                updated_at=now,
            )
        return _download(row)

    def begin_attempt(self, download_id: int) -> Download | None:
        """`queued`/`waiting` -> `downloading`, one attempt more. None when the row is not to be worked on."""
        changed = self._update(
            download_id,
            (S.QUEUED, S.WAITING, S.DOWNLOADING),
            status=S.DOWNLOADING.value,
            attempts=DownloadRow.attempts + 1,
            next_attempt_at=None,
            wait_reason=None,
        )
        return self.get(download_id) if changed else None

    def uncount_attempt(self, download_id: int) -> bool:
        """Take one attempt back: this machine was the reason, not the peer."""
        return self._update(download_id, LIVE, attempts=DownloadRow.attempts - 1)

    def expect(self, download_id: int, size: int, source: str, mismatch: bool) -> bool:
        return self._update(
            download_id,
            LIVE,
            expected_bytes=size,
            expected_bytes_source=source,
            expected_bytes_mismatch=mismatch,
        )

    def set_release_size(self, download_id: int, size: int) -> bool:
        return self._update(download_id, LIVE, release_size=size)

    def identify(self, download_id: int, validator: Validator) -> bool:
        return self._update(
            download_id, LIVE, etag=validator.etag, last_modified=validator.last_modified
        )

    def restart(self, download_id: int, reason: str, validator: Validator) -> bool:
        """Everything on disk is given up: offset 0, the new validator, and why, in one commit."""
        return self._update(
            download_id,
            LIVE,
            downloaded_bytes=0,
            etag=validator.etag,
            last_modified=validator.last_modified,
            error=reason,
        )

    def checkpoint(self, download_id: int, offset: int) -> bool:
        """Bytes [0, offset) of the `.part` are on disk. Only ever called after the fsync that made it so."""
        return self._update(
            download_id,
            LIVE,
            downloaded_bytes=offset,
            best_bytes=Case(
                None, [(DownloadRow.best_bytes < offset, offset)], DownloadRow.best_bytes
            ),
        )

    def wait(
        self,
        download_id: int,
        reason: WaitReason,
        sentence: str,
        next_attempt_at: datetime | None,
        fruitless_attempts: int,
    ) -> bool:
        return self._update(
            download_id,
            LIVE,
            status=S.WAITING.value,
            wait_reason=reason.value,
            error=sentence,
            next_attempt_at=next_attempt_at,
            fruitless_attempts=fruitless_attempts,
        )

    def hold_peer(self, peer_id: str, reason: WaitReason, sentence: str, until: datetime) -> int:
        """All downloads of a peer that is left alone for a while, in one statement; returns how many."""
        held = [WaitReason.UNREACHABLE.value, WaitReason.REFUSED.value, WaitReason.COOLDOWN.value]
        with self._database.transaction():
            query = DownloadRow.update(
                status=S.WAITING.value,
                wait_reason=reason.value,
                error=sentence,
                next_attempt_at=until,
                updated_at=self._clock.now(),
            ).where(
                DownloadRow.peer_id == peer_id,
                (DownloadRow.status == S.QUEUED.value)
                | ((DownloadRow.status == S.WAITING.value) & DownloadRow.wait_reason.in_(held)),
            )
            return int(query.execute())

    def put_behind(self, download_id: int, owner_id: int) -> bool:
        """Wait until the download that owns the destination has settled."""
        return self._update(
            download_id,
            (S.QUEUED, S.WAITING),
            status=S.WAITING.value,
            wait_reason=WaitReason.BLOCKED.value,
            blocked_by=owner_id,
        )

    def unblock(self, download_id: int) -> bool:
        """The download in front has settled: back to the queue."""
        return self._update(
            download_id,
            (S.WAITING,),
            status=S.QUEUED.value,
            blocked_by=None,
            wait_reason=None,
            error=None,
        )

    def complete(self, download_id: int, size: int) -> bool:
        return self._update(
            download_id,
            LIVE,
            status=S.COMPLETED.value,
            downloaded_bytes=size,
            expected_bytes=size,
            best_bytes=size,
            completed_at=self._clock.now(),
            error=None,
            next_attempt_at=None,
            wait_reason=None,
            blocked_by=None,
            requested=None,
        )

    def import_postponed(
        self, download_id: int, sentence: str, next_attempt_at: datetime | None
    ) -> bool:
        return self._update(
            download_id, (S.COMPLETED,), error=sentence, next_attempt_at=next_attempt_at
        )

    def import_queued(self, download_id: int) -> bool:
        return self._update(
            download_id,
            (S.COMPLETED,),
            status=S.IMPORT_QUEUED.value,
            error=None,
            next_attempt_at=None,
        )

    def fail(self, download_id: int, sentence: str) -> bool:
        return self._settle(download_id, S.FAILED, LIVE, sentence)

    def cancel(self, download_id: int, sentence: str) -> bool:
        return self._settle(download_id, S.CANCELLED, LIVE | {S.FAILED}, sentence)

    def forget_part(self, download_id: int, sentence: str) -> bool:
        """A settled row's `.part` is gone: it must not claim bytes any more."""
        return self._update(
            download_id, (S.FAILED, S.CANCELLED), downloaded_bytes=0, error=sentence
        )

    def revive(self, download_id: int, stub_fingerprint: str | None = None) -> bool:
        """A failed or cancelled row goes back to the queue and on from what is safe on disk."""
        changes: dict[str, Any] = {}
        if stub_fingerprint is not None:
            changes = {"stub_fingerprint": stub_fingerprint, "stub_present": True}
        return self._update(
            download_id,
            (S.FAILED, S.CANCELLED, S.WAITING),
            status=S.QUEUED.value,
            fruitless_attempts=0,
            next_attempt_at=None,
            wait_reason=None,
            blocked_by=None,
            error=None,
            requested=None,
            **changes,
        )

    def requeue(self, download_id: int) -> bool:
        """An attempt ended because jack stops: nothing is wrong, it goes on at the next start."""
        return self._update(
            download_id, (S.DOWNLOADING,), status=S.QUEUED.value, next_attempt_at=None
        )

    def stub_gone(self, download_id: int) -> bool:
        with translated():
            return bool(
                DownloadRow.update(stub_present=False)
                .where(DownloadRow.id == download_id)
                .execute()
            )

    # -- wishes of other processes ---------------------------------------------------------------

    def ask(self, download_id: int, wish: str) -> bool:
        """Leave a wish ("retry", "cancel") for the running daemon."""
        with self._database.transaction():
            return bool(
                DownloadRow.update(requested=wish).where(DownloadRow.id == download_id).execute()
            )

    def wishes(self) -> list[tuple[int, str]]:
        with translated():
            query: Any = DownloadRow.select(DownloadRow.id, DownloadRow.requested).where(
                DownloadRow.requested.is_null(False)
            )
            return list(query.tuples())

    def wish_granted(self, download_id: int) -> bool:
        with self._database.transaction():
            return bool(
                DownloadRow.update(requested=None).where(DownloadRow.id == download_id).execute()
            )

    def wish_of(self, download_id: int) -> str | None:
        with translated():
            query: Any = DownloadRow.select(DownloadRow.requested).where(
                DownloadRow.id == download_id
            )
            wish: str | None = query.scalar()
            return wish

    # -- inside ----------------------------------------------------------------------------------

    def _settle(
        self,
        download_id: int,
        status: DownloadStatus,
        sources: Iterable[DownloadStatus],
        sentence: str,
    ) -> bool:
        return self._update(
            download_id,
            sources,
            status=status.value,
            error=sentence,
            next_attempt_at=None,
            wait_reason=None,
            blocked_by=None,
            requested=None,
        )

    def _update(self, download_id: int, sources: Iterable[DownloadStatus], **changes: Any) -> bool:
        allowed = [status.value for status in sources]
        with self._database.transaction():
            query = DownloadRow.update(updated_at=self._clock.now(), **changes).where(
                DownloadRow.id == download_id, DownloadRow.status.in_(allowed)
            )
            return bool(query.execute())

    def _first(self, query: Any) -> Download | None:
        with translated():
            row = query.first()
        return _download(row) if row is not None else None

    def _list(self, query: Any) -> list[Download]:
        with translated():
            return [_download(row) for row in query]


def _download(row: Any) -> Download:
    return Download(
        id=row.id,
        status=DownloadStatus(row.status),
        torrent_filename=row.torrent_filename,
        stub_fingerprint=row.stub_fingerprint,
        stub_present=row.stub_present,
        peer_id=row.peer_id,
        peer_name=row.peer_name,
        item_id=row.item_id,
        filename=row.filename,
        dest_path=Path(row.dest_path),
        category=row.category,
        release_size=row.release_size,
        expected_bytes=row.expected_bytes,
        expected_bytes_source=row.expected_bytes_source,
        expected_bytes_mismatch=row.expected_bytes_mismatch,
        downloaded_bytes=row.downloaded_bytes,
        best_bytes=row.best_bytes,
        validator=Validator(row.etag, row.last_modified),
        attempts=row.attempts,
        fruitless_attempts=row.fruitless_attempts,
        next_attempt_at=row.next_attempt_at,
        wait_reason=WaitReason(row.wait_reason) if row.wait_reason else None,
        blocked_by=row.blocked_by,
        error=row.error,
        started_at=row.started_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
    )


__all__: Sequence[str] = ("Downloads",)
