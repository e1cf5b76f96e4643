"""Downloads that failed for good: how often a release did, and whom it was reported to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jack.model import DownloadStatus
from jack.store.database import Database, translated
from jack.store.models import time_of, time_value
from jack.support.clock import Clock


@dataclass(frozen=True)
class OpenReport:
    """A failure that `server` may still have to hear of."""

    failure_id: int
    download_id: int | None
    """None for a stub that was refused before it had a row."""
    server: str
    failed_at: datetime
    peer_id: str
    item_id: str
    info_hash: str | None


class Failures:
    """Repository of failures and their reports. Raises StorageError like its siblings."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(
        self, peer_id: str, item_id: str, info_hash: str | None, download_id: int | None = None
    ) -> int:
        """Record one more failure of this release; returns its id."""
        with self._database.transaction():
            cursor = self._execute(
                "INSERT INTO failures (download_id, peer_id, item_id, info_hash, failed_at)"
                " VALUES (?, ?, ?, ?, ?)",
                download_id,
                peer_id,
                item_id,
                info_hash,
                time_value(self._clock.now()),
            )
            return int(cursor.lastrowid)

    def count_since(self, peer_id: str, item_id: str, since: datetime) -> int:
        """How often this release has failed since then."""
        row = self._execute(
            "SELECT COUNT(*) FROM failures WHERE peer_id = ? AND item_id = ? AND failed_at >= ?",
            peer_id,
            item_id,
            time_value(since),
        ).fetchone()
        return int(row[0])

    def plan(self, failure_id: int, servers: Iterable[str]) -> None:
        """Note whom to tell."""
        with self._database.transaction():
            for server in servers:
                self._execute(
                    "INSERT OR IGNORE INTO failure_reports (failure_id, server) VALUES (?, ?)",
                    failure_id,
                    server,
                )

    def open(self) -> list[OpenReport]:
        """Reports that are not settled, oldest first."""
        rows = self._execute(
            "SELECT f.id, f.download_id, r.server, f.failed_at, f.peer_id, f.item_id, f.info_hash"
            " FROM failure_reports r JOIN failures f ON f.id = r.failure_id"
            " WHERE NOT r.settled ORDER BY f.id, r.server"
        ).fetchall()
        return [
            OpenReport(failure_id, download_id, server, _time(failed_at), *release)
            for failure_id, download_id, server, failed_at, *release in rows
        ]

    def reporting(self, failure_id: int, server: str, grabbed_id: int) -> bool:
        """The report of that grab is about to be sent. False when it must not be: it was sent
        before, or the download has gone on meanwhile.
        """
        with self._database.transaction():
            cursor = self._execute(
                "INSERT OR IGNORE INTO reported_grabs (server, grabbed_id, reported_at)"
                " SELECT ?, ?, ? FROM failures f LEFT JOIN downloads d ON d.id = f.download_id"
                " WHERE f.id = ? AND (f.download_id IS NULL OR d.status = ?)",
                server,
                grabbed_id,
                time_value(self._clock.now()),
                failure_id,
                DownloadStatus.FAILED.value,
            )
            return bool(cursor.rowcount > 0)

    def not_reported(self, server: str, grabbed_id: int) -> None:
        """The report announced by `reporting` has certainly not arrived."""
        with self._database.transaction():
            self._execute(
                "DELETE FROM reported_grabs WHERE server = ? AND grabbed_id = ?", server, grabbed_id
            )

    def settle(self, failure_id: int, server: str) -> None:
        """Nothing more to tell that server about it."""
        with self._database.transaction():
            self._execute(
                "UPDATE failure_reports SET settled = 1 WHERE failure_id = ? AND server = ?",
                failure_id,
                server,
            )

    def _execute(self, statement: str, *values: Any) -> Any:
        with translated():
            execute: Any = self._database.raw.execute_sql
            return execute(statement, values)


def _time(value: str) -> datetime:
    moment = time_of(value)
    assert isinstance(moment, datetime)  # noqa: S101  (the column is NOT NULL)
    return moment
