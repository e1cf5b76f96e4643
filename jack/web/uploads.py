"""How many files leave at the same time: over all, and for each friend."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from jack.web.auth import Friend

RETRY_AFTER_SECONDS = 30
"""What those are told for whom there is no room now; a film takes longer, but a place may be free
sooner, and asking costs little.
"""


class UploadGate:
    """Counts file answers under way. Thread-safe."""

    def __init__(self, max_uploads: int) -> None:
        if max_uploads < 1:
            raise ValueError("nobody could fetch anything")
        self._max_uploads = max_uploads
        self._lock = threading.Lock()
        self._open = 0
        self._by_friend: Counter[str] = Counter()

    def enter(self, friend: Friend | None) -> Callable[[], None] | None:
        """A place for one answer: call the result when it has left (again does no harm).

        None when there is no room. Without a friend (the owner's key) only the total counts.
        """
        name = friend.name if friend else ""
        with self._lock:
            is_full = self._open >= self._max_uploads
            limit = friend.max_downloads if friend else 0
            if is_full or (limit and self._by_friend[name] >= limit):
                return None
            self._open += 1
            self._by_friend[name] += 1
        return _once(lambda: self._leave(name))

    @property
    def open(self) -> int:
        """Answers under way."""
        with self._lock:
            return self._open

    def _leave(self, name: str) -> None:
        with self._lock:
            self._open -= 1
            self._by_friend[name] -= 1


def _once(action: Callable[[], None]) -> Callable[[], None]:
    left = [action]
    lock = threading.Lock()

    def act() -> None:
        with lock:
            wanted = left.pop() if left else None
        if wanted:
            wanted()

    return act
