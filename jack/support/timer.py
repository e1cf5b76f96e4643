"""One thread that remembers what is due when, so that nobody else has to wait for it.

Due times are monotonic: a wall clock that jumps neither hurries nor delays anything inside a run.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
from collections.abc import Callable, Hashable

from jack.support.clock import Clock
from jack.support.threads import start

log = logging.getLogger(__name__)

Action = Callable[[], None]

_SPARE = 64
"""Cancelled entries that may stay in the heap: most deadlines are cancelled, so that costs them
nothing but a look-up in a dict."""


class Timer:
    """Actions by key and due time; a new one for a key replaces the old one. Actions must be
    short. Any thread may call everything but `run`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Hashable]] = []
        self._actions: dict[Hashable, tuple[int, Action]] = {}
        self._serial = itertools.count()
        self._wakes_at = -math.inf
        """When the thread looks up by itself; -inf while it is awake."""
        self._thread: threading.Thread | None = None
        self._stopping = False

    def after(self, seconds: float, action: Action, key: Hashable = None) -> Hashable:
        """Run `action` once, `seconds` from now. Returns the key to cancel it by: `key`, or else
        one of its own.
        """
        now = self._clock.monotonic()
        due = now + max(0.0, seconds)
        with self._changed:
            serial = next(self._serial)
            key = ("", serial) if key is None else key
            self._actions[key] = (serial, action)
            if len(self._heap) > 2 * len(self._actions) + _SPARE:
                self._heap = [entry for entry in self._heap if self._is_open(entry)]
                heapq.heapify(self._heap)
            heapq.heappush(self._heap, (due, serial, key))
            if due < self._wakes_at or now >= self._wakes_at:
                self._changed.notify()
        return key

    def cancel(self, key: Hashable) -> None:
        """It did not come to that. Harmless when the time was up already."""
        self._actions.pop(key, None)

    def run(self) -> None:
        """The thread's loop, until `stop`."""
        while not self._stopping:
            self.run_due()
            with self._changed:
                remaining = self._seconds_left()
                if not self._stopping and (remaining is None or remaining > 0):
                    self._wakes_at = self._heap[0][0] if self._heap else math.inf
                    self._changed.wait(remaining)
                    self._wakes_at = -math.inf

    def run_due(self) -> float | None:
        """Run everything that is due; returns the seconds until the next entry, None when there is
        none.
        """
        while True:
            with self._changed:
                remaining = self._seconds_left()
                if remaining is None or remaining > 0:
                    return remaining
                _, _, key = heapq.heappop(self._heap)
                _, action = self._actions.pop(key, (0, _nothing))
            try:
                action()
            except Exception:  # a bug in one action must not end the thread that serves all
                log.exception("the action %r failed", key)

    def started(self, name: str) -> Timer:
        """Itself, with a thread of that name that runs until the process ends."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            with self._changed:
                if self._thread is thread:
                    self._thread = threading.Thread(target=self.run, name=name, daemon=True)
                    start(self._thread)
        return self

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether the thread sleeps until something that is not due yet."""
        with self._changed:
            remaining = self._seconds_left()
            return self._wakes_at > -math.inf and (remaining is None or remaining > 0)

    def _seconds_left(self) -> float | None:
        """Until the next entry; what was cancelled before it is dropped."""
        while self._heap and not self._is_open(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] - self._clock.monotonic() if self._heap else None

    def _is_open(self, entry: tuple[float, int, Hashable]) -> bool:
        return self._actions.get(entry[2], (None,))[0] == entry[1]


def _nothing() -> None:
    """What is left of an action that was cancelled just now."""
