"""The pictures table: how large the picture of a shared file is, as its header says.

A copy of what the files say: losing a row costs a look into the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jack.store.database import Database, translated


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
        with self._database.connection(), translated():
            rows = self._execute(
                "SELECT path, size, modified_ns, width, height FROM pictures WHERE source = ?",
                source,
            )
            return {path: Picture(*values) for path, *values in rows.fetchall()}

    def put(self, source: str, pictures: Mapping[str, Picture]) -> None:
        """Remember them, in one transaction."""
        with self._database.connection(), self._database.transaction():
            for path, picture in pictures.items():
                self._execute(
                    "INSERT OR REPLACE INTO pictures"
                    " (source, path, size, modified_ns, width, height) VALUES (?, ?, ?, ?, ?, ?)",
                    source,
                    path,
                    picture.size,
                    picture.modified_ns,
                    picture.width,
                    picture.height,
                )

    def forget(self, source: str, paths: Iterable[str]) -> None:
        with self._database.connection(), self._database.transaction():
            for path in paths:
                self._execute("DELETE FROM pictures WHERE source = ? AND path = ?", source, path)

    def keep_sources(self, sources: Iterable[str]) -> None:
        """Forget every source but these."""
        kept = list(sources)
        marks = ", ".join("?" * len(kept))
        with self._database.connection(), self._database.transaction():
            self._execute(f"DELETE FROM pictures WHERE source NOT IN ({marks})", *kept)  # noqa: S608

    def _execute(self, sql: str, *values: Any) -> Any:
        execute: Any = self._database.raw.execute_sql
        return execute(sql, values)
