"""The downloads table: every step of a download as a guarded, durable transition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import Node, chunked, fn

from jack.errors import StorageError
from jack.model import (
    LIVE,
    Download,
    DownloadStatus,
    Expectation,
    Release,
    Validator,
    WaitReason,
)
from jack.store import hot
from jack.store.models import DeliveryMark, FailureRow, HandoverRow
from jack.store.models import DownloadRow as Row
from jack.store.rows import DownloadRows

S = DownloadStatus
_IDS_AT_ONCE = 500
_AT_REST: dict[str, Any] = dict.fromkeys(
    ("next_attempt_at", "wait_reason", "blocked_by", "paused_at")
)
"""Nothing is waited for."""


class Downloads(DownloadRows):
    """Repository of downloads. Methods that change a row return whether it was in a state to
    change.

    Every method raises StorageError when SQLite does not take the statement.
    """

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
        info_hash: str | None = None,
        announced_bytes: int | None = None,
    ) -> Download:
        """A new row, `queued`, or `waiting` behind `blocked_by`. Raises StorageError when the
        destination already has an owner (a unique index).
        """
        now = self._clock.now()
        columns: dict[str, Any] = {
            "status": S.WAITING if blocked_by else S.QUEUED,
            "wait_reason": WaitReason.BLOCKED if blocked_by else None,
            "torrent_filename": torrent_filename,
            "stub_fingerprint": stub_fingerprint,
            "peer_id": peer_id,
            "peer_name": peer_name,
            "item_id": release.id,
            "filename": release.filename,
            "dest_path": dest_path,
            "category": release.category,
            "release_size": release.size,
            "release_json": release_json,
            "blocked_by": blocked_by,
            "error": sentence,
            "info_hash": info_hash,
            "announced_bytes": announced_bytes,
            "started_at": now,
            "updated_at": now,
        }
        new = hot.insert(tuple(columns))(**columns)
        made = self._database.commit(
            lambda: self.get(int(self._database.execute(*new).lastrowid or 0))
        )
        if made is None:
            raise StorageError("the database lost a row it had just taken")
        return made

    def begin_attempt(self, download: Download, *, may_stand: bool = False) -> Download | None:
        """`queued`/`waiting` -> `downloading`, one attempt more; the row as it is then. None when
        it is not to be worked on.

        With it goes what is known of the servers' histories now, before the final name can appear.
        `may_stand`: it may have appeared before a crash; then what was known earlier counts.
        """

        begin = hot.begin_attempt()(id=download.id, updated_at=self._clock.now())
        mark = hot.mark(may_stand)(download_id=download.id)

        def record() -> bool:
            begun = self._database.change(begin) > 0
            if begun:
                self._database.change(mark)
            return begun

        if not self._database.commit(record):
            return None
        return replace(
            download,
            status=S.DOWNLOADING,
            attempts=download.attempts + 1,
            next_attempt_at=None,
            wait_reason=None,
        )

    def uncount_attempt(self, download_id: int) -> bool:
        """Take one attempt back: this machine was the reason, not the peer."""
        return self._update(download_id, LIVE, attempts=Row.attempts - 1)

    def expect(
        self,
        download_id: int,
        expectation: Expectation | None,
        validator: Validator | None = None,
        part_inode: int | None = None,
    ) -> bool:
        """`part_inode`: of the `.part` that is about to be written for the first time."""
        made = {} if part_inode is None else {"part_inode": part_inode}
        return self._update(
            download_id, LIVE, **_expected(expectation), **_version(validator), **made
        )

    def restart(self, download_id: int, reason: str, validator: Validator) -> bool:
        """Everything on disk is given up: offset 0, the new validator, and why, in one commit."""
        return self._update(
            download_id,
            LIVE,
            downloaded_bytes=0,
            error=reason,
            restarts=Row.restarts + 1,
            **_version(validator),
        )

    def checkpoint(
        self,
        download_id: int,
        offset: int,
        validator: Validator | None = None,
        expectation: Expectation | None = None,
    ) -> bool:
        """Bytes [0, offset) of the `.part` are on disk, of the version `validator` names and of a
        file of the size that is expected, when these are new.

        Only ever called after the fsync that made it so.
        """
        return self._update(
            download_id,
            LIVE,
            downloaded_bytes=offset,
            best_bytes=fn.MAX(Row.best_bytes, offset),
            **_expected(expectation),
            **_version(validator),
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
            status=S.WAITING,
            wait_reason=reason,
            error=sentence,
            next_attempt_at=next_attempt_at,
            fruitless_attempts=fruitless_attempts,
        )

    def hold_peer(self, peer_id: str, reason: WaitReason, sentence: str, until: datetime) -> int:
        """All downloads of a peer that is left alone for a while, in one statement; returns how
        many.
        """
        held = (WaitReason.UNREACHABLE, WaitReason.REFUSED, WaitReason.COOLDOWN)
        is_held = (Row.status == S.WAITING) & Row.wait_reason.in_(held)
        return self._change(
            (Row.peer_id == peer_id, (Row.status == S.QUEUED) | is_held),
            status=S.WAITING,
            wait_reason=reason,
            error=self._clean(sentence),
            next_attempt_at=until,
            updated_at=self._clock.now(),
        )

    def put_behind(self, download_id: int, owner_id: int) -> bool:
        """Wait until the download that owns the destination has settled."""
        return self._update(
            download_id,
            (S.QUEUED, S.WAITING),
            status=S.WAITING,
            wait_reason=WaitReason.BLOCKED,
            blocked_by=owner_id,
        )

    def unblock(self, download_id: int) -> bool:
        """The download in front has settled: back to the queue."""
        return self._update(
            download_id,
            (S.WAITING,),
            status=S.QUEUED,
            blocked_by=None,
            wait_reason=None,
            error=None,
        )

    def complete(self, download_id: int, size: int, inode: int | None = None) -> bool:
        """The whole file stands; `inode` is what tells it from a later one of that name."""
        return self._update(
            download_id,
            LIVE,
            status=S.COMPLETED,
            downloaded_bytes=size,
            expected_bytes=size,
            best_bytes=size,
            completed_at=self._clock.now(),
            finished_inode=inode,
            part_inode=None,
            moved_part=None,
            error=None,
            **_AT_REST,
        )

    def import_postponed(
        self, download_id: int, sentence: str, next_attempt_at: datetime | None
    ) -> bool:
        return self._update(
            download_id, (S.COMPLETED,), error=sentence, next_attempt_at=next_attempt_at
        )

    def import_queued(self, download_id: int, server: str, until: datetime) -> bool:
        """`server` has taken the command; before `until` it is not asked again."""
        asked = {"next_attempt_at": until, "import_asked": server}
        return self._finish(download_id, S.IMPORT_QUEUED, None, **asked)

    def import_lost(self, download_id: int, sentence: str) -> bool:
        """Nobody knows any more what became of the file."""
        return self._finish(download_id, S.IMPORT_QUEUED, sentence)

    def import_rejected(self, download_id: int, sentence: str) -> bool:
        """Back to `completed`, with the server's words, until a person asks again."""
        return self._finish(download_id, S.COMPLETED, sentence)

    def imported(self, download_id: int) -> bool:
        """A server's history shows the file in its library."""
        return self._finish(download_id, S.IMPORTED, None)

    def import_retried(self, download_id: int) -> bool:
        """A person asked again: what was said before does not hold any more."""
        return self._finish(download_id, S.COMPLETED, None)

    def fail(self, download_id: int, sentence: str) -> bool:
        return self._update(download_id, LIVE, status=S.FAILED, error=sentence, **_AT_REST)

    def cancel(self, download_id: int, sentence: str) -> bool:
        sources = LIVE | {S.FAILED}
        return self._update(download_id, sources, status=S.CANCELLED, error=sentence, **_AT_REST)

    def forget_part(self, download_id: int, sentence: str) -> bool:
        """A settled row's `.part` is gone: it must not claim bytes any more."""
        gone = {"downloaded_bytes": 0, "part_inode": None, "moved_part": None}
        return self._update(download_id, (S.FAILED, S.CANCELLED), error=sentence, **gone)

    def revive(
        self, download_id: int, stub_fingerprint: str | None = None, info_hash: str | None = None
    ) -> bool:
        """A failed or cancelled row goes back to the queue and on from what is safe on disk."""
        changes: dict[str, Any] = {}
        if stub_fingerprint is not None:
            changes = {"stub_fingerprint": stub_fingerprint, "stub_present": True}
        if info_hash:
            changes["info_hash"] = info_hash
        return self._update(
            download_id,
            (S.FAILED, S.CANCELLED, S.WAITING),
            status=S.QUEUED,
            fruitless_attempts=0,
            restarts=0,
            error=None,
            **_AT_REST,
            **changes,
        )

    def requeue(self, download_id: int) -> bool:
        """An attempt ended because jack stops: nothing is wrong, it goes on at the next start."""
        return self._update(download_id, (S.DOWNLOADING,), status=S.QUEUED, next_attempt_at=None)

    def move(self, download: Download, dest: Path, keeps_part: bool) -> bool:
        """Its name is taken by something else: the download goes on under the name `dest`, with its
        `.part` where that is, or with none and from byte 0. To be run in a transaction.
        """
        if self.owner(dest) is not None:
            return False
        changes: dict[str, Any] = {"dest_path": dest, "blocked_by": None}
        if download.is_live:
            changes |= {"status": S.QUEUED, "wait_reason": None, "error": None}
        if keeps_part:
            changes["moved_part"] = download.part_path
        else:
            changes |= {"moved_part": None, "part_inode": None, "downloaded_bytes": 0}
        return self._update(download.id, {download.status}, **changes)

    def set_release(self, download_id: int, size: int, release: dict[str, Any]) -> bool:
        """The peer describes it like that now."""
        return self._update(download_id, LIVE, release_size=size, release_json=release)

    def stubs_gone(self, download_ids: Sequence[int]) -> None:
        """The stubs of these rows are no longer in the watch folder."""
        with self._database.transaction():
            for ids in chunked(download_ids, _IDS_AT_ONCE):
                self._change((Row.id.in_(ids),), stub_present=False)

    # -- what a person wants ---------------------------------------------------------------------

    def pause(self, download_id: int) -> bool:
        return self._update(download_id, LIVE, paused_at=self._clock.now())

    def resume(self, download_id: int) -> bool:
        return self._update(download_id, LIVE, paused_at=None)

    def remove(self, download_id: int) -> bool:
        """Forget a download that has ended. What is still to be reported of its failure stays, and
        so do the records of histories that have proved its import: they prove no other.
        """
        with self._database.transaction():
            row = self.get(download_id)
            if row is None or row.is_live:
                return False
            for model in (HandoverRow, DeliveryMark):
                self._database.change(model.delete().where(model.download_id == download_id))
            failed = FailureRow.download_id == download_id
            self._database.change(FailureRow.update(download_id=None).where(failed))
            return self._database.change(Row.delete().where(Row.id == download_id)) > 0

    # -- inside ----------------------------------------------------------------------------------

    def _finish(
        self, download_id: int, status: DownloadStatus, sentence: str | None, **more: Any
    ) -> bool:
        """Whose file has arrived: what became of it since."""
        changes = {"status": status, "error": sentence, "next_attempt_at": None, **more}
        return self._update(download_id, (S.COMPLETED, S.IMPORT_QUEUED), **changes)

    def _update(self, download_id: int, sources: Iterable[DownloadStatus], **changes: Any) -> bool:
        """The guarded transition: nothing happens unless the row is in one of `sources`."""
        allowed = frozenset(sources)
        changes["updated_at"] = self._clock.now()
        if changes.get("error") is not None:
            changes["error"] = self._clean(changes["error"])
        if any(isinstance(value, Node) for value in changes.values()):
            return self._change((Row.id == download_id, Row.status.in_(allowed)), **changes) > 0
        transition = hot.transition(tuple(changes), allowed)
        return self._database.change(transition(id=download_id, **changes)) > 0

    def _change(self, where: Iterable[Any], **changes: Any) -> int:
        """How many rows these changes met."""
        return self._database.change(Row.update(changes).where(*where))


def _expected(expectation: Expectation | None) -> dict[str, Any]:
    if expectation is None:
        return {}
    return {
        "expected_bytes": expectation.size,
        "expected_bytes_source": expectation.source,
        "expected_bytes_mismatch": expectation.mismatch,
    }


def _version(validator: Validator | None) -> dict[str, str | None]:
    if validator is None:
        return {}
    return {"etag": validator.etag, "last_modified": validator.last_modified}
