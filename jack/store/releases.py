"""The releases table: everything we share, one row each, and how far each source was read.

The rows are a copy of what the sources say; losing one costs a scan, never a file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

from jack.store.database import Database, translated
from jack.store.models import name_of, name_value, time_of, time_value

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


_COLUMNS = tuple(column.name for column in fields(ReleaseRow))
_PATH = _COLUMNS.index("path")
_NAMES = ", ".join(_COLUMNS)
_UPSERT = (
    f"INSERT INTO releases (source, generation, {_NAMES})"  # noqa: S608  (names of our own fields)
    f" VALUES (?, ?, {', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT (release_id) DO UPDATE SET source = excluded.source,"
    " generation = excluded.generation, "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
    # A row that says the same is left alone: most of a rescan then writes nothing at all.
    + " WHERE (releases.source, releases.owner, releases.path, releases.body)"
    " <> (excluded.source, excluded.owner, excluded.path, excluded.body)"
)


class Releases:
    """Repository of releases; opens a connection for the calling thread where there is none.

    Every method raises StorageError when SQLite does not take the statement.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- reading ---------------------------------------------------------------------------------

    def get(self, release_id: str) -> tuple[str, ReleaseRow] | None:
        """The source and the row of one release."""
        with self._database.connection(), translated():
            found = self._execute(
                f"SELECT source, {_NAMES} FROM releases WHERE release_id = ?",  # noqa: S608
                release_id,
            ).fetchone()
        if found is None:
            return None
        source, *values = found
        values[_PATH] = name_of(values[_PATH])
        return source, ReleaseRow(*values)

    def by_ids(self, **wanted: str | int) -> list[str]:
        """The bodies of all rows with these column values, newest first."""
        where = " AND ".join(f"{_column(name)} = ?" for name in wanted)
        with self._database.connection(), translated():
            rows = self._execute(
                f"SELECT body FROM releases WHERE {where} ORDER BY published DESC, id",  # noqa: S608
                *wanted.values(),
            )
            return [body for (body,) in rows.fetchall()]

    def each(self, take: Callable[[str], object]) -> None:
        """Hand every body to `take`, newest first, without holding them all in memory."""
        with self._database.connection(), translated():
            for (body,) in self._execute("SELECT body FROM releases ORDER BY published DESC, id"):
                take(body)

    def count(self) -> int:
        with self._database.connection(), translated():
            return int(self._execute("SELECT COUNT(*) FROM releases").fetchone()[0])

    def state(self, source: str) -> SourceState:
        """What is known about a source; the empty state when it was never read."""
        with self._database.connection(), translated():
            found = self._execute(
                "SELECT roots, synced_at, history_id, history_date FROM release_sources"
                " WHERE source = ?",
                source,
            ).fetchone()
        if found is None:
            return SourceState()
        return SourceState(tuple(json.loads(found[0])), time_of(found[1]), found[2], found[3])

    # -- writing ---------------------------------------------------------------------------------

    def keep_sources(self, sources: Iterable[str]) -> None:
        """Forget every source but these: what left the config is not shared any more."""
        kept = list(sources)
        marks = ", ".join("?" * len(kept))
        with self._database.connection(), self._database.transaction():
            for table in ("releases", "release_sources"):
                self._execute(f"DELETE FROM {table} WHERE source NOT IN ({marks})", *kept)  # noqa: S608

    def set_roots(self, source: str, roots: Sequence[str]) -> None:
        self._set(source, "roots", json.dumps(list(roots)))

    def set_history(self, source: str, record_id: int, date: str) -> None:
        """Everything up to this history record is in the table."""
        self._set(source, "history_id", record_id)
        self._set(source, "history_date", date)

    def replace_owner(self, source: str, owner: int, rows: Sequence[ReleaseRow]) -> None:
        """Make `rows` all there is of one movie or series; an empty list removes it."""
        kept = json.dumps([row.release_id for row in rows])
        with self._database.connection(), self._database.transaction():
            generation = self._generation(source)
            self._execute(
                "DELETE FROM releases WHERE source = ? AND owner = ?"
                " AND release_id NOT IN (SELECT value FROM json_each(?))",
                source,
                owner,
                kept,
            )
            for row in rows:
                self._upsert(source, generation, row)

    @contextlib.contextmanager
    def sweep(self, source: str, started_at: datetime) -> Iterator[Sweep]:
        """A whole pass over a source: put what is there, `finish` removes what was not put.

        Without `finish` (the source failed half way) nothing is removed. Rows that others write
        while the pass runs stay.
        """
        with self._database.connection():
            with self._database.transaction():
                self._note(source)
                self._execute(
                    "UPDATE release_sources SET generation = generation + 1 WHERE source = ?",
                    source,
                )
                generation = self._generation(source)
            with translated():
                self._execute("CREATE TEMP TABLE IF NOT EXISTS swept (release_id TEXT PRIMARY KEY)")
                self._execute("DELETE FROM swept")
            yield Sweep(self, source, generation, started_at)

    def _put(self, source: str, generation: int, rows: Sequence[ReleaseRow]) -> None:
        with self._database.transaction():
            for row in rows:
                self._upsert(source, generation, row)
                self._execute("INSERT OR IGNORE INTO swept VALUES (?)", row.release_id)

    def _keep_owner(self, source: str, owner: int) -> None:
        with self._database.transaction():
            self._execute(
                "INSERT OR IGNORE INTO swept SELECT release_id FROM releases"
                " WHERE source = ? AND owner = ?",
                source,
                owner,
            )

    def _finish(self, source: str, generation: int, started_at: datetime) -> int:
        with self._database.transaction():
            removed = self._execute(
                "DELETE FROM releases WHERE source = ? AND generation < ?"
                " AND release_id NOT IN (SELECT release_id FROM swept)",
                source,
                generation,
            ).rowcount
            self._set(source, "synced_at", time_value(started_at))
        return int(removed)

    def _upsert(self, source: str, generation: int, row: ReleaseRow) -> None:
        values = dict(zip(_COLUMNS, astuple(row), strict=True))
        values["path"] = name_value(row.path)
        self._execute(_UPSERT, source, generation, *values.values())

    def _generation(self, source: str) -> int:
        found = self._execute("SELECT generation FROM release_sources WHERE source = ?", source)
        row = found.fetchone()
        return int(row[0]) if row else 0

    def _set(self, source: str, column: str, value: Any) -> None:
        with self._database.connection(), self._database.transaction():
            self._note(source)
            self._execute(
                f"UPDATE release_sources SET {column} = ? WHERE source = ?",  # noqa: S608
                value,
                source,
            )

    def _note(self, source: str) -> None:
        self._execute(
            "INSERT OR IGNORE INTO release_sources (source, generation, roots) VALUES (?, 0, '[]')",
            source,
        )

    def _execute(self, sql: str, *values: Any) -> Any:
        execute: Any = self._database.raw.execute_sql
        return execute(sql, values)


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
            self._releases._put(self._source, self._generation, batch)


def _column(name: str) -> str:
    if name not in _COLUMNS:
        raise ValueError(f"{name} is no column of releases")
    return name
