"""Log lines that are not repeated: said once until all is over, or at most once in a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class Once:
    """What was said and is not over yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: set[Hashable] = set()

    def first(self, what: Hashable = None) -> bool:
        """Whether `what` is said now, because it was not said since it began."""
        with self._lock:
            before = len(self._said)
            self._said.add(what)
            return len(self._said) > before

    def over(self) -> bool:
        """All has ended: whether anything had been said."""
        with self._lock:
            said = bool(self._said)
            self._said.clear()
            return said


class Seldom:
    """At most one line in `seconds`; what happens between is counted. Thread-safe."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._silent_until_seconds = monotonic()
        self._count = 0

    def due(self, count: int = 1) -> int:
        """Add `count`; how many there were since the last line when one is due, else 0."""
        with self._lock:
            self._count += count
            now = self._monotonic()
            if now < self._silent_until_seconds:
                return 0
            self._silent_until_seconds = now + self._seconds
            counted, self._count = self._count, 0
            return counted
