"""The downloads table as values: who owns which file, and what waits for its turn.

The table is the queue: whoever works on it asks for ids and for single rows, never for all of them
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import IntegerField, TextField, fn

from jack.model import LIVE, Download, DownloadStatus, Overview, Stub, Validator, WaitReason
from jack.store import hot
from jack.store.database import Database, translated
from jack.store.models import DownloadRow as Row
from jack.support.clock import Clock
from jack.support.files import PART_SUFFIX

_PAGE = 200
_NO_ID_IS_AS_HIGH = 2**63 - 1
_IS_LIVE = Row.status.in_(LIVE)
_NEWEST = (Row.updated_at.desc(), Row.id.desc())
_NAMES = [field.name for field in hot.ROW]
_READ = {
    field.name: field.python_value
    for field in hot.ROW
    if not isinstance(field, (IntegerField, TextField))  # SQLite's own values
}


class DownloadRows:
    """What can be asked of the downloads. Raises StorageError like all of the room."""

    def __init__(self, database: Database, clock: Clock, clean: Callable[[str], str] = str) -> None:
        """`clean` takes secrets out of sentences: a peer may send our own key back to us."""
        self._database = database
        self._clock = clock
        self._clean = clean

    def get(self, download_id: int) -> Download | None:
        return self._first(hot.row()(id=download_id))

    def all(self) -> list[Download]:
        """Newest change first; ties by id."""
        return list(self.each())

    def each(self) -> Iterator[Download]:
        """The same, one after the other: as they were when the first one was read."""
        return self._each(_rows().order_by(*_NEWEST))

    def overview(self, ended: int) -> Overview:
        """What is live and the last `ended` that have ended, each newest change first. A history
        of years costs no more than a short one.
        """
        live = self._list(_rows(_IS_LIVE).order_by(*_NEWEST))
        over = self._list(_rows(~_IS_LIVE).order_by(*_NEWEST).limit(ended))
        found = Overview(live + over)
        ((count,),) = self._database.rows(Row.select(fn.COUNT(Row.id)))
        found.more = max(0, count - len(found))
        return found

    def latest_for_stub(self, name: str, peer_id: str, item_id: str) -> Download | None:
        """The newest row a stub of that file name and content ever got."""
        return self._first(
            hot.latest_for_stub()(torrent_filename=name, peer_id=peer_id, item_id=item_id)
        )

    # -- destinations ----------------------------------------------------------------------------

    def owned(self, dest: Path) -> Download | None:
        """The download that writes `dest` or is the next to do so; there is at most one.

        To act on the answer, ask inside the transaction that acts.
        """
        return next((row for row in self._live_at(dest) if row.blocked_by is None), None)

    def owner(self, dest: Path) -> int | None:
        """The id of that one."""
        owner = self.owned(dest)
        return None if owner is None else owner.id

    def live_at(self, dest: Path, but: int) -> Download | None:
        """A download that owns `dest` or waits for it, other than `but`."""
        return next((row for row in self._live_at(dest) if row.id != but), None)

    def followers(self, of: Download) -> list[Download]:
        """What waits for that one's file."""
        return [row for row in self._live_at(of.dest_path) if row.blocked_by == of.id]

    def _live_at(self, dest: Path) -> list[Download]:
        return self._list(hot.live_at()(dest_path=dest))

    def latest_for_destination(self, dest: Path, before_id: int | None = None) -> Download | None:
        """The newest row (older than `before_id`) that wrote or writes to `dest`."""
        before = before_id if before_id is not None else _NO_ID_IS_AS_HIGH
        return self._first(hot.latest_at()(dest_path=dest, id=before))

    def still_needed(self, dest: Path, by_others_than: int) -> bool:
        """Whether another finished download of the same file is not imported yet."""
        not_yet = Row.status.in_((DownloadStatus.COMPLETED, DownloadStatus.IMPORT_QUEUED))
        return self._any(Row.dest_path == dest, Row.id != by_others_than, not_yet)

    def may_go_on_with(self, part: Path) -> bool:
        """Whether a download could go on with that `.part`."""
        dest = part.with_name(part.name.removesuffix(PART_SUFFIX))
        is_its = (Row.moved_part == part) | (Row.dest_path == dest)
        return self._any(is_its, Row.status.in_(LIVE | {DownloadStatus.FAILED}))

    def is_recorded_for_another(self, part_inode: int, download_id: int) -> bool:
        """Whether that `.part` is known as one that another download made."""
        return self._any(Row.part_inode == part_inode, Row.id != download_id)

    def of_one_release(self, first: int, second: int) -> bool:
        """Whether the friend has said the very same of both downloads."""
        told = Row.select(Row.release_json).where(Row.id.in_((first, second))).distinct()
        return len(list(self._database.rows(told))) == 1

    def release_of(self, download_id: int) -> dict[str, Any]:
        """The release as the peer last described it, in the wire's form."""
        told = self._database.rows(Row.select(Row.release_json).where(Row.id == download_id))
        release = next((release for (release,) in told), None)
        return release if isinstance(release, dict) else {}

    # -- many ------------------------------------------------------------------------------------

    def live(self) -> Iterator[Download]:
        """Everything that still owns its destination or waits for it, oldest first."""
        return self._pages(_IS_LIVE)

    def behind(self) -> list[Download]:
        """What waits for another one's file, those behind the oldest first."""
        waiting = _rows(Row.blocked_by.is_null(False), _IS_LIVE)
        return self._list(waiting.order_by(Row.blocked_by, Row.id))

    def with_status(self, status: DownloadStatus) -> Iterator[Download]:
        return self._pages(Row.status == status)

    def stubs_left_behind(self) -> Iterator[Download]:
        """Rows that are settled but whose stub was still there when last looked at."""
        # A sum keeps SQLite from walking through all ids, few of which fit.
        return self._pages(Row.stub_present, ~_IS_LIVE, by=Row.id + 0)

    def live_stubs(self) -> Iterator[tuple[str, Stub]]:
        """File name and content of every stub that belongs to a live row, some at a time."""
        columns = Row.select(Row.torrent_filename, Row.peer_id, Row.item_id)
        for name, *stub in self._database.rows(columns.where(Row.stub_present, _IS_LIVE)):
            yield name, Stub(*stub)

    def due(self) -> list[tuple[int, datetime | None, datetime | None]]:
        """The ids of all live rows, oldest first, each with when it may go on (None is now), and
        when that was written.

        A wait for space ends by a look at the disk, not by the clock.
        """
        rows = Row.select(Row.id, Row.wait_reason, Row.next_attempt_at, Row.updated_at)
        return [
            (row_id, None if reason is WaitReason.SPACE else due, written)
            for row_id, reason, due, written in self._database.rows(
                rows.where(_IS_LIVE).order_by(Row.id)
            )
        ]

    # -- inside ----------------------------------------------------------------------------------

    def _pages(self, *where: Any, by: Any = Row.id) -> Iterator[Download]:
        """Rows by id, some at a time: what is done to one must not depend on all being in memory.
        A row that comes to fit later is met as well, unless it has a lower id.
        """
        last, page = 0, list[Download]()
        while last == 0 or len(page) == _PAGE:
            page = self._list(_rows(*where, by > last).order_by(by).limit(_PAGE))
            yield from page
            last = page[-1].id if page else -1

    def _any(self, *where: Any) -> bool:
        return any(True for _ in self._database.rows(Row.select(Row.id).where(*where).limit(1)))

    def _first(self, query: Any) -> Download | None:
        return next(iter(self._list(query)), None)

    def _list(self, query: Any) -> list[Download]:
        with translated():
            return [_download(row) for row in self._database.execute(*query.sql())]

    def _each(self, query: Any) -> Iterator[Download]:
        with translated():
            for row in self._database.execute(*query.sql()):
                yield _download(row)


def _rows(*where: Any) -> Any:
    query = Row.select(*hot.ROW)
    return query.where(*where) if where else query


def _download(row: Sequence[Any]) -> Download:
    """Columns in the order of `hot.ROW`."""
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    for name, read in _READ.items():
        values[name] = read(values[name])
    validator = Validator(values.pop("etag"), values.pop("last_modified"))
    return Download(validator=validator, **values)
