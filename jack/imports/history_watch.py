"""How far the history of a server goes, on record before a file has its name: so that no older
record is taken for the proof of its import.
"""

from __future__ import annotations

import logging

from jack.arr.api import NotThere
from jack.arr.manual import ImportApi
from jack.imports.errands import Errand
from jack.imports.records import Records
from jack.support import waits
from jack.support.http import Wire

log = logging.getLogger(__name__)


def look(api: ImportApi, records: Records, wire: Wire) -> int:
    """Put on record how far the server's history goes now; the highest id there is.

    It can end before a record that was there: the database was reset or put back, or entries were
    removed. What comes from here on may have the ids of what is gone.
    """
    name = api.server.name
    known = records.proofs.known(name) or 0
    newest = api.history.look(wire, known)
    if newest < known:
        records.proofs.begin_again(name, newest)
        log.warning(
            "the history of %s ends at record %d, and record %d was there before (was its database"
            " reset?); only records above %d prove an import from now on",
            name,
            newest,
            known,
            newest,
        )
    else:
        records.proofs.seen(name, newest)
    return newest


class HistoryWatch(Errand):
    """The errand that never ends. That the server is down is in the log; nobody waits for it."""

    key = "history"

    def __init__(self, api: ImportApi, records: Records) -> None:
        self._api = api
        self._records = records
        self._looked_at = -waits.HISTORY_LOOK_SECONDS

    def __str__(self) -> str:
        return f"the history of {self._api.server.name}"

    def step(self, wire: Wire) -> float | None:
        left = self._looked_at + waits.HISTORY_AGAIN_SECONDS - self._records.clock.monotonic()
        if left > 0:
            return left
        try:
            look(self._api, self._records, wire)
        except NotThere:
            return None  # a version without a history
        self._looked_at = self._records.clock.monotonic()
        return waits.HISTORY_LOOK_SECONDS
