"""What a server said of a file, in the rows and the log: steps that change several rows at once."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from jack.arr.history import Proof
from jack.imports.own_copy import remove_own_copy
from jack.model import Download, DownloadStatus
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.failures import Failures
from jack.store.handovers import Handovers, HandoverState
from jack.store.proofs import Proofs
from jack.store.volumes import Volumes
from jack.support import waits
from jack.support.clock import Clock

log = logging.getLogger(__name__)


class Records:
    """The rows of this room. What is on disk when a call returns survives a crash; every step may
    be repeated. Raises StorageError.
    """

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        volumes: Volumes,
        clock: Clock,
        unlink_in: Path | None = None,
    ) -> None:
        """`unlink_in`: completedPath when our copies of imported files are to go."""
        self.database = database
        self.downloads = downloads
        self.volumes = volumes
        self.clock = clock
        self.handovers = Handovers(database, clock)
        self.proofs = Proofs(database)
        self.failures = Failures(database, clock)
        self._unlink_in = unlink_in

    def accepted(self, download: Download, server: str, command_id: int) -> None:
        """The server took the import command."""
        with self.database.transaction():
            taken = self.handovers.accept(download.id, server, command_id)
            if taken:
                until = self.clock.now() + timedelta(seconds=waits.IMPORT_AGAIN_SECONDS)
                self.downloads.import_queued(download.id, server, until)
        if taken:
            log.info("%s: %s imports it (command %d)", named(download), server, command_id)

    def imported(self, download: Download, server: str, proof: Proof) -> bool:
        """The server's history shows it. False when these records prove another download.

        One library that has it is enough: with a file that was moved away, nobody else can be
        served.
        """
        with self.database.transaction():
            if not self.proofs.use(download.id, server, proof.record_ids, proof.library):
                return False
            changed = self.downloads.imported(download.id)
            if self._unlink_in is None:
                self.handovers.settle(download.id, server, HandoverState.IMPORTED)
        if self._unlink_in is not None:
            self._remove_own_copy(download, server)
            self.handovers.settle(download.id, server, HandoverState.IMPORTED)
        if changed:
            log.info("%s: %s has imported it", named(download), server)
        return True

    def rejected(self, download: Download, server: str, sentence: str) -> None:
        """The server does not want the file; only a person asks again."""
        if self._ended(download, server, HandoverState.REJECTED, sentence):
            log.warning(
                "%s: %s; the file stays, `jack retry %d` asks again",
                named(download),
                sentence,
                download.id,
            )

    def lost(self, download: Download, server: str, sentence: str) -> None:
        """The file is gone and the server knows nothing of it."""
        if self._ended(download, server, HandoverState.LOST, sentence):
            log.warning("%s: %s", named(download), sentence)

    def _ended(self, download: Download, server: str, state: HandoverState, sentence: str) -> bool:
        """Whether the row says so now: while another server may still take it, it does not."""
        self._remove_own_copy(download, server)
        rejected = state is HandoverState.REJECTED
        say = self.downloads.import_rejected if rejected else self.downloads.import_lost
        with self.database.transaction():
            return (
                self.handovers.settle(download.id, server, state)
                and not self.handovers.open(download.id)
                and say(download.id, sentence)
            )

    def _remove_own_copy(self, download: Download, server: str) -> None:
        """When it is in a library and every other server has said its word, as the file may be what
        one waits for: before the last word is on record, so that a crash repeats it.
        """
        now = self.downloads.get(download.id)
        if self._unlink_in is None or now is None or now.status is not DownloadStatus.IMPORTED:
            return
        if all(each.server == server for each in self.handovers.open(now.id)):
            needed = self.downloads.still_needed(now.dest_path, by_others_than=now.id)
            remove_own_copy(now, self._unlink_in, self.proofs.libraries(now.id), needed)


def named(download: Download) -> str:
    """The download in a log line."""
    return f"download {download.id} ({download.filename})"
