"""The releases table: everything we share, one row each, and how far each source was read.

The rows are a copy of what the sources say; losing one costs a scan, never a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import SchemaManager, chunked, fn

from jack.store import hot
from jack.store.database import Database
from jack.store.models import SharedRow as Row
from jack.store.models import SourceRow as Source
from jack.store.models import SweptRow as Swept

BATCH_ROWS = 500
"""Written in one transaction: few enough that a download's record waits milliseconds for them."""


@dataclass(frozen=True)
class ReleaseRow:
    """One release. `path` is its file as jack sees it, `size` bytes, `body` the JSON peers get.

    `owner` is what is replaced together: the *arr's movie or series id, 0 in a plain folder.
    `imdb` stands without its `tt`; `published` is the date in `body`.
    """

    release_id: str
    owner: int
    category: int
    imdb: str | None
    tmdb: int | None
    tvdb: int | None
    season: int | None
    episode: int | None
    published: str | None
    path: str
    size: int
    body: str


@dataclass(frozen=True)
class SourceState:
    """How far a source was read: its `roots` as jack sees them, the start of the last whole pass,
    and the newest history record that was taken into account.
    """

    roots: tuple[str, ...] = ()
    synced_at: datetime | None = None
    history_id: int | None = None
    history_date: str | None = None


_NEWEST: Any = Row.select(Row.body).order_by(Row.published.desc(), Row.id)


class Releases:
    """Repository of releases; opens a connection for the calling thread where there is none.

    Every method raises StorageError when SQLite does not take the statement.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- reading ---------------------------------------------------------------------------------

    def get(self, release_id: str) -> tuple[str, ReleaseRow] | None:
        """The source and the row of one release."""
        with self._database.connection():
            row = self._database.execute(*hot.release()(release_id=release_id)).fetchone()
        if row is None:
            return None
        columns = zip(hot.RELEASE, row, strict=True)
        found = {field.name: field.python_value(value) for field, value in columns}
        del found["generation"]
        return found.pop("source"), ReleaseRow(**found)

    def by_ids(self, **wanted: str | int) -> list[str]:
        """The bodies of all rows with these column values, newest first."""
        matching = [getattr(Row, name) == value for name, value in wanted.items()]
        with self._database.connection():
            return [body for (body,) in self._database.rows(_NEWEST.where(*matching))]

    def each(self, take: Callable[[str], object]) -> None:
        """Hand every body to `take`, newest first, without holding them all in memory."""
        with self._database.connection():
            for (body,) in self._database.rows(_NEWEST):
                take(body)

    def count(self) -> int:
        with self._database.connection():
            ((count,),) = self._database.rows(Row.select(fn.COUNT(Row.id)))
            return int(count)

    def state(self, source: str) -> SourceState:
        """What is known about a source; the empty state when it was never read."""
        columns = (Source.roots, Source.synced_at, Source.history_id, Source.history_date)
        known = Source.select(*columns).where(Source.source == source)
        with self._database.connection():
            for roots, *read in self._database.rows(known):
                return SourceState(tuple(roots), *read)
        return SourceState()

    # -- writing ---------------------------------------------------------------------------------

    def keep_sources(self, sources: Iterable[str]) -> None:
        """Forget every source but these: what left the config is not shared any more."""
        kept = list(sources)
        with self._database.connection(), self._database.transaction():
            for table in (Row, Source):
                self._database.change(table.delete().where(table.source.not_in(kept)))

    def set_roots(self, source: str, roots: Sequence[str]) -> None:
        self._set(source, roots=list(roots))

    def set_history(self, source: str, record_id: int, date: str) -> None:
        """Everything up to this history record is in the table."""
        self._set(source, history_id=record_id, history_date=date)

    def replace_owner(self, source: str, owner: int, rows: Sequence[ReleaseRow]) -> None:
        """Make `rows` all there is of one movie or series; an empty list removes it."""
        of_owner = (Row.source == source) & (Row.owner == owner)
        with self._database.connection(), self._database.transaction():
            known = {
                key for (key,) in self._database.rows(Row.select(Row.release_id).where(of_owner))
            }
            for gone in chunked(known.difference(row.release_id for row in rows), BATCH_ROWS):
                self._database.change(Row.delete().where(Row.release_id.in_(gone)))
            self._put(source, self._generation(source), rows)

    @contextlib.contextmanager
    def sweep(self, source: str, started_at: datetime) -> Iterator[Sweep]:
        """A whole pass over a source: put what is there, `finish` removes what was not put.

        Without `finish` (the source failed half way) nothing is removed. Rows that others write
        while the pass runs stay.
        """
        with self._database.connection():
            self._set(source, generation=Source.generation + 1)
            SchemaManager(Swept, self._database.raw).create_table(temporary=True)
            self._database.change(Swept.delete())
            yield Sweep(self, source, self._generation(source), started_at)

    def _put(self, source: str, generation: int, rows: Iterable[ReleaseRow]) -> None:
        for row in rows:
            new = hot.put_release()(source=source, generation=generation, **vars(row))
            self._database.change(new)

    def _swept(self, source: str, generation: int, rows: Sequence[ReleaseRow]) -> None:
        seen = [(row.release_id,) for row in rows]
        with self._database.transaction():
            self._put(source, generation, rows)
            self._database.change(Swept.insert_many(seen, [Swept.release_id]).on_conflict_ignore())

    def _keep_owner(self, source: str, owner: int) -> None:
        known = Row.select(Row.release_id).where(Row.source == source, Row.owner == owner)
        seen = Swept.insert_from(known, [Swept.release_id]).on_conflict_ignore()
        self._database.change(seen)

    def _finish(self, source: str, generation: int, started_at: datetime) -> int:
        is_old = (Row.source == source) & (Row.generation < generation)
        unseen = is_old & Row.release_id.not_in(Swept.select(Swept.release_id))
        with self._database.transaction():
            removed = self._database.change(Row.delete().where(unseen))
            self._set(source, synced_at=started_at)
        return removed

    def _generation(self, source: str) -> int:
        known = Source.select(Source.generation).where(Source.source == source)
        return next((number for (number,) in self._database.rows(known)), 0)

    def _set(self, source: str, **columns: Any) -> None:
        with self._database.connection(), self._database.transaction():
            self._database.change(Source.insert(source=source).on_conflict_ignore())
            self._database.change(Source.update(columns).where(Source.source == source))


class Sweep:
    """One pass over one source; see `Releases.sweep`. For the thread that opened it."""

    def __init__(
        self, releases: Releases, source: str, generation: int, started_at: datetime
    ) -> None:
        self._releases = releases
        self._source = source
        self._generation = generation
        self._started_at = started_at
        self._batch: list[ReleaseRow] = []

    def put(self, row: ReleaseRow) -> None:
        self._batch.append(row)
        if len(self._batch) >= BATCH_ROWS:
            self._flush()

    def keep_owner(self, owner: int) -> None:
        """This movie or series could not be read: what is known of it stays."""
        self._releases._keep_owner(self._source, owner)

    def finish(self) -> int:
        """The pass saw everything: remove the rest, and return how many rows that were."""
        self._flush()
        return self._releases._finish(self._source, self._generation, self._started_at)

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._releases._swept(self._source, self._generation, batch)
