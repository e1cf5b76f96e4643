"""Actions that run when time is up, in one thread for many: a thread per wait would cost more than
the small requests it watches."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable

LINGER_SECONDS = 1.0
"""So long the thread stays at least when there is nothing to watch: more may come soon."""


class Deadlines:
    """The thread starts with the first action and ends when there is nothing left to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._open: dict[int, tuple[float, Callable[[], None]]] = {}
        self._tickets = itertools.count()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._closing = False

    def add(self, seconds: float, action: Callable[[], None]) -> int:
        """Run `action`, which must be short, in `seconds`, unless the ticket returned is removed
        before. Raises RuntimeError when no thread can be started."""
        due = time.monotonic() + seconds
        with self._changed:
            ticket = next(self._tickets)
            self._closing = False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                thread.start()
                self._thread = thread
            self._open[ticket] = (due, action)
            if due < self._wakes_at:
                self._changed.notify()
        return ticket

    def remove(self, ticket: int) -> None:
        """It did not come to that. Harmless when the time was up already."""
        self._open.pop(ticket, None)

    def close(self) -> None:
        """Nothing is watched any more, and the thread ends; a later `add` starts another one."""
        with self._changed:
            self._open.clear()
            self._closing = True
            self._changed.notify()

    def _run(self) -> None:
        while (actions := self._next_due()) is not None:
            for action in actions:
                action()

    def _next_due(self) -> list[Callable[[], None]] | None:
        """Wait a while; the actions that are due now, None when the thread is not needed any
        more."""
        with self._changed:
            now = time.monotonic()
            open_now = list(self._open.items())
            due = [(ticket, action) for ticket, (at, action) in open_now if at <= now]
            if not due:
                soonest = min((at for _, (at, _) in open_now), default=math.inf)
                self._wakes_at = min(soonest, now + LINGER_SECONDS)
                self._changed.wait(self._wakes_at - now)
                if self._closing or not (open_now or self._open):
                    self._thread = None
                    return None
            for ticket, _ in due:
                self._open.pop(ticket, None)
            return [action for _, action in due]
