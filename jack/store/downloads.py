"""The downloads table: every step of a download as a guarded, durable transition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jack.errors import StorageError
from jack.model import (
    LIVE,
    Download,
    DownloadStatus,
    Expectation,
    Overview,
    Release,
    Validator,
    WaitReason,
)
from jack.store.models import name_value, time_value
from jack.store.queue import IS_LIVE, DownloadQueue
from jack.store.rows import Sql, expected_columns, validator_columns

S = DownloadStatus
_LIVE = [status.value for status in LIVE]
_MARKS = "INTO delivery_marks SELECT ?, server, record_id FROM history_marks"
_MARK, _MARK_OLD = f"INSERT OR REPLACE {_MARKS}", f"INSERT OR IGNORE {_MARKS}"


class Downloads(DownloadQueue):
    """Repository of downloads. Methods that change a row return whether it was in a state to
    change.

    Every method raises StorageError when SQLite does not take the statement.
    """

    def get(self, download_id: int) -> Download | None:
        return self._first("id = ?", download_id)

    def all(self) -> list[Download]:
        """Newest change first; ties by id."""
        return list(self.each())

    def each(self) -> Iterator[Download]:
        """The same, one after the other: as they were when the first one was read."""
        return self._each("1 ORDER BY updated_at DESC, id DESC")

    def overview(self, ended: int) -> Overview:
        """What is live and the last `ended` that have ended, each newest change first. A history
        of years costs no more than a short one.
        """
        newest = "ORDER BY updated_at DESC, id DESC"
        live = self._list(f"{IS_LIVE} {newest}", *_LIVE)
        over = self._list(f"NOT {IS_LIVE} {newest} LIMIT ?", *_LIVE, ended)
        (count,) = self._execute("SELECT COUNT(*) FROM downloads").fetchone()
        found = Overview(live + over)
        found.more = max(0, count - len(found))
        return found

    def latest_for_stub(self, name: str, peer_id: str, item_id: str) -> Download | None:
        """The newest row a stub of that file name and content ever got."""
        where = "torrent_filename = ? AND peer_id = ? AND item_id = ? ORDER BY id DESC"
        return self._first(where, name_value(name), peer_id, item_id)

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
        now = time_value(self._clock.now())
        columns = {
            "status": (S.WAITING if blocked_by else S.QUEUED).value,
            "wait_reason": WaitReason.BLOCKED.value if blocked_by else None,
            "torrent_filename": name_value(torrent_filename),
            "stub_fingerprint": stub_fingerprint,
            "stub_present": True,
            "peer_id": peer_id,
            "peer_name": peer_name,
            "item_id": release.id,
            "filename": release.filename,
            "dest_path": name_value(dest_path),
            "category": release.category,
            "release_size": release.size,
            "release_json": json.dumps(release_json, ensure_ascii=False),
            "expected_bytes_mismatch": False,
            "downloaded_bytes": 0,
            "best_bytes": 0,
            "attempts": 0,
            "fruitless_attempts": 0,
            "blocked_by": blocked_by,
            "error": sentence,
            "info_hash": info_hash,
            "announced_bytes": announced_bytes,
            "started_at": now,
            "updated_at": now,
        }
        made = self._database.commit(lambda: self.get(self._insert(columns)))
        if made is None:
            raise StorageError("the database lost a row it had just taken")
        return made

    def begin_attempt(self, download: Download, *, may_stand: bool = False) -> Download | None:
        """`queued`/`waiting` -> `downloading`, one attempt more; the row as it is then. None when
        it is not to be worked on.

        With it goes what is known of the servers' histories now, before the final name can appear.
        `may_stand`: it may have appeared before a crash; then what was known earlier counts.
        """

        def record() -> bool:
            begun = self._update(
                download.id,
                (S.QUEUED, S.WAITING, S.DOWNLOADING),
                status=S.DOWNLOADING.value,
                attempts=Sql("attempts + 1"),
                next_attempt_at=None,
                wait_reason=None,
            )
            if begun:
                self._execute(_MARK_OLD if may_stand else _MARK, download.id)
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
        return self._update(download_id, LIVE, attempts=Sql("attempts - 1"))

    def expect(
        self,
        download_id: int,
        expectation: Expectation | None,
        validator: Validator | None = None,
        part_inode: int | None = None,
    ) -> bool:
        """`part_inode`: of the `.part` that is about to be written for the first time."""
        made = {} if part_inode is None else {"part_inode": str(part_inode)}
        changes = {**expected_columns(expectation), **validator_columns(validator), **made}
        return self._update(download_id, LIVE, **changes)

    def restart(self, download_id: int, reason: str, validator: Validator) -> bool:
        """Everything on disk is given up: offset 0, the new validator, and why, in one commit."""
        return self._update(
            download_id,
            LIVE,
            downloaded_bytes=0,
            error=reason,
            restarts=Sql("restarts + 1"),
            **validator_columns(validator),
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
            best_bytes=Sql("MAX(best_bytes, ?)", offset),
            **expected_columns(expectation),
            **validator_columns(validator),
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
        """All downloads of a peer that is left alone for a while, in one statement; returns how
        many.
        """
        held = (WaitReason.UNREACHABLE, WaitReason.REFUSED, WaitReason.COOLDOWN)
        return self._change(
            "peer_id = ? AND (status = 'queued'"
            " OR (status = 'waiting' AND wait_reason IN (?, ?, ?)))",
            (peer_id, *(each.value for each in held)),
            status=S.WAITING.value,
            wait_reason=reason.value,
            error=sentence,
            next_attempt_at=until,
            updated_at=self._clock.now(),
        )

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

    def complete(self, download_id: int, size: int, inode: int | None = None) -> bool:
        """The whole file stands; `inode` is what tells it from a later one of that name."""
        return self._update(
            download_id,
            LIVE,
            status=S.COMPLETED.value,
            downloaded_bytes=size,
            expected_bytes=size,
            best_bytes=size,
            completed_at=self._clock.now(),
            finished_inode=None if inode is None else str(inode),
            part_inode=None,
            moved_part=None,
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

    def import_queued(self, download_id: int, server: str, until: datetime) -> bool:
        """`server` has taken the command; before `until` it is not asked again."""
        return self._update(
            download_id,
            (S.COMPLETED, S.IMPORT_QUEUED),
            status=S.IMPORT_QUEUED.value,
            error=None,
            next_attempt_at=until,
            import_asked=server,
        )

    def import_lost(self, download_id: int, sentence: str) -> bool:
        """Nobody knows any more what became of the file."""
        return self._update(
            download_id,
            (S.COMPLETED, S.IMPORT_QUEUED),
            status=S.IMPORT_QUEUED.value,
            error=sentence,
            next_attempt_at=None,
        )

    def import_rejected(self, download_id: int, sentence: str) -> bool:
        """Back to `completed`, with the server's words, until a person asks again."""
        return self._update(
            download_id,
            (S.COMPLETED, S.IMPORT_QUEUED),
            status=S.COMPLETED.value,
            error=sentence,
            next_attempt_at=None,
        )

    def imported(self, download_id: int) -> bool:
        """A server's history shows the file in its library."""
        return self._update(
            download_id,
            (S.COMPLETED, S.IMPORT_QUEUED),
            status=S.IMPORTED.value,
            error=None,
            next_attempt_at=None,
        )

    def import_retried(self, download_id: int) -> bool:
        """A person asked again: what was said before does not hold any more."""
        return self._update(
            download_id,
            (S.COMPLETED, S.IMPORT_QUEUED),
            status=S.COMPLETED.value,
            error=None,
            next_attempt_at=None,
        )

    def fail(self, download_id: int, sentence: str) -> bool:
        return self._settle(download_id, S.FAILED, LIVE, sentence)

    def cancel(self, download_id: int, sentence: str) -> bool:
        return self._settle(download_id, S.CANCELLED, LIVE | {S.FAILED}, sentence)

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
            status=S.QUEUED.value,
            fruitless_attempts=0,
            restarts=0,
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

    def stubs_gone(self, download_ids: Sequence[int]) -> None:
        """The stubs of these rows are no longer in the watch folder."""
        with self._database.transaction():
            for download_id in download_ids:
                self._change("id = ?", (download_id,), stub_present=False)

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
