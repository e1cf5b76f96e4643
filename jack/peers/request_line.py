"""Small requests (metadata, probes) one after another for one peer, standing still while the peer
is left alone.

A peer that hangs holds up its own line only, and never a transfer slot.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from jack.support.threads import give
from jack.support.timer import Timer

log = logging.getLogger(__name__)

Task = Callable[[], None]


class Counterpart(Protocol):
    """Whose line it is."""

    @property
    def name(self) -> str: ...

    @property
    def closed_seconds(self) -> float:
        """How long it is to be left alone; 0 when it may be asked."""


class RequestLine:
    """At most one thread of `pool` works for it, and none while there is nothing to do. Any
    thread.
    """

    def __init__(self, whose: Counterpart, pool: ThreadPoolExecutor, timer: Timer) -> None:
        self._whose = whose
        self._pool = pool
        self._timer = timer
        self._changed = threading.Condition(threading.Lock())
        self._tasks: deque[Task] = deque()
        self._busy = False
        self._closed = False

    def submit(self, task: Task, *, first: bool = False) -> None:
        """Put `task` at the end of the line, or at its head. Raises NoThread."""
        with self._changed:
            if first:
                self._tasks.appendleft(task)
            else:
                self._tasks.append(task)
        self.wake()

    def wake(self) -> None:
        """Go on, if there is something to do and the counterpart may be asked. Raises NoThread."""
        with self._changed:
            if self._closed or self._busy or not self._tasks:
                return
            pause = self._whose.closed_seconds
            if pause <= 0:
                self._busy = True
                give(self._pool, self._work)
                return
        self._timer.after(pause, self.wake, self)

    @property
    def is_idle(self) -> bool:
        """Whether it is empty or stands still."""
        return not self._busy

    def close(self) -> None:
        """What waits is dropped."""
        with self._changed:
            self._closed = True
            self._tasks.clear()

    def join(self, seconds: float) -> bool:
        """After `close`: wait for the request under way; False when it has not ended in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, seconds)

    def _work(self) -> None:
        """In a thread of the pool."""
        try:
            while (task := self._next()) is not None:
                try:
                    task()
                except Exception:  # a bug in one task must not end the line
                    log.exception("a request to peer %s ended in a bug", self._whose.name)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        self.wake()

    def _next(self) -> Task | None:
        if self._whose.closed_seconds > 0:
            return None
        with self._changed:
            return self._tasks.popleft() if self._tasks else None
