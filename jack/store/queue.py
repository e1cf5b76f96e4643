"""The rows that are to be worked on. The table is the queue: whoever works on it asks for ids and
for single rows, never for all of them at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from jack.model import LIVE, Download, DownloadStatus, Stub, WaitReason
from jack.store.models import name_of, name_value, time_of
from jack.store.rows import DownloadRows
from jack.support.files import PART_SUFFIX

_LIVE = [status.value for status in LIVE]
IS_LIVE = f"status IN ({', '.join('?' * len(_LIVE))})"
_PAGE = 200
_NO_ID_IS_AS_HIGH = 2**63 - 1


class DownloadQueue(DownloadRows):
    """Who owns which file, and what waits for its turn."""

    def owned(self, dest: Path) -> Download | None:
        """The same as `owner`, the whole row."""
        owner = self.owner(dest)
        return None if owner is None else self._first("id = ?", owner)

    def owner(self, dest: Path) -> int | None:
        """The download that writes `dest` or is the next to do so; there is at most one.

        To act on the answer, ask inside the transaction that acts.
        """
        where = f"dest_path = ? AND {IS_LIVE} AND blocked_by IS NULL"
        statement = f"SELECT id FROM downloads WHERE {where}"  # noqa: S608  (our own words)
        row = self._execute(statement, name_value(dest), *_LIVE).fetchone()
        return None if row is None else int(row[0])

    def live_at(self, dest: Path, but: int) -> Download | None:
        """A download that owns `dest` or waits for it, other than `but`."""
        return self._first(
            f"dest_path = ? AND id != ? AND {IS_LIVE}", name_value(dest), but, *_LIVE
        )

    def may_go_on_with(self, part: Path) -> bool:
        """Whether a download could go on with that `.part`."""
        where = f"(moved_part = ? OR dest_path = ?) AND ({IS_LIVE} OR status = ?)"
        paths = (name_value(part), name_value(part.with_name(part.name.removesuffix(PART_SUFFIX))))
        return self._first(where, *paths, *_LIVE, DownloadStatus.FAILED.value) is not None

    def move(self, download: Download, dest: Path, keeps_part: bool) -> bool:
        """Its name is taken by something else: the download goes on under the name `dest`, with its
        `.part` where that is, or with none and from byte 0. To be run in a transaction.
        """
        if self.owner(dest) is not None:
            return False
        changes: dict[str, Any] = {"dest_path": name_value(dest), "blocked_by": None}
        if download.is_live:
            queued = DownloadStatus.QUEUED.value
            changes |= {"status": queued, "wait_reason": None, "error": None}
        if keeps_part:
            changes["moved_part"] = name_value(download.part_path)
        else:
            changes |= {"moved_part": None, "part_inode": None, "downloaded_bytes": 0}
        return self._update(download.id, {download.status}, **changes)

    def of_one_release(self, first: int, second: int) -> bool:
        """Whether the friend has said the very same of both downloads."""
        statement = "SELECT COUNT(DISTINCT release_json) FROM downloads WHERE id IN (?, ?)"
        return bool(self._execute(statement, first, second).fetchone()[0] == 1)

    def is_recorded_for_another(self, part_inode: int, download_id: int) -> bool:
        """Whether that `.part` is known as one that another download made."""
        where = "part_inode = ? AND id != ?"
        return self._first(where, str(part_inode), download_id) is not None

    def live(self) -> Iterator[Download]:
        """Everything that still owns its destination or waits for it, oldest first."""
        return self._pages(IS_LIVE, *_LIVE)

    def behind(self) -> list[Download]:
        """What waits for another one's file, those behind the oldest first."""
        return self._list(f"blocked_by IS NOT NULL AND {IS_LIVE} ORDER BY blocked_by, id", *_LIVE)

    def with_status(self, status: DownloadStatus) -> Iterator[Download]:
        return self._pages("status = ?", status.value)

    def stubs_left_behind(self) -> Iterator[Download]:
        """Rows that are settled but whose stub was still there when last looked at."""
        return self._pages(f"stub_present AND NOT {IS_LIVE}", *_LIVE, by="+id")

    def followers(self, of: Download) -> list[Download]:
        """What waits for that one's file."""
        where = f"dest_path = ? AND blocked_by = ? AND {IS_LIVE} ORDER BY id"
        return self._list(where, name_value(of.dest_path), of.id, *_LIVE)

    def due(self) -> list[tuple[int, datetime | None, datetime | None]]:
        """The ids of all live rows, oldest first, each with when it may go on (None is now), and
        when that was written.

        A wait for space ends by a look at the disk, not by the clock.
        """
        statement = (
            "SELECT id, CASE WHEN wait_reason = ? THEN NULL ELSE next_attempt_at END,"  # noqa: S608
            " updated_at"
            f" FROM downloads WHERE {IS_LIVE} ORDER BY id"
        )
        rows = self._execute(statement, WaitReason.SPACE.value, *_LIVE)
        return [(row[0], time_of(row[1]), time_of(row[2])) for row in rows]

    # -- wishes of other processes ---------------------------------------------------------------

    def ask(self, download_id: int, wish: str) -> bool:
        """Leave a wish ("retry", "cancel") for the running daemon."""
        return bool(self._change("id = ?", (download_id,), requested=wish))

    def wishes(self) -> list[tuple[int, str]]:
        rows = self._execute("SELECT id, requested FROM downloads WHERE requested IS NOT NULL")
        return list(rows.fetchall())

    def wish_granted(self, download_id: int) -> bool:
        return bool(
            self._change("id = ? AND requested IS NOT NULL", (download_id,), requested=None)
        )

    def wish_of(self, download_id: int) -> str | None:
        row = self._execute("SELECT requested FROM downloads WHERE id = ?", download_id).fetchone()
        return row[0] if row else None

    def release_of(self, download_id: int) -> dict[str, Any]:
        """The release as the peer last described it, in the wire's form."""
        statement = "SELECT release_json FROM downloads WHERE id = ?"
        row = self._execute(statement, download_id).fetchone()
        release = json.loads(row[0]) if row else None
        return release if isinstance(release, dict) else {}

    def set_release(self, download_id: int, size: int, release: dict[str, Any]) -> bool:
        """The peer describes it like that now."""
        text = json.dumps(release, ensure_ascii=False)
        return self._update(download_id, LIVE, release_size=size, release_json=text)

    def live_stubs(self) -> Iterator[tuple[str, Stub]]:
        """File name and content of every stub that belongs to a live row, some at a time."""
        statement = (
            "SELECT torrent_filename, peer_id, item_id FROM downloads"  # noqa: S608
            f" WHERE stub_present AND {IS_LIVE}"
        )
        for name, peer_id, item_id in self._execute(statement, *_LIVE):
            yield name_of(name), Stub(peer_id, item_id)

    def _pages(self, where: str, *values: object, by: str = "id") -> Iterator[Download]:
        """Rows by id, some at a time: what is done to one must not depend on all being in memory.
        A row that comes to fit later is met as well, unless it has a lower id.

        `by` "+id" keeps SQLite from walking through all ids where few of them fit.
        """
        last, page = 0, list[Download]()
        while last == 0 or len(page) == _PAGE:
            page = self._list(f"({where}) AND {by} > ? ORDER BY {by} LIMIT {_PAGE}", *values, last)
            yield from page
            last = page[-1].id if page else -1

    def latest_for_destination(self, dest: Path, before_id: int | None = None) -> Download | None:
        """The newest row (older than `before_id`) that wrote or writes to `dest`."""
        before = before_id if before_id is not None else _NO_ID_IS_AS_HIGH
        where = "dest_path = ? AND id < ? ORDER BY id DESC"
        return self._first(where, name_value(dest), before)

    def still_needed(self, dest: Path, by_others_than: int) -> bool:
        """Whether another finished download of the same file is not imported yet."""
        others = (DownloadStatus.COMPLETED.value, DownloadStatus.IMPORT_QUEUED.value)
        where = "dest_path = ? AND id != ? AND status IN (?, ?)"
        return self._first(where, name_value(dest), by_others_than, *others) is not None
