"""What is known of the histories of Radarr and Sonarr, and which record proves which import.

The ids of a history only grow. A record with a higher id than all that were known before a file
had its name was written later, whatever the clocks of the two machines say.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from peewee import fn

from jack.store.database import Database, translated
from jack.store.handovers import HandoverState
from jack.store.models import (
    DeliveryMark,
    DownloadRow,
    HandoverRow,
    ImportProof,
    NewestRecord,
    ReportedGrab,
)


class Proofs:
    """Repository of history marks and of records that were used as proofs. Raises StorageError like
    its siblings.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, server: str) -> int | None:
        """The highest id of the server's history that is on record; None before the first look."""
        with translated():
            found: Any = NewestRecord.select(NewestRecord.record_id).where(
                NewestRecord.server == server
            )
            return found.scalar()  # type: ignore[no-any-return]

    def seen(self, server: str, record_id: int) -> None:
        """The server's history holds this id; lower ones than the known one change nothing."""
        if record_id <= (-1 if (known := self.known(server)) is None else known):
            return
        with self._database.transaction():
            NewestRecord.insert(server=server, record_id=record_id).on_conflict_replace().execute()

    def begin_again(self, server: str, newest: int) -> None:
        """The server's history ends at `newest` now, below what was known. Records above it are
        new ones, whoever had those ids before: each of them may prove what was delivered by now,
        and be reported.
        """
        known, marked, proof, reported = NewestRecord, DeliveryMark, ImportProof, ReportedGrab
        with self._database.transaction():
            known.update(record_id=newest).where(known.server == server).execute()
            marked.update(record_id=newest).where(
                marked.server == server, marked.record_id > newest
            ).execute()
            # What they have proven stays on record, under ids that no history has.
            lowest: Any = proof.select(fn.MIN(proof.record_id)).where(proof.server == server)
            proof.update(record_id=min(lowest.scalar() or 0, 0) - proof.record_id).where(
                proof.server == server, proof.record_id > newest
            ).execute()
            reported.delete().where(
                reported.server == server, reported.grabbed_id > newest
            ).execute()

    def mark(self, download_id: int, server: str, record_id: int) -> None:
        """For a download without a mark: the server was not known when its file appeared."""
        with self._database.transaction():
            DeliveryMark.insert(
                download_id=download_id, server=server, record_id=record_id
            ).on_conflict_ignore().execute()

    def after(self, download_id: int, server: str) -> int | None:
        """The highest id that was known before the file had its name; None when none was."""
        with translated():
            found: Any = DeliveryMark.select(DeliveryMark.record_id).where(
                DeliveryMark.download_id == download_id, DeliveryMark.server == server
            )
            return found.scalar()  # type: ignore[no-any-return]

    def earlier(self, download_id: int, server: str) -> int | None:
        """An earlier download of the same path that still looks for its proof there: it goes
        first.
        """
        row, handover, own = DownloadRow, HandoverRow, DownloadRow.alias()
        with translated():
            found: Any = (
                row.select(row.id)
                .join(handover, on=(handover.download_id == row.id))
                .where(
                    handover.server == server,
                    handover.state == HandoverState.OPEN.value,
                    row.id < download_id,
                    row.dest_path == own.select(own.dest_path).where(own.id == download_id),
                )
                .order_by(row.id)
            )
            return found.scalar()  # type: ignore[no-any-return]

    def use(
        self, download_id: int, server: str, records: Collection[int], library: Path | None
    ) -> bool:
        """Take these records, all of one import into `library`, as the proof for this download.
        False when one of them proves another download already, or may prove an earlier one of the
        same path, which is still to look. Inside the transaction of what they prove.
        """
        if self.earlier(download_id, server) is not None:
            return False
        with translated():
            taken: Any = ImportProof.select(ImportProof.record_id).where(
                ImportProof.server == server,
                ImportProof.record_id.in_(list(records)),
                ImportProof.download_id != download_id,
            )
            if taken.exists():
                return False
            for record_id in records:
                ImportProof.insert(
                    server=server, record_id=record_id, download_id=download_id, library=library
                ).on_conflict_ignore().execute()
        return True

    def libraries(self, download_id: int) -> set[Path | None]:
        """Where the servers have put the file of this download; None where one did not say."""
        with translated():
            found: Any = ImportProof.select(ImportProof.library).where(
                ImportProof.download_id == download_id
            )
            return {library for (library,) in found.tuples()}
