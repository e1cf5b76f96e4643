"""Which Radarr or Sonarr is to be told of a finished download, and which of a failed one.

Every server has a line of errands and one thread. So a server that is down, hangs or refuses holds
up nobody but itself, and gets one request at a time when it is back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from jack.arr.client import ArrClient
from jack.arr.manual import ImportApi
from jack.errors import StorageError
from jack.imports.errands import ServerLine
from jack.imports.failure_report import FailureReport
from jack.imports.history_watch import HistoryWatch
from jack.imports.one_import import Import
from jack.imports.records import Records, named
from jack.model import MOVIES, TV, Download, DownloadStatus, Stub
from jack.store.failures import OpenReport
from jack.support import waits
from jack.support.files import printable
from jack.support.pauses import Pauses

log = logging.getLogger(__name__)

LOOP_WINDOW = timedelta(hours=24)
MAX_FAILURES = 2
"""From so many failures of one release within the window on, nobody is told: the server would only
grab the same release again.
"""
_KIND_OF_CATEGORY = {MOVIES: "radarr", TV: "sonarr"}
_CATEGORY_STEP = 1000
"""Torznab sub-categories (2040, 5030 ...) belong to the thousand they start with."""


class Imports:
    """Plans who is told and brings imports and reports to their end. Holds no state that matters:
    the rows do. Raises StorageError where it writes.
    """

    def __init__(
        self, clients: Sequence[ArrClient], records: Records, pauses: Pauses | None = None
    ) -> None:
        pauses = pauses or waits.IMPORT_PAUSES
        self._records = records
        self._downloads = records.downloads
        self._apis = {client.server.name: ImportApi(client) for client in clients}
        self._lines = {
            name: ServerLine(name, records.clock, pauses, records.database) for name in self._apis
        }

    def servers_for(self, category: int) -> list[str]:
        """Names of the servers that take a file of this category; empty when there is none."""
        kind = _KIND_OF_CATEGORY.get(category // _CATEGORY_STEP * _CATEGORY_STEP)
        return [name for name, api in self._apis.items() if api.server.kind == kind]

    def expect(self, category: int) -> None:
        """A file for these servers is on its way: see how far their histories go, soon."""
        for name in self.servers_for(category):
            self._lines[name].hurry(HistoryWatch.key, through_outage=False)

    # -- finished downloads ------------------------------------------------------------------------

    def plan(self, download: Download) -> None:
        """Note whom to tell, or that there is nobody. Belongs into the transaction that completes
        the row, so that a crash repeats it. Servers whose outcome is on record are left alone.
        """
        servers = self.servers_for(download.category)
        if servers:
            self._records.handovers.plan(download.id, servers)
        else:
            self._downloads.import_postponed(download.id, _nobody(download), None)

    def tell(self, download: Download) -> None:
        """Tell every server that was planned."""
        if self.servers_for(download.category):
            self._submit(download)
            return
        log.warning(
            "%s: %s; it stays at %s", named(download), _nobody(download), download.dest_path
        )

    def retry(self, download: Download) -> None:
        """A person asks: also what was rejected is tried again, and every pause is cut short."""
        self.withdraw(download)  # what it waits for, and its pauses, are over
        self._records.handovers.reopen(download.id)
        self._downloads.import_retried(download.id)
        self._begin(self._downloads.get(download.id) or download)
        for line in self._lines.values():
            line.hurry(download.id)

    def withdraw(self, download: Download) -> None:
        """No server is asked or told about it any more."""
        for line in self._lines.values():
            line.withdraw(download.id)

    def resume(self) -> None:
        """At start: everything that was finished or failed and has not come to its end."""
        for name, line in self._lines.items():
            line.submit(HistoryWatch(self._apis[name], self._records))
        for download in self._downloads.with_status(DownloadStatus.COMPLETED):
            self._begin(download)
        for download_id in dict.fromkeys(
            entry.download_id for entry in self._records.handovers.open()
        ):
            finished = self._downloads.get(download_id)
            if finished is not None and finished.status is not DownloadStatus.COMPLETED:
                self._submit(finished)
        self.report(self._records.failures.open())

    def _begin(self, download: Download) -> None:
        """Plan and tell; nothing when an earlier run has said that there is nobody."""
        if download.error != _nobody(download) or self.servers_for(download.category):
            self.plan(download)
            self.tell(download)

    def _submit(self, download: Download) -> None:
        download = self._downloads.get(download.id) or download  # it may come from before its end
        known = self.servers_for(download.category)
        for entry in self._records.handovers.open(download.id):
            if entry.server in known:
                api = self._apis[entry.server]
                self._lines[entry.server].submit(Import(download, entry, api, self._records))
            else:
                self._records.handovers.drop(download.id, entry.server)

    # -- failures ----------------------------------------------------------------------------------

    def plan_reports(self, download: Download) -> list[OpenReport]:
        """A download fails for good: note which servers have to hear of it, so that the one that
        grabbed it looks for another release. Belongs into the transaction that fails the row.
        """
        release = (download.peer_id, download.item_id, download.info_hash)
        servers = self.servers_for(download.category)
        return self._plan_reports(named(download), release, download.id, servers)

    def plan_refusal(self, stub: Stub, info_hash: str | None) -> list[OpenReport]:
        """The same for a stub that is refused before it is a download. Which server grabbed it only
        its hash tells: every one is asked.
        """
        release = (stub.peer_id, stub.item_id, info_hash)
        return self._plan_reports(f"stub of {stub.item_id}", release, None, list(self._lines))

    def _plan_reports(
        self,
        what: str,
        release: tuple[str, str, str | None],
        download_id: int | None,
        servers: list[str],
    ) -> list[OpenReport]:
        now, failures = self._records.clock.now(), self._records.failures
        with self._records.database.transaction():
            failure_id = failures.note(*release, download_id)
            count = failures.count_since(*release[:2], now - LOOP_WINDOW)
            if count < MAX_FAILURES:
                failures.plan(failure_id, servers)
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
        failures, clock = self._records.failures, self._records.clock
        for each in reports:
            line = self._lines.get(each.server)
            try:
                if line is not None:
                    line.submit(FailureReport(each, self._apis[each.server], failures, clock))
                else:
                    failures.settle(each.failure_id, each.server)
            except StorageError as error:
                log.error("%s: %s is told at the next start: %s", each, each.server, error)

    # -- the threads -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start one thread per server. What was submitted before is sent now."""
        for line in self._lines.values():
            line.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Begin nothing new, abort what is under way; True when all threads ended in time."""
        for line in self._lines.values():
            line.request_stop()
        clock = self._records.clock
        end = clock.monotonic() + timeout_seconds
        left = [line.join(max(0.0, end - clock.monotonic())) for line in self._lines.values()]
        return all(left)


def _nobody(download: Download) -> str:
    kind = "Radarr" if download.category == MOVIES else "Sonarr"
    return f"no {kind} with destination: true is configured to import it"
