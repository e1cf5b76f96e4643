"""From a finished file to the right Radarr or Sonarr, and from a failed one to the server that
grabbed it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from jack.arr.follow import ASK_AGAIN
from jack.arr.imports import Failure, Handover, Importer, Mark, Proof
from jack.errors import StorageError
from jack.model import MOVIES, Download, DownloadStatus, Stub
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.failures import Failures, OpenReport
from jack.store.handovers import Handovers, HandoverState
from jack.store.proofs import Proofs
from jack.support.clock import Clock
from jack.support.files import printable

log = logging.getLogger(__name__)

LOOP_WINDOW = timedelta(hours=24)
MAX_FAILURES = 2
"""From so many failures of one release within the window on, nobody is told: the server would only
grab the same release again.
"""


class ImportJournal:
    """Where the importer's threads write down what the servers said (the Journal and ReportJournal
    of the arr room).

    `on_imported` is called when a download is in a library and no other server is still to say its
    word: before that last word is recorded, so that a crash repeats the call.
    """

    def __init__(
        self,
        database: Database,
        downloads: Downloads,
        handovers: Handovers,
        failures: Failures,
        clock: Clock,
        on_imported: Callable[[Download, Collection[Path | None]], object] | None = None,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._handovers = handovers
        self._failures = failures
        self._clock = clock
        self._on_imported = on_imported
        self._proofs = Proofs(database)

    def seen(self, server: str, record_id: int) -> None:
        with self._database.connection():
            self._proofs.seen(server, record_id)

    def marked(self, download_id: int, server: str, record_id: int) -> None:
        with self._database.connection():
            self._proofs.mark(download_id, server, record_id)

    def asking(self, download_id: int, server: str) -> bool:
        with self._database.connection():
            return self._handovers.asking(download_id, server)

    def not_asked(self, download_id: int, server: str) -> None:
        with self._database.connection():
            self._handovers.not_asked(download_id, server)

    def accepted(self, download_id: int, server: str, command_id: int) -> None:
        with self._database.connection():
            with self._database.transaction():
                taken = self._handovers.accept(download_id, server, command_id)
                if taken:
                    self._downloads.import_queued(
                        download_id, server, self._clock.now() + ASK_AGAIN
                    )
            if taken:
                log.info(
                    "%s: %s imports it (command %d)", self._name(download_id), server, command_id
                )

    def postponed(
        self, download_id: int, server: str, sentence: str, next_attempt_at: datetime
    ) -> None:
        with self._database.connection():
            self._downloads.import_postponed(download_id, sentence, next_attempt_at)

    def claimed(self, download_id: int, server: str) -> None:
        with self._database.connection():
            self._handovers.claim(download_id, server)

    def denied(self, download_id: int, server: str) -> list[str]:
        with self._database.connection():
            self._handovers.deny(download_id, server)
            return self._handovers.undecided(download_id, but=server)

    def imported(self, download_id: int, server: str, proof: Proof) -> bool:
        """One library that has it is enough: with a file that was moved away, nobody else can be
        served.
        """
        with self._database.connection():
            with self._database.transaction():
                if not self._proofs.use(download_id, server, proof.record_ids, proof.library):
                    return False
                changed = self._downloads.imported(download_id)
                if self._on_imported is None:
                    self._handovers.settle(download_id, server, HandoverState.IMPORTED)
            if self._on_imported is not None:
                self._before_the_last(download_id, server)
                self._handovers.settle(download_id, server, HandoverState.IMPORTED)
            if changed:
                log.info("%s: %s has imported it", self._name(download_id), server)
        return True

    def rejected(self, download_id: int, server: str, sentence: str) -> None:
        """While another server may still take it, the row goes on saying so."""
        with self._database.connection():
            self._before_the_last(download_id, server)
            with self._database.transaction():
                changed = self._handovers.settle(download_id, server, HandoverState.REJECTED)
                told = (
                    changed
                    and not self._handovers.open(download_id)
                    and self._downloads.import_rejected(download_id, sentence)
                )
            if told:
                log.warning(
                    "%s: %s; the file stays, `jack retry %d` asks again",
                    self._name(download_id),
                    sentence,
                    download_id,
                )

    def lost(self, download_id: int, server: str, sentence: str) -> None:
        with self._database.connection():
            self._before_the_last(download_id, server)
            with self._database.transaction():
                changed = self._handovers.settle(download_id, server, HandoverState.LOST)
                told = (
                    changed
                    and not self._handovers.open(download_id)
                    and self._downloads.import_lost(download_id, sentence)
                )
            if told:
                log.warning("%s: %s", self._name(download_id), sentence)

    def reporting(self, failure_id: int, server: str, grabbed_id: int) -> bool:
        with self._database.connection():
            return self._failures.reporting(failure_id, server, grabbed_id)

    def not_reported(self, failure_id: int, server: str, grabbed_id: int) -> None:
        with self._database.connection():
            self._failures.not_reported(server, grabbed_id)

    def report_settled(self, failure_id: int, server: str) -> None:
        with self._database.connection():
            self._failures.settle(failure_id, server)

    def _before_the_last(self, download_id: int, server: str) -> None:
        """Not before every other server has said its word: the file may be what one waits for."""
        if self._on_imported is None:
            return
        download = self._downloads.get(download_id)
        imported = download is not None and download.status is DownloadStatus.IMPORTED
        others = [each for each in self._handovers.open(download_id) if each.server != server]
        if download is not None and imported and not others:
            self._on_imported(download, self._proofs.libraries(download_id))

    def _name(self, download_id: int) -> str:
        download = self._downloads.get(download_id)
        return f"download {download_id} ({download.filename if download else '?'})"


class HandoverDesk:
    """Plans who is to be told about which finished or failed download."""

    def __init__(
        self,
        database: Database,
        importer: Importer,
        downloads: Downloads,
        handovers: Handovers,
        failures: Failures,
        clock: Clock,
    ) -> None:
        self._database = database
        self._importer = importer
        self._downloads = downloads
        self._handovers = handovers
        self._failures = failures
        self._clock = clock

    def expect(self, category: int) -> None:
        """A file for the servers of this category is on its way."""
        self._importer.look(category)

    def plan(self, download: Download) -> None:
        """Note whom to tell, or that there is nobody. Belongs into the transaction that completes
        the row, so that a crash repeats it. Servers whose outcome is on record are left alone.
        """
        servers = self._importer.servers_for(download.category)
        if servers:
            self._handovers.plan(download.id, servers)
        else:
            self._downloads.import_postponed(download.id, _nobody(download), None)

    def tell(self, download: Download) -> None:
        """Tell every server that was planned."""
        if self._importer.servers_for(download.category):
            self._submit(download)
            return
        log.warning(
            "download %d (%s): %s; it stays at %s",
            download.id,
            download.filename,
            _nobody(download),
            download.dest_path,
        )

    def begin(self, download: Download) -> None:
        """Plan and tell; nothing when an earlier run has said that there is nobody."""
        if download.error == _nobody(download) and not self._importer.servers_for(
            download.category
        ):
            return
        self.plan(download)
        self.tell(download)

    def retry(self, download: Download) -> None:
        """A person asks: also what was rejected is tried again, and every pause is cut short."""
        self._importer.withdraw(download.id)  # what it waits for, and its pauses, are over
        self._handovers.reopen(download.id)
        self._downloads.import_retried(download.id)
        self.begin(self._downloads.get(download.id) or download)
        self._importer.hurry(download.id)

    def resume(self) -> None:
        """At start: everything that was finished or failed and has not come to its end."""
        self._importer.watch()
        for download in self._downloads.with_status(DownloadStatus.COMPLETED):
            self.begin(download)
        for download_id in dict.fromkeys(entry.download_id for entry in self._handovers.open()):
            finished = self._downloads.get(download_id)
            if finished is not None and finished.status is not DownloadStatus.COMPLETED:
                self._submit(finished)
        self.report(self._failures.open())

    def plan_reports(self, download: Download) -> list[OpenReport]:
        """A download fails for good: note which servers have to hear of it, so that the one that
        grabbed it looks for another release. Belongs into the transaction that fails the row.
        """
        return self._plan_reports(
            f"download {download.id} ({download.filename})",
            (download.peer_id, download.item_id, download.info_hash),
            download.id,
            self._importer.servers_for(download.category),
        )

    def plan_refusal(self, stub: Stub, info_hash: str | None) -> list[OpenReport]:
        """The same for a stub that is refused before it is a download. Which server grabbed it only
        its hash tells: every one is asked.
        """
        release = (stub.peer_id, stub.item_id, info_hash)
        return self._plan_reports(f"stub of {stub.item_id}", release, None, self._importer.names)

    def _plan_reports(
        self,
        what: str,
        release: tuple[str, str, str | None],
        download_id: int | None,
        servers: list[str],
    ) -> list[OpenReport]:
        now = self._clock.now()
        with self._database.transaction():
            failure_id = self._failures.note(*release, download_id)
            count = self._failures.count_since(*release[:2], now - LOOP_WINDOW)
            if count < MAX_FAILURES:
                self._failures.plan(failure_id, servers)
                return [
                    OpenReport(failure_id, download_id, server, now, *release) for server in servers
                ]
        log.warning(
            "%s: this release has failed %d times within a day; the server that grabbed it is not"
            " told, or it would only grab it again",
            printable(what),
            count,
        )
        return []

    def report(self, reports: Iterable[OpenReport]) -> None:
        """Send what was planned; what is left of it at the end of this run, the next one sends."""
        for each in reports:
            guid = _guid(each)
            failure = Failure(
                each.failure_id, each.download_id, each.info_hash, guid, each.failed_at
            )
            try:
                if each.server in self._importer.names:
                    self._importer.report(failure, each.server)
                else:
                    self._failures.settle(each.failure_id, each.server)
            except StorageError as error:
                log.error("%s: %s is told at the next start: %s", failure, each.server, error)

    def _submit(self, download: Download) -> None:
        download = self._downloads.get(download.id) or download  # it may come from before its end
        known = self._importer.servers_for(download.category)
        for entry in self._handovers.open(download.id):
            if entry.server not in known:
                self._handovers.drop(download.id, entry.server)
                continue
            handover = Handover(
                download.id,
                download.category,
                download.dest_path,
                download.info_hash,
                _guid(download),
                download.completed_at,
                Mark(entry.asked_at, entry.command_id, entry.asks, entry.after),
            )
            self._importer.submit(handover, [entry.server])


def _nobody(download: Download) -> str:
    kind = "Radarr" if download.category == MOVIES else "Sonarr"
    return f"no {kind} with destination: true is configured to import it"


def _guid(release: Download | OpenReport) -> str:
    """What jack's own indexer gives a release as guid."""
    return f"{release.peer_id}:{release.item_id}"
