"""What the lane and importer tests share: a clock to move, a journal in memory, handovers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jack.arr.imports import Handover, Proof
from jack.model import MOVIES

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class SteppedClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds


class MemoryJournal:
    """Keeps what it is told; raises `failure` instead while one is set."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str, int]] = []
        self.put_off: list[tuple[int, str, str, datetime]] = []
        self.words: list[tuple[str, int, str]] = []
        """Everything else it was told: (what, the download's or failure's id, a sentence or "")."""
        self.unwanted: set[int] = set()
        """What another server has claimed."""
        self.others: list[str] = []
        """Servers that may have grabbed it and have not said so."""
        self.highest: list[int] = []
        self.marks: list[int] = []
        self.used: set[int] = set()
        """Records that have proven an import."""
        self.reported: list[int] = []
        self.failure: Exception | None = None
        self._changed = threading.Condition()

    def accepted(self, download_id: int, server: str, command_id: int) -> None:
        self._record(lambda: self.taken.append((download_id, server, command_id)))

    def postponed(
        self, download_id: int, server: str, sentence: str, next_attempt_at: datetime
    ) -> None:
        self._record(lambda: self.put_off.append((download_id, server, sentence, next_attempt_at)))

    def asking(self, download_id: int, server: str) -> bool:
        self._record(lambda: self.words.append(("asking", download_id, "")))
        return download_id not in self.unwanted

    def not_asked(self, download_id: int, server: str) -> None:
        self._record(lambda: self.words.append(("not asked", download_id, "")))

    def claimed(self, download_id: int, server: str) -> None:
        self._record(lambda: self.words.append(("claimed", download_id, "")))

    def denied(self, download_id: int, server: str) -> list[str]:
        self._record(lambda: self.words.append(("denied", download_id, "")))
        return list(self.others)

    def seen(self, server: str, record_id: int) -> None:
        self._record(lambda: self.highest.append(record_id))

    def marked(self, download_id: int, server: str, record_id: int) -> None:
        self._record(lambda: self.marks.append(record_id))

    def imported(self, download_id: int, server: str, proof: Proof) -> bool:
        if self.used & set(proof.record_ids):
            return False
        self._record(lambda: self.words.append(("imported", download_id, "")))
        self.used |= set(proof.record_ids)
        return True

    def rejected(self, download_id: int, server: str, sentence: str) -> None:
        self._record(lambda: self.words.append(("rejected", download_id, sentence)))

    def lost(self, download_id: int, server: str, sentence: str) -> None:
        self._record(lambda: self.words.append(("lost", download_id, sentence)))

    def reporting(self, failure_id: int, server: str, grabbed_id: int) -> bool:
        if grabbed_id in self.reported:
            return False
        self._record(lambda: self.reported.append(grabbed_id))
        return True

    def not_reported(self, failure_id: int, server: str, grabbed_id: int) -> None:
        self._record(lambda: self.reported.remove(grabbed_id))

    def report_settled(self, failure_id: int, server: str) -> None:
        self._record(lambda: self.words.append(("report settled", failure_id, "")))

    def said(self, what: str) -> list[str]:
        """The sentences of one kind, in order."""
        return [sentence for kind, _, sentence in self.words if kind == what]

    def _record(self, record: Callable[[], None]) -> None:
        with self._changed:
            if self.failure is not None:
                raise self.failure
            record()
            self._changed.notify_all()

    @property
    def pairs(self) -> set[tuple[int, str]]:
        return {(number, server) for number, server, _ in self.taken}

    def wait_for(self, done: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(done, 10.0), (self.taken, self.put_off)


def handover(number: int, category: int = MOVIES) -> Handover:
    return Handover(number, category, Path(f"/volume1/completed/File {number}.mkv"))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def file() -> Callable[..., Handover]:
    """Makes the handover of download `number`."""
    return handover
