"""From a finished file to the right Radarr or Sonarr, and the record of who has taken it."""

from __future__ import annotations

import logging
from datetime import datetime

from jack.arr.imports import Handover, Importer
from jack.model import MOVIES, Download, DownloadStatus
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.handovers import Handovers

log = logging.getLogger(__name__)


class ImportJournal:
    """Where the importer's threads write down what the servers said."""

    def __init__(self, database: Database, downloads: Downloads, handovers: Handovers) -> None:
        self._database = database
        self._downloads = downloads
        self._handovers = handovers

    def accepted(self, download_id: int, server: str, command_id: int) -> None:
        """The importer's report: `server` has queued the import."""
        with self._database.connection():
            self._handovers.accept(download_id, server, command_id)
            self._downloads.import_queued(download_id)
            download = self._downloads.get(download_id)
        name = download.filename if download else "?"
        log.info(
            "download %d (%s): %s imports it (command %d)", download_id, name, server, command_id
        )

    def postponed(
        self, download_id: int, server: str, sentence: str, next_attempt_at: datetime
    ) -> None:
        """The importer's report: `server` has to be asked again; the reason is shown by `jack
        why`.
        """
        with self._database.connection():
            self._downloads.import_postponed(download_id, sentence, next_attempt_at)


class HandoverDesk:
    """Plans who is to be told about which finished download."""

    def __init__(self, importer: Importer, downloads: Downloads, handovers: Handovers) -> None:
        self._importer = importer
        self._downloads = downloads
        self._handovers = handovers

    def begin(self, download: Download) -> None:
        """Tell every server of the download's category; at once recorded, so that a crash repeats
        it.
        """
        servers = self._importer.servers_for(download.category)
        if not servers:
            kind = "Radarr" if download.category == MOVIES else "Sonarr"
            log.warning(
                "download %d (%s): no %s with destination: true is configured; it stays at %s",
                download.id,
                download.filename,
                kind,
                download.dest_path,
            )
            self._downloads.import_postponed(
                download.id, f"no {kind} with destination: true is configured to import it", None
            )
            return
        self._handovers.plan(download.id, servers)
        done = self._handovers.accepted_servers(download.id)
        self._submit(download, [server for server in servers if server not in done])

    def resume(self) -> None:
        """At start: everything that was finished but not taken by all of its servers."""
        for download in self._downloads.with_status(DownloadStatus.COMPLETED):
            self.begin(download)
        for download_id, server in self._handovers.open():
            finished = self._downloads.get(download_id)
            if finished is None or finished.status is DownloadStatus.COMPLETED:
                continue
            if server in self._importer.servers_for(finished.category):
                self._submit(finished, [server])
            else:
                self._handovers.drop(download_id, server)

    def _submit(self, download: Download, servers: list[str]) -> None:
        if servers:
            self._importer.submit(
                Handover(download.id, download.category, download.dest_path), servers
            )
