"""Small things to remember over a restart, by name."""

from __future__ import annotations

from jack.store.database import Database
from jack.store.models import FactRow


class Facts:
    """Repository of facts. Raises StorageError like its siblings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        known = self._database.rows(FactRow.select(FactRow.value).where(FactRow.name == name))
        return next((value for (value,) in known), None)

    def put(self, name: str, value: str) -> None:
        self._database.change(FactRow.insert(name=name, value=value).on_conflict_replace())
