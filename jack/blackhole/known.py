"""What intake remembers of each name in the watch folder: of most of them no more than a number.

Tens of thousands of torrents may lie there for years, so only a name that is still being judged has
a record of its own.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MARK_BITS: Final = 58
"""Mark and outcome together stay below 2^60: Python keeps such an int in 32 bytes."""


class Outcome(enum.IntEnum):
    """What became of one content of a name."""

    FOREIGN = 0
    TAKEN = 1
    LATER = 2
    """Its owner wants it when there is room again."""
    UNKNOWN_PEER = 3
    OPEN = 4
    """Not judged yet."""
    UNREADABLE = 5
    """It may be half written."""


_SAID = frozenset({Outcome.FOREIGN, Outcome.UNKNOWN_PEER})
"""What was logged when it was settled."""


@dataclass(slots=True)
class Seen:
    """What is known of a name that is still being judged."""

    mark: int = -1
    since_seconds: float = 0.0
    """clock.monotonic() when this content was first seen."""
    outcome: Outcome = Outcome.OPEN
    stub_mark: int = -1
    """Tells the stub that was handed on from another one under the same fingerprint."""
    racy: bool = False
    said: tuple[str, ...] = ()
    """What was logged about this name: each topic once, however often it is looked at."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be done about this content."""
        return self.outcome <= Outcome.UNKNOWN_PEER

    def first_time(self, topic: str) -> bool:
        if topic in self.said:
            return False
        self.said += (topic,)
        return True


def mark_of(what: object) -> int:
    """A number that stands for a fingerprint (or a stub), as long as this process runs."""
    return hash(what) & ((1 << _MARK_BITS) - 1)


class Known:
    """By name: a `Seen` while it is being judged, then its mark and outcome packed into one int."""

    def __init__(self) -> None:
        self._open: dict[str, Seen] = {}
        self._settled: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._settled or name in self._open

    def __iter__(self) -> Iterator[str]:
        yield from self._settled
        yield from self._open

    def is_settled(self, name: str, mark: int) -> bool:
        """Whether nothing is to be done about a name with that content."""
        packed = self._settled.get(name)
        return packed is not None and packed >> 2 == mark

    def outcome(self, name: str) -> Outcome:
        packed = self._settled.get(name)
        if packed is not None:
            return Outcome(packed & 3)
        seen = self._open.get(name)
        return seen.outcome if seen else Outcome.OPEN

    def seen(self, name: str) -> Seen | None:
        """The record of a name that is still being judged."""
        return self._open.get(name)

    def open(self, name: str) -> Seen:
        """The record of a name that is to be judged (again)."""
        packed = self._settled.pop(name, None)
        if packed is not None:
            outcome = Outcome(packed & 3)
            said = (outcome.name,) if outcome in _SAID else ()
            self._open[name] = Seen(packed >> 2, outcome=outcome, said=said)
        return self._open.setdefault(name, Seen())

    def close(self, name: str) -> None:
        """Keep no more than what is needed to know this content again, if it is settled."""
        seen = self._open.get(name)
        if seen is not None and seen.is_settled and not seen.racy:
            del self._open[name]
            self._settled[name] = seen.mark << 2 | seen.outcome

    def forget(self, name: str) -> None:
        self._settled.pop(name, None)
        self._open.pop(name, None)


class Alarm:
    """Names and when each is due; a new time for a name replaces the old one."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def set(self, name: str, when: float) -> None:
        self._due[name] = when
        heapq.heappush(self._heap, (when, name))

    def cancel(self, name: str) -> None:
        self._due.pop(name, None)

    def next(self) -> float:
        """When the first one is due; infinity when there is none."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self, now: float) -> str | None:
        """A name that is due; it is then no longer on the list."""
        if self.next() > now:
            return None
        _, name = heapq.heappop(self._heap)
        del self._due[name]
        return name
