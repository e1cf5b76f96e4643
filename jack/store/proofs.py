"""What is known of the histories of Radarr and Sonarr, and which record proves which import.

The ids of a history only grow. A record with a higher id than all that were known before a file
had its name was written later, whatever the clocks of the two machines say.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jack.store.database import Database, translated
from jack.store.models import DeliveryMark, HistoryMark, ImportProof

_EARLIER = (
    "SELECT 1 FROM handovers h JOIN downloads d ON d.id = h.download_id"
    " WHERE h.server = ? AND h.state = 'open' AND d.id < ?"
    " AND d.dest_path = (SELECT dest_path FROM downloads WHERE id = ?) LIMIT 1"
)


class Proofs:
    """Repository of history marks and of records that were used as proofs. Raises StorageError like
    its siblings.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        """What this process has recorded: most looks at a history find nothing new to write."""

    def seen(self, server: str, record_id: int) -> None:
        """The server's history holds this id; lower ones than the known one change nothing."""
        with self._lock:
            if record_id <= self._known.get(server, -1):
                return
        with self._database.transaction():
            HistoryMark.insert(server=server, record_id=0).on_conflict_ignore().execute()
            HistoryMark.update(record_id=record_id).where(
                HistoryMark.server == server, HistoryMark.record_id < record_id
            ).execute()
        with self._lock:
            self._known[server] = max(record_id, self._known.get(server, -1))

    def mark(self, download_id: int, server: str, record_id: int) -> None:
        """For a download without a mark: the server was not known when its file appeared."""
        with self._database.transaction():
            DeliveryMark.insert(
                download_id=download_id, server=server, record_id=record_id
            ).on_conflict_ignore().execute()

    def use(
        self, download_id: int, server: str, records: Collection[int], library: Path | None
    ) -> bool:
        """Take these records, all of one import into `library`, as the proof for this download.
        False when one of them proves another download already, or may prove an earlier one of the
        same path, which is still to look. Inside the transaction of what they prove.
        """
        with translated():
            earlier = self._database.execute(_EARLIER, (server, download_id, download_id))
            if earlier.fetchone():
                return False
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
            return {None if library is None else Path(library) for (library,) in found.tuples()}
