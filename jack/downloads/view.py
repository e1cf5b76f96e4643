"""Downloads and waiting stubs as people and programs see them: rows of the database, with what a
running jack knows beyond them. One place for the command line, the control interface and the page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from jack.blackhole.waiting import WaitingStub
from jack.downloads.explain import record, stub_record
from jack.downloads.live import Live
from jack.model import Download, Overview
from jack.peers.collection import Peers
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import Clock

RECENT = 20
"""How many ended downloads are shown unless all are asked for."""


class Stubs(Protocol):
    """Who knows the stubs that lie in watchPath and are no download yet; `Intake` does."""

    def waiting_stubs(self) -> Sequence[WaitingStub]:
        """In the order in which they came."""


class DownloadsView:
    """`live`, `stubs` and `peers` are a running jack's; without them the database alone speaks. It
    is None where there is none yet.
    """

    def __init__(
        self,
        database: Database | None,
        downloads: Downloads | None,
        clock: Clock,
        live: Live | None = None,
        stubs: Stubs | None = None,
        peers: Peers | None = None,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._clock = clock
        self._live = live
        self._stubs = stubs
        self._peers = peers

    def one(self, download_id: int) -> dict[str, Any] | None:
        """The JSON object of a download; None when there is none of that id."""
        if self._downloads is None or not 0 < download_id < 2**63:
            return None
        with self._connected():
            download = self._downloads.get(download_id)
        return None if download is None else self._record(download, self._clock.now())

    def each(self) -> Iterator[dict[str, Any]]:
        """Every download, the newest change first, without holding them all in memory."""
        if self._downloads is not None:
            with self._connected():
                now = self._clock.now()
                for download in self._downloads.each():
                    yield self._record(download, now)

    def everything(self) -> dict[str, Any]:
        """All `downloads`, and `stubs`."""
        return {"downloads": list(self.each()), "stubs": self.stubs()}

    def overview(self) -> dict[str, Any]:
        """`downloads` that are worth a look, `more` that have ended and are left out, `stubs`."""
        found = Overview()
        if self._downloads is not None:
            with self._connected():
                found = self._downloads.overview(RECENT)
        now = self._clock.now()
        return {
            "downloads": [self._record(download, now) for download in found],
            "more": found.more,
            "stubs": self.stubs(),
        }

    def stubs(self) -> list[dict[str, Any]]:
        """The JSON objects of the stubs that wait."""
        if self._stubs is None or self._peers is None:
            return []
        name, now = self._peers.name, self._clock.now()
        return [
            stub_record(stub, name(stub.details.stub.peer_id), now)
            for stub in self._stubs.waiting_stubs()
        ]

    def _record(self, download: Download, now: datetime) -> dict[str, Any]:
        moving = None if self._live is None else self._live.look(download.id)
        return record(download, now, moving)

    def _connected(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._database is None else self._database.connection()
