"""The handovers table: how far each Radarr or Sonarr is with which finished download."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jack.store.database import Database, translated
from jack.store.models import HandoverRow
from jack.support.clock import Clock


class HandoverState(str, enum.Enum):
    """`OPEN` until the outcome is known."""

    OPEN = "open"
    IMPORTED = "imported"
    REJECTED = "rejected"
    LOST = "lost"
    ELSEWHERE = "elsewhere"
    """Another server of the same kind turned out to be the one that had grabbed it."""


_ASKED_AGAIN = (HandoverState.OPEN, HandoverState.REJECTED, HandoverState.LOST)


@dataclass(frozen=True)
class OpenHandover:
    """What is on record of an import that is still to be brought to its end."""

    download_id: int
    server: str
    asked_at: datetime | None = None
    """When the newest import command was about to be sent."""
    command_id: int | None = None
    """Of that command; None while its answer is unknown."""
    asks: int = 0


class Handovers:
    """Repository of handovers; one row per download and server. Raises StorageError like its
    sibling.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def plan(self, download_id: int, servers: Iterable[str]) -> None:
        """Note whom to tell; servers already noted keep their state."""
        named = list(servers)

        def record() -> None:
            for server in named:
                HandoverRow.insert(
                    download_id=download_id, server=server
                ).on_conflict_ignore().execute()

        with translated():
            self._database.commit(record)

    def open(self, download_id: int | None = None) -> list[OpenHandover]:
        """Everything that has no outcome yet (of one download), oldest first."""
        row = HandoverRow
        with translated():
            query: Any = row.select(
                row.download_id, row.server, row.asked_at, row.command_id, row.asks
            ).where(row.state == HandoverState.OPEN.value)
            if download_id is not None:
                query = query.where(row.download_id == download_id)
            return [OpenHandover(*values) for values in query.order_by(row.id).tuples()]

    def asking(self, download_id: int, server: str) -> bool:
        """A command is about to be sent; False when it is not wanted any more."""
        return self._change(
            download_id,
            server,
            asked_at=self._clock.now(),
            command_id=None,
            asks=HandoverRow.asks + 1,
        )

    def not_asked(self, download_id: int, server: str) -> bool:
        """The command announced by `asking` has certainly not arrived."""
        return self._change(download_id, server, asked_at=None, asks=HandoverRow.asks - 1)

    def accept(self, download_id: int, server: str, command_id: int) -> bool:
        return self._change(download_id, server, command_id=command_id)

    def settle(self, download_id: int, server: str, state: HandoverState) -> bool:
        return self._change(download_id, server, state=state.value)

    def claim(self, download_id: int, server: str) -> None:
        """`server` has grabbed it. Servers that have not, and were not asked yet, are not asked."""
        row, open_, elsewhere = HandoverRow, HandoverState.OPEN, HandoverState.ELSEWHERE
        with self._database.transaction():
            row.update(claimed=True).where(
                row.download_id == download_id, row.server == server
            ).execute()
            row.update(state=open_.value).where(
                row.download_id == download_id,
                row.server == server,
                row.state == elsewhere.value,  # another one that grabbed it too was faster
            ).execute()
            row.update(state=elsewhere.value).where(
                row.download_id == download_id,
                ~row.claimed,
                row.state == open_.value,
                row.asked_at.is_null(),
            ).execute()

    def deny(self, download_id: int, server: str) -> list[str]:
        """`server` has not grabbed it; the others that may have and have not said so far."""
        self._change(download_id, server, denied=True)
        row = HandoverRow
        with translated():
            query: Any = row.select(row.server).where(
                row.download_id == download_id,
                row.server != server,
                row.state == HandoverState.OPEN.value,
                ~row.denied,
                ~row.claimed,
            )
            return [other for (other,) in query.order_by(row.server).tuples()]

    def reopen(self, download_id: int) -> None:
        """A person wants the servers to be asked again, as if for the first time."""
        with self._database.transaction():
            HandoverRow.update(
                state=HandoverState.OPEN.value,
                asked_at=None,
                command_id=None,
                asks=0,
                denied=False,
            ).where(
                HandoverRow.download_id == download_id,
                HandoverRow.state.in_([state.value for state in _ASKED_AGAIN]),
            ).execute()

    def drop(self, download_id: int, server: str) -> None:
        """The server is not in the config any more."""
        with self._database.transaction():
            HandoverRow.delete().where(
                HandoverRow.download_id == download_id, HandoverRow.server == server
            ).execute()

    def _change(self, download_id: int, server: str, **changes: Any) -> bool:
        with self._database.transaction():
            changed = (
                HandoverRow.update(**changes)
                .where(
                    HandoverRow.download_id == download_id,
                    HandoverRow.server == server,
                    HandoverRow.state == HandoverState.OPEN.value,
                )
                .execute()
            )
        return bool(changed)
