"""Downloads that failed for good: how often a release did, and whom it was reported to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import JOIN

from jack.model import DownloadStatus, Stub
from jack.store.database import Database, translated
from jack.store.models import DownloadRow, FailureReportRow, FailureRow, ReportedGrab
from jack.support.clock import Clock
from jack.support.files import shown


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

    def __str__(self) -> str:
        if self.download_id is None:
            return f"refused stub of {shown(self.guid)}"
        return f"failed download {self.download_id}"

    @property
    def guid(self) -> str:
        return Stub(self.peer_id, self.item_id).guid


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
            row = FailureRow.create(
                download_id=download_id,
                peer_id=peer_id,
                item_id=item_id,
                info_hash=info_hash,
                failed_at=self._clock.now(),
            )
        return int(row.id)

    def count_since(self, peer_id: str, item_id: str, since: datetime) -> int:
        """How often this release has failed since then."""
        row = FailureRow
        with translated():
            return int(
                row.select()
                .where(row.peer_id == peer_id, row.item_id == item_id, row.failed_at >= since)
                .count()
            )

    def plan(self, failure_id: int, servers: Iterable[str]) -> None:
        """Note whom to tell."""
        with self._database.transaction():
            for server in servers:
                FailureReportRow.insert(
                    failure_id=failure_id, server=server
                ).on_conflict_ignore().execute()

    def open(self) -> list[OpenReport]:
        """Reports that are not settled, oldest first."""
        row, report = FailureRow, FailureReportRow
        with translated():
            query: Any = (
                row.select(row.id, row.download_id, report.server, row.failed_at)
                .select_extend(row.peer_id, row.item_id, row.info_hash)
                .join(report, on=(report.failure_id == row.id))
                .where(~report.settled)
                .order_by(row.id, report.server)
            )
            return [OpenReport(*values) for values in query.tuples()]

    def reporting(self, failure_id: int, server: str, grabbed_id: int) -> bool:
        """The report of that grab is about to be sent. False when it must not be: the download has
        gone on meanwhile.
        """
        failure, download = FailureRow, DownloadRow
        with self._database.transaction():
            holds: Any = (
                failure.select(failure.id)
                .join(download, JOIN.LEFT_OUTER, on=(download.id == failure.download_id))
                .where(
                    failure.id == failure_id,
                    failure.download_id.is_null()
                    | (download.status == DownloadStatus.FAILED.value),
                )
            )
            if not holds.exists():
                return False
            ReportedGrab.insert(server=server, grabbed_id=grabbed_id).on_conflict_ignore().execute()
        return True

    def was_reported(self, server: str, grabbed_id: int) -> bool:
        """Whether a report of that grab was about to be sent before; it may not have arrived."""
        with translated():
            noted: Any = ReportedGrab.select().where(
                ReportedGrab.server == server, ReportedGrab.grabbed_id == grabbed_id
            )
            return bool(noted.exists())

    def not_reported(self, server: str, grabbed_id: int) -> None:
        """The report announced by `reporting` has certainly not arrived."""
        with self._database.transaction():
            ReportedGrab.delete().where(
                ReportedGrab.server == server, ReportedGrab.grabbed_id == grabbed_id
            ).execute()

    def settle(self, failure_id: int, server: str) -> None:
        """Nothing more to tell that server about it."""
        with self._database.transaction():
            FailureReportRow.update(settled=True).where(
                FailureReportRow.failure_id == failure_id, FailureReportRow.server == server
            ).execute()
