"""One small record of each name in the watch folder, where tens of thousands may lie for years."""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

from jack.blackhole.drops import Note


class State(enum.Flag):
    """What is known of a name's content; each is said at most once of a name."""

    UNJUDGED = enum.auto()
    UNREADABLE = enum.auto()
    """Not a whole torrent: it may be half written."""
    UNREACHABLE = enum.auto()
    """The system does not let jack read it."""
    MAGNET = enum.auto()
    FOREIGN = enum.auto()
    TAKEN = enum.auto()
    NO_ROOM = enum.auto()
    """Its owner wants it when there is room for more of its peer's."""
    UNKNOWN_PEER = enum.auto()
    PUT_OFF = enum.auto()
    """Its owner wants it again later."""
    BUG = enum.auto()
    """Its owner could not take it: a bug in jack."""


NOTHING = State(0)


@dataclass(slots=True)
class Record:
    """What was judged, what came of it, and until when to leave it alone."""

    mark: int = 0
    """Stands for the content that was judged (`reading.mark_of`)."""
    state: State = State.UNJUDGED
    until: float = 0.0
    """clock.monotonic() from when on the same content is looked at again."""
    since: float = 0.0
    """clock.monotonic() when this content was first seen; kept of unreadable ones only."""
    scan: int = 0
    """Number of the last scan that saw the name."""
    said: State = NOTHING

    def first_time(self, state: State) -> bool:
        """Whether this was not said of the name before."""
        is_new = state not in self.said
        self.said |= state
        return is_new


class SeenNames:
    """By name, with the notes that owners left. Changed by intake's thread only."""

    def __init__(self) -> None:
        self._by_name: dict[str, Record] = {}
        self._due: list[tuple[float, str]] = []
        self.notes: dict[str, Note] = {}

    def get(self, name: str) -> Record | None:
        return self._by_name.get(name)

    def open(self, name: str) -> Record:
        """The record of a name, made if there is none."""
        record = self._by_name.get(name)
        if record is None:
            record = self._by_name[name] = Record()
        return record

    def forget(self, name: str) -> None:
        self._by_name.pop(name, None)
        self.notes.pop(name, None)

    def forget_unseen(self, scan: int) -> None:
        """Forget every name that this scan did not see."""
        for name in [name for name, record in self._by_name.items() if record.scan != scan]:
            self.forget(name)

    def all(self) -> list[tuple[str, Record]]:
        """As they are now; from any thread."""
        return list(self._by_name.items())

    def put_off(self, name: str, until: float) -> None:
        """Leave the content alone until then, and look at it then without waiting for a scan."""
        self.open(name).until = until
        heapq.heappush(self._due, (until, name))

    def next_due(self) -> float:
        """When the first one that was put off is due; infinity when there is none."""
        return self._due[0][0] if self._due else math.inf

    def due(self, now: float) -> Iterator[str]:
        """The names that are due, each of them once."""
        while self._due and self._due[0][0] <= now:
            until, name = heapq.heappop(self._due)
            record = self._by_name.get(name)
            if record is not None and record.until == until:
                yield name
