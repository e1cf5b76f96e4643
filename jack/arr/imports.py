"""Telling the right Radarr or Sonarr of finished files, and of downloads that failed for good.

Every server has a lane: a line of errands and one thread. So a server that is down, hangs or
refuses holds up nobody but itself, and gets one request at a time when it is back.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from jack.arr.client import ArrClient
from jack.arr.failure import FailureReport
from jack.arr.follow import HistoryWatch, Import
from jack.arr.handover import (
    Failure,
    Handover,
    ImportJournal,
    Journal,
    Mark,
    Pauses,
    Proof,
    is_gone,
)
from jack.arr.lane import Lane
from jack.arr.manual import ImportApi
from jack.model import MOVIES, TV
from jack.support.clock import Clock
from jack.support.files import shown

__all__ = ["Failure", "Handover", "Importer", "Journal", "Mark", "Proof"]

log = logging.getLogger(__name__)

_KIND_OF_CATEGORY = {MOVIES: "radarr", TV: "sonarr"}
_CATEGORY_STEP = 1000
"""Torznab sub-categories (2040, 5030 ...) belong to the thousand they start with."""


class Importer:
    """Brings imports and reports to their end. Holds no state that matters: the journal does.

    After a restart the caller submits again whatever the journal does not hold as settled.
    `thread_context` wraps the whole life of each lane's thread (a database connection, say).
    """

    def __init__(
        self,
        clients: Sequence[ArrClient],
        journal: ImportJournal,
        clock: Clock,
        first_delay_seconds: float = 5.0,
        max_delay_seconds: float = 900.0,
        thread_context: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
        gone: Callable[[Path], bool] = is_gone,
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._gone = gone
        self._apis = {client.server.name: ImportApi(client) for client in clients}
        self._servers = [client.server for client in clients]
        pauses = Pauses(first_delay_seconds, max_delay_seconds)
        self._lanes = {name: Lane(name, clock, pauses, thread_context) for name in self._apis}

    def servers_for(self, category: int) -> list[str]:
        """Names of the servers that take a file of this category; empty when there is none."""
        kind = _KIND_OF_CATEGORY.get(category // _CATEGORY_STEP * _CATEGORY_STEP)
        return [server.name for server in self._servers if server.kind == kind]

    @property
    def names(self) -> list[str]:
        """All servers."""
        return list(self._lanes)

    def watch(self) -> None:
        """From now on, know how far every server's history goes."""
        for name, lane in self._lanes.items():
            lane.submit(HistoryWatch(self._apis[name], self._journal, self._clock))

    def look(self, category: int) -> None:
        """A file for these servers is on its way: see how far their histories go, soon."""
        for name in self.servers_for(category):
            self._lanes[name].hurry(HistoryWatch.key, through_outage=False)

    def submit(self, handover: Handover, servers: Sequence[str]) -> None:
        """Put the file into the line of each server and return at once.

        A pair already in the line stays as it is. A server that is not configured (any more) is
        skipped with a log line: the config may have changed since the name was written down.
        """
        for name in self._known(servers, str(handover)):
            api = self._apis[name]
            self._lanes[name].submit(Import(handover, api, self._journal, self._clock, self._gone))

    def report(self, failure: Failure, server: str) -> None:
        """Have the server told of a failure, if it is the one that had grabbed the release."""
        for name in self._known([server], str(failure)):
            self._lanes[name].submit(
                FailureReport(failure, self._apis[name], self._journal, self._clock)
            )

    def hurry(self, download_id: int) -> None:
        """A person wants the import now: pauses are cut short, also that of a server that is
        down.
        """
        for lane in self._lanes.values():
            lane.hurry(download_id)

    def withdraw(self, download_id: int) -> None:
        """Take a download out of every line; a request under way is aborted, its answer dropped."""
        for lane in self._lanes.values():
            lane.withdraw(download_id)

    def start(self) -> None:
        """Start one thread per server. What was submitted before is sent now."""
        for lane in self._lanes.values():
            lane.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Begin nothing new, abort what is under way; True when all threads ended in time."""
        for lane in self._lanes.values():
            lane.request_stop()
        end = self._clock.monotonic() + timeout_seconds
        for lane in self._lanes.values():
            lane.join(max(0.0, end - self._clock.monotonic()))
        return not any(lane.alive for lane in self._lanes.values())

    def _known(self, servers: Sequence[str], what: str) -> list[str]:
        for name in servers:
            if name not in self._lanes:
                log.warning("%s: no server %s is configured (any more)", what, shown(name))
        return [name for name in servers if name in self._lanes]
