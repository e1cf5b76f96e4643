"""Telling the server that grabbed a release that its download failed for good."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from datetime import datetime

from jack.arr.api import NotThere
from jack.arr.follow import GRAB_FRESH, GRAB_LOOKS, GRAB_PAUSE_SECONDS
from jack.arr.handover import Failure, ReportJournal
from jack.arr.history import Grab
from jack.arr.manual import ImportApi
from jack.errors import PeerRefused, PeerUnreachable, PermanentError, ProtocolError, TransientError
from jack.support.clock import Clock
from jack.support.http import Wire

log = logging.getLogger(__name__)


class FailureReport:
    """The errand of one failure in the lane of one server. A grab is reported at most once, ever:
    the server blocks the release and looks for another one.
    """

    def __init__(
        self, failure: Failure, api: ImportApi, journal: ReportJournal, clock: Clock
    ) -> None:
        self.failure = failure
        self.key: Hashable = ("failure", failure.failure_id)
        self._api = api
        self._name = api.server.name
        self._journal = journal
        self._clock = clock
        self._looks = 0

    def __str__(self) -> str:
        return str(self.failure)

    def step(self, wire: Wire) -> float | None:
        """See `Errand`."""
        try:
            grab = self._api.history.grab_to_report(self.failure.info_hash, self.failure.guid, wire)
        except NotThere:
            grab = None
        else:
            if grab is None and self._may_be_written_yet():
                self._looks += 1
                return GRAB_PAUSE_SECONDS
        if grab is not None:
            self._report(grab, wire)
        self._journal.report_settled(self.failure.failure_id, self._name)
        return None

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        """The row has its own reason; that a server is down is in the log."""

    def _may_be_written_yet(self) -> bool:
        fresh = self._clock.now() - self.failure.failed_at < GRAB_FRESH
        return fresh and self._looks < GRAB_LOOKS

    def _report(self, grab: Grab, wire: Wire) -> None:
        for record_id in grab.record_ids:
            if not self._journal.reporting(self.failure.failure_id, self._name, record_id):
                continue
            try:
                self._api.history.report_failed(record_id, wire)
            except (PeerUnreachable, PeerRefused):
                self._journal.not_reported(self.failure.failure_id, self._name, record_id)
                raise
            except NotThere:
                log.info("%s: %s does not know the grab any more", self, self._name)
            except (ProtocolError, PermanentError) as error:
                log.warning("%s: %s", self, error)
            except TransientError as error:
                # It may have arrived. Blocking a release twice is worse than not being told.
                log.warning("%s: %s; it is not told again", self, error)
            else:
                log.info("%s: %s was told, and may look for another release", self, self._name)
