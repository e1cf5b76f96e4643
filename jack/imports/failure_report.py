"""Telling the server that grabbed a release that its download failed for good."""

from __future__ import annotations

import logging

from jack.arr.api import NotThere
from jack.arr.history import Grab
from jack.arr.manual import ImportApi
from jack.errors import PeerRefused, PeerUnreachable, PermanentError, ProtocolError, TransientError
from jack.imports.errands import Errand
from jack.imports.one_import import GRAB_FRESH, GRAB_LOOKS
from jack.store.failures import Failures, OpenReport
from jack.support import waits
from jack.support.clock import Clock
from jack.support.http import Wire

log = logging.getLogger(__name__)


class FailureReport(Errand):
    """The errand of one failure in the line of one server. A grab is reported once, ever: the
    server blocks the release and looks for another one. Whether a report whose answer did not come
    has arrived, the server's history says.
    """

    def __init__(
        self, failure: OpenReport, api: ImportApi, failures: Failures, clock: Clock
    ) -> None:
        self.key = ("failure", failure.failure_id)
        self._failure = failure
        self._api = api
        self._name = api.server.name
        self._failures = failures
        self._clock = clock
        self._looks = 0

    def __str__(self) -> str:
        return str(self._failure)

    def step(self, wire: Wire) -> float | None:
        try:
            grab = self._api.history.grab_to_report(
                self._failure.info_hash, self._failure.guid, wire
            )
        except NotThere:
            grab = None
        else:
            if grab is None and self._may_be_written_yet():
                self._looks += 1
                return waits.GRAB_PAUSE_SECONDS
        if grab is not None:
            self._report(grab, wire)
        self._failures.settle(self._failure.failure_id, self._name)
        return None

    def _may_be_written_yet(self) -> bool:
        fresh = self._clock.now() - self._failure.failed_at < GRAB_FRESH
        return fresh and self._looks < GRAB_LOOKS

    def _report(self, grab: Grab, wire: Wire) -> None:
        """Raises TransientError when the first report of a grab may have arrived: the next step
        looks.
        """
        for record_id in grab.record_ids:
            was_sent = self._failures.was_reported(self._name, record_id)
            if was_sent and self._api.history.has_failed(record_id, wire):
                continue
            if not self._failures.reporting(self._failure.failure_id, self._name, record_id):
                continue
            try:
                self._api.history.report_failed(record_id, wire)
            except (PeerUnreachable, PeerRefused):
                self._failures.not_reported(self._name, record_id)
                raise
            except NotThere:
                log.info("%s: %s does not know the grab any more", self, self._name)
            except (ProtocolError, PermanentError) as error:
                log.warning("%s: %s", self, error)
            except TransientError as error:
                if not was_sent:
                    raise
                log.warning("%s: %s; it is not told again", self, error)
            else:
                log.info("%s: %s was told, and may look for another release", self, self._name)
