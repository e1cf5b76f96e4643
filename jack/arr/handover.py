"""What is handed over, where the outcome is kept, and how long to wait between tries."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from jack.support.files import shown
from jack.support.http import Wire


class Errand(Protocol):
    """Something to be done with one server, in steps; all of them in the thread of its lane."""

    @property
    def key(self) -> Hashable:
        """What it is about: a lane has at most one errand of a key."""

    def step(self, wire: Wire) -> float | None:
        """Do what is next; the seconds until the next step, or None when it is done.

        Raises TransientError when it is the server's trouble, PermanentError when the server does
        not take this errand (it is tried again later, with pauses of its own), StorageError when
        the outcome could not be recorded, and what the wire was aborted with.
        """

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        """It has to wait; `sentence` says why, for a person."""


class Journal(Protocol):
    """Where the outcome is kept; durable when a call returns. Called from the lanes' threads."""

    def asking(self, download_id: int, server: str) -> bool:
        """An import command is about to be sent; False when it is not wanted any more."""

    def not_asked(self, download_id: int, server: str) -> None:
        """That command has certainly not arrived."""

    def accepted(self, download_id: int, server: str, command_id: int) -> None:
        """The server took the import command."""

    def postponed(
        self, download_id: int, server: str, sentence: str, next_attempt_at: datetime
    ) -> None:
        """The server could not be told yet; `sentence` says why, for a person."""

    def seen(self, server: str, record_id: int) -> None:
        """The server's history holds this id, the highest that was seen of it."""

    def marked(self, download_id: int, server: str, record_id: int) -> None:
        """Only records with a higher id can prove this import; for one without such a mark."""

    def claimed(self, download_id: int, server: str) -> None:
        """The server's history shows that it grabbed this download; who did not is not asked."""

    def denied(self, download_id: int, server: str) -> list[str]:
        """The server has not grabbed it; the names of those that may have and did not say so."""

    def imported(self, download_id: int, server: str, proof: Proof) -> bool:
        """The server's history shows that it imported the file. False when these records prove
        another download already.
        """

    def rejected(self, download_id: int, server: str, sentence: str) -> None:
        """The server does not want the file; only a person asks again."""

    def lost(self, download_id: int, server: str, sentence: str) -> None:
        """The file is gone and the server knows nothing of it."""


class ReportJournal(Protocol):
    """Where it is kept which failures a server was told of; as durable as `Journal`."""

    def reporting(self, failure_id: int, server: str, grabbed_id: int) -> bool:
        """The report is about to be sent; False when it was sent before, or is not true any
        more.
        """

    def not_reported(self, failure_id: int, server: str, grabbed_id: int) -> None:
        """That report has certainly not arrived."""

    def report_settled(self, failure_id: int, server: str) -> None:
        """The server has been told, or there is nothing to tell it."""


class ImportJournal(Journal, ReportJournal, Protocol):
    """The record of both."""


@dataclass(frozen=True)
class Mark:
    """How far an import had come when the record of it was read. All empty: not begun."""

    asked_at: datetime | None = None
    command_id: int | None = None
    asks: int = 0
    after: int | None = None
    """The highest id of the server's history before the file had its name; None is unknown."""


@dataclass(frozen=True)
class Proof:
    """The records of one import: one for a film, one an episode for a file of several."""

    record_ids: tuple[int, ...]
    library: Path | None
    """Where the file is in the library, in jack's view; None when the record does not say."""


@dataclass(frozen=True)
class Handover:
    """One finished file: the download's id, its Torznab category, where the file is for jack.

    `info_hash` (of the stub) or `guid` is what the *arr's history knows it by.
    """

    download_id: int
    category: int
    path: Path
    info_hash: str | None = None
    guid: str | None = None
    completed_at: datetime | None = None
    mark: Mark = field(default_factory=Mark)

    def __str__(self) -> str:
        return f"download {self.download_id} ({shown(self.path.name)})"


@dataclass(frozen=True)
class Failure:
    """A download that failed for good, for the server that grabbed it."""

    failure_id: int
    download_id: int | None
    """None for a stub that was refused before it became a download."""
    info_hash: str | None
    guid: str
    failed_at: datetime

    def __str__(self) -> str:
        if self.download_id is None:
            return f"refused stub of {shown(self.guid)}"
        return f"failed download {self.download_id}"


@dataclass(frozen=True)
class Pauses:
    """How long to wait between tries: `first` seconds, doubled each time, never above `longest`."""

    first: float
    longest: float

    def after(self, previous: float) -> float:
        """The pause that follows `previous`; 0.0 means there was none yet."""
        return min(previous * 2 or self.first, self.longest)


def is_gone(path: Path) -> bool:
    """Whether the file was taken away. A folder that is missing too is a disk that is not there
    (yet), which says nothing about the file.
    """
    return not os.path.lexists(path) and path.parent.is_dir()
