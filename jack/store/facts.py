"""Small things to remember over a restart, by name."""

from __future__ import annotations

from typing import Any

from jack.store.database import Database, translated


class Facts:
    """Repository of facts. Raises StorageError like its siblings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        row = self._execute("SELECT value FROM facts WHERE name = ?", name).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        with self._database.transaction():
            self._execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", name, value)

    def _execute(self, statement: str, *values: Any) -> Any:
        with translated():
            execute: Any = self._database.raw.execute_sql
            return execute(statement, values)
