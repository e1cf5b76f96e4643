"""The handovers table: which Radarr or Sonarr has taken which finished download."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jack.store.database import Database, translated
from jack.store.models import HandoverRow
from jack.support.clock import Clock


class Handovers:
    """Repository of handovers; one row per download and server. Raises StorageError like its
    sibling.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def plan(self, download_id: int, servers: Iterable[str]) -> None:
        """Note whom to tell; servers already noted keep their state."""
        with self._database.transaction():
            for server in servers:
                HandoverRow.insert(
                    download_id=download_id, server=server
                ).on_conflict_ignore().execute()

    def accept(self, download_id: int, server: str, command_id: int) -> None:
        with self._database.transaction():
            HandoverRow.update(command_id=command_id, accepted_at=self._clock.now()).where(
                HandoverRow.download_id == download_id, HandoverRow.server == server
            ).execute()

    def open(self) -> list[tuple[int, str]]:
        """(download id, server) of everything not accepted yet, oldest first."""
        with translated():
            query: Any = HandoverRow.select(HandoverRow.download_id, HandoverRow.server).where(
                HandoverRow.accepted_at.is_null()
            )
            return list(query.order_by(HandoverRow.id).tuples())

    def accepted_servers(self, download_id: int) -> set[str]:
        with translated():
            query: Any = HandoverRow.select(HandoverRow.server).where(
                HandoverRow.download_id == download_id, HandoverRow.accepted_at.is_null(False)
            )
            return {server for (server,) in query.tuples()}

    def drop(self, download_id: int, server: str) -> None:
        """The server is not in the config any more."""
        with self._database.transaction():
            HandoverRow.delete().where(
                HandoverRow.download_id == download_id, HandoverRow.server == server
            ).execute()
