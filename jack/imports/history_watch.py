"""How far the history of a server goes, on record before a file has its name: so that no older
record is taken for the proof of its import.
"""

from __future__ import annotations

from jack.arr.api import NotThere
from jack.arr.manual import ImportApi
from jack.imports.errands import Errand
from jack.imports.records import Records
from jack.support import waits
from jack.support.http import Wire


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
            self._records.proofs.seen(self._api.server.name, self._api.history.look(wire))
        except NotThere:
            return None  # a version without a history
        self._looked_at = self._records.clock.monotonic()
        return waits.HISTORY_LOOK_SECONDS
