"""Asking a server with restraint: exchanges that can be ended from outside, and questions that are
repeated only once in a while.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from jack.errors import Interrupted
from jack.support.clock import Clock
from jack.support.http import Wire

MAX_REMEMBERED = 4096


class Wires:
    """Handles for one exchange after the other, until stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: Interrupted | None = None
        self._current: Wire | None = None

    def __call__(self) -> Wire:
        with self._lock:
            if self._reason is not None:
                raise self._reason
            self._current = Wire()
            return self._current

    def stop(self) -> None:
        with self._lock:
            self._reason = Interrupted("jack is stopping")
            if self._current is not None:
                self._current.abort(self._reason)


class Rationed:
    """Lets each number pass once in a while; remembers a bounded count of them."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last: OrderedDict[int, float] = OrderedDict()

    def allows(self, number: int) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            last = self._last.get(number)
            if last is not None and now - last < self._seconds:
                return False
            self._last[number] = now
            self._last.move_to_end(number)
            if len(self._last) > MAX_REMEMBERED:
                self._last.popitem(last=False)
            return True
