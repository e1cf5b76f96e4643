"""The pictures table: how large the picture of a shared file is, as its header says.

A copy of what the files say: losing a row costs a look into the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from peewee import chunked

from jack.store.database import Database
from jack.store.models import PictureRow as Row

_AT_ONCE = 100


@dataclass(frozen=True)
class Picture:
    """Width and height in the version of a file that has this size (bytes) and mtime; 0 when the
    file does not tell.
    """

    size: int
    modified_ns: int
    width: int
    height: int

    def is_of(self, size: int, modified_ns: int) -> bool:
        return (self.size, self.modified_ns) == (size, modified_ns)


class Pictures:
    """Repository of pictures, by source and the path in it. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, source: str) -> dict[str, Picture]:
        """All that is known of one source."""
        columns = (Row.path, Row.size, Row.modified_ns, Row.width, Row.height)
        with self._database.connection():
            rows = self._database.rows(Row.select(*columns).where(Row.source == source))
            return {path: Picture(*values) for path, *values in rows}

    def put(self, source: str, pictures: Mapping[str, Picture]) -> None:
        """Remember them, in one transaction."""
        rows = [{"source": source, "path": path, **vars(pictures[path])} for path in pictures]
        with self._database.connection(), self._database.transaction():
            for some in chunked(rows, _AT_ONCE):
                self._database.change(Row.insert_many(some).on_conflict_replace())

    def forget(self, source: str, paths: Iterable[str]) -> None:
        with self._database.connection(), self._database.transaction():
            for some in chunked(paths, _AT_ONCE):
                gone = Row.delete().where(Row.source == source, Row.path.in_(some))
                self._database.change(gone)

    def keep_sources(self, sources: Iterable[str]) -> None:
        """Forget every source but these."""
        with self._database.connection():
            self._database.change(Row.delete().where(Row.source.not_in(list(sources))))
