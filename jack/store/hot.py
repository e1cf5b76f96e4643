"""Statements that run for every download or shared release, with their text built once.

peewee builds a query anew at each call, which takes several times longer than SQLite needs to run
it. These few are built when they are first needed, with places where the values of a call go. Their
gain stands at each: time on a core for one call, with its text built anew -> with it kept. A small
file takes about 6 ms in all, and 12 of these calls.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from peewee import EXCLUDED, Field, SqliteDatabase, Tuple, Value

from jack.model import LIVE, Download, DownloadStatus
from jack.store.models import DeliveryMark, DownloadRow, NewestRecord, SharedRow

_DIALECT = SqliteDatabase(None)


class Filled(NamedTuple):
    """A statement with the values of one call; `sql()` like a query of peewee."""

    text: str
    values: list[Any]

    def sql(self) -> Filled:
        return self


@dataclass(frozen=True)
class _Place:
    """Where the value of a call goes; it is named like the column."""

    field: Field


def _given(field: Field) -> Value:
    return Value(_Place(field), converter=False)


class Statement:
    """A query of peewee whose text is built once; called with a value for every place."""

    def __init__(self, query: Any) -> None:
        self._text, self._values = _DIALECT.get_sql_context().parse(query)
        places = [(i, each) for i, each in enumerate(self._values) if isinstance(each, _Place)]
        self._places: list[tuple[int, str, Any]] = [
            (i, each.field.name, each.field.db_value) for i, each in places
        ]

    def __call__(self, **given: Any) -> Filled:
        values = list(self._values)
        for i, name, db_value in self._places:
            values[i] = db_value(given[name])
        return Filled(self._text, values)


ROW = [
    *(getattr(DownloadRow, field.name) for field in fields(Download) if field.name != "validator"),
    DownloadRow.etag,
    DownloadRow.last_modified,
]
"""The columns of a download, in the order in which `jack.store.rows` reads them."""
RELEASE = [getattr(SharedRow, name) for name in SharedRow._meta.sorted_field_names[1:]]
"""Those of a shared release."""


@functools.cache
def transition(columns: tuple[str, ...], sources: frozenset[DownloadStatus]) -> Statement:
    """These columns of the download `id`, when it is in one of `sources`. 392 us -> 50 us."""
    row = DownloadRow
    changes = {getattr(row, name): _given(getattr(row, name)) for name in columns}
    return Statement(row.update(changes).where(row.id == _given(row.id), row.status.in_(sources)))


@functools.cache
def insert(columns: tuple[str, ...]) -> Statement:
    """A new download; a column that is not given gets its default. 476 us -> 51 us."""
    row = DownloadRow
    return Statement(
        row.insert({getattr(row, name): _given(getattr(row, name)) for name in columns})
    )


@functools.cache
def begin_attempt() -> Statement:
    """One attempt more of the download `id`. 334 us -> 30 us."""
    row = DownloadRow
    changes = {
        row.status: DownloadStatus.DOWNLOADING,
        row.attempts: row.attempts + 1,
        row.next_attempt_at: None,
        row.wait_reason: None,
        row.updated_at: _given(row.updated_at),
    }
    return Statement(row.update(changes).where(row.id == _given(row.id), row.status.in_(LIVE)))


@functools.cache
def mark(may_stand: bool) -> Statement:
    """What is known of the servers' histories, for `download_id`; `may_stand`: unless something is
    on record already. 141 us -> 5 us.
    """
    known, marked = NewestRecord, DeliveryMark
    query = marked.insert_from(
        known.select(_given(marked.download_id), known.server, known.record_id),
        fields=[marked.download_id, marked.server, marked.record_id],
    )
    return Statement(query.on_conflict_ignore() if may_stand else query.on_conflict_replace())


@functools.cache
def row() -> Statement:
    """The download `id`. 503 us -> 13 us."""
    return Statement(DownloadRow.select(*ROW).where(DownloadRow.id == _given(DownloadRow.id)))


@functools.cache
def latest_for_stub() -> Statement:
    """The newest download of `torrent_filename`, `peer_id` and `item_id`. 618 us -> 15 us."""
    row = DownloadRow
    by = (row.torrent_filename, row.peer_id, row.item_id)
    query = row.select(*ROW).where(*(field == _given(field) for field in by))
    return Statement(query.order_by(row.id.desc()).limit(1))


@functools.cache
def latest_at() -> Statement:
    """The newest download of `dest_path` with an id below `id`. 628 us -> 21 us."""
    row = DownloadRow
    query = row.select(*ROW).where(row.dest_path == _given(row.dest_path), row.id < _given(row.id))
    return Statement(query.order_by(row.id.desc()).limit(1))


@functools.cache
def live_at() -> Statement:
    """What owns `dest_path` or waits for it, oldest first. 625 us -> 30 us."""
    row = DownloadRow
    query = row.select(*ROW).where(row.dest_path == _given(row.dest_path), row.status.in_(LIVE))
    return Statement(query.order_by(row.id))


@functools.cache
def release() -> Statement:
    """The shared release `release_id`. 256 us -> 6 us, twice for a file served."""
    row = SharedRow
    return Statement(row.select(*RELEASE).where(row.release_id == _given(row.release_id)))


@functools.cache
def put_release() -> Statement:
    """A shared release, new or in place of what it was. A row that says the same is left alone:
    most of a pass over a source then writes nothing at all. 566 us -> 15 us.
    """
    row = SharedRow
    told = (row.source, row.owner, row.path, row.body)
    return Statement(
        row.insert({field: _given(field) for field in RELEASE}).on_conflict(
            conflict_target=[row.release_id],
            update={field: getattr(EXCLUDED, field.name) for field in RELEASE},
            where=Tuple(*told) != Tuple(*(getattr(EXCLUDED, field.name) for field in told)),
        )
    )
