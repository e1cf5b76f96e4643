"""One thread that remembers what is due when, so that nobody else has to wait for it.

Deadlines are monotonic: a wall clock that jumps neither hurries nor delays a retry inside a run.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Hashable

from jack.support.clock import Clock

log = logging.getLogger(__name__)

Action = Callable[[], None]


class Agenda:
    """Actions by key and due time; a new entry for a key replaces the old one. Actions must be
    short.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Hashable]] = []
        self._entries: dict[Hashable, tuple[int, Action]] = {}
        self._serial = itertools.count()

    def after(self, seconds: float, key: Hashable, action: Action) -> None:
        """Run `action` once, `seconds` from now."""
        due = self._clock.monotonic() + max(0.0, seconds)
        with self._changed:
            serial = next(self._serial)
            self._entries[key] = (serial, action)
            heapq.heappush(self._heap, (due, serial, key))
            self._changed.notify()

    def cancel(self, key: Hashable) -> None:
        with self._changed:
            self._entries.pop(key, None)

    def run_due(self) -> float | None:
        """Run everything that is due; return the seconds until the next entry, None when there is
        none.
        """
        while True:
            with self._changed:
                self._drop_replaced()
                if not self._heap:
                    return None
                due, _, key = self._heap[0]
                remaining = due - self._clock.monotonic()
                if remaining > 0:
                    return remaining
                heapq.heappop(self._heap)
                _, action = self._entries.pop(key)
            self._run(key, action)

    def run(self, stop: threading.Event) -> None:
        """The thread's loop, until `stop` is set and `wake` was called."""
        while not stop.is_set():
            remaining = self.run_due()
            with self._changed:
                if not stop.is_set() and not self._is_due():
                    self._changed.wait(remaining)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _is_due(self) -> bool:
        self._drop_replaced()
        return bool(self._heap) and self._heap[0][0] <= self._clock.monotonic()

    def _drop_replaced(self) -> None:
        while self._heap:
            _, serial, key = self._heap[0]
            if self._entries.get(key, (None,))[0] == serial:
                return
            heapq.heappop(self._heap)

    def _run(self, key: Hashable, action: Action) -> None:
        try:
            action()
        except Exception:  # a bug in one action must not end the thread that serves all
            log.exception("the action %r failed", key)
