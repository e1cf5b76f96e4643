"""A line of small requests (metadata, probes) per peer, each line worked by at most one thread.

A peer that hangs holds up its own line only, and never a transfer slot.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jack.support.threads import give

log = logging.getLogger(__name__)

Task = Callable[[], None]


class Lanes:
    """`pause_seconds(peer_id)` tells for how long a line must stand still; `later` calls back after
    that.
    """

    def __init__(
        self,
        peers: int,
        pause_seconds: Callable[[str], float],
        later: Callable[[float, str, Task], object],
    ) -> None:
        self._pause_seconds = pause_seconds
        self._later = later
        self._lock = threading.Condition(threading.Lock())
        self._lines: dict[str, deque[Task]] = {}
        self._busy: set[str] = set()
        self._closed = False
        self._pool = ThreadPoolExecutor(max(1, peers), thread_name_prefix="lane")

    def submit(self, peer_id: str, task: Task, *, first: bool = False) -> None:
        """Put `task` at the end of the peer's line, or at its head."""
        with self._lock:
            line = self._lines.setdefault(peer_id, deque())
            if first:
                line.appendleft(task)
            else:
                line.append(task)
        self._start(peer_id)

    @property
    def is_idle(self) -> bool:
        """Whether every line is empty or stands still."""
        return not self._busy

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lines.clear()
        self._pool.shutdown(wait=False)

    def join(self, seconds: float) -> bool:
        """After `close`: wait for the requests still under way; False when some have not ended in
        time.
        """
        with self._lock:
            return self._lock.wait_for(lambda: not self._busy, seconds)

    def _start(self, peer_id: str) -> None:
        with self._lock:
            if self._closed or peer_id in self._busy or not self._lines.get(peer_id):
                return
            self._busy.add(peer_id)
            give(self._pool, self._work, peer_id)

    def _work(self, peer_id: str) -> None:
        try:
            while (task := self._next(peer_id)) is not None:
                self._run(peer_id, task)
        finally:
            with self._lock:
                self._busy.discard(peer_id)
                self._lock.notify_all()
        pause = self._pause_seconds(peer_id)
        if pause > 0:
            self._later(pause, peer_id, lambda: self._start(peer_id))
        else:
            self._start(peer_id)

    def _next(self, peer_id: str) -> Task | None:
        if self._pause_seconds(peer_id) > 0:
            return None
        with self._lock:
            line = self._lines.get(peer_id)
            return line.popleft() if line and not self._closed else None

    def _run(self, peer_id: str, task: Task) -> None:
        try:
            task()
        except Exception:  # a bug in one task must not end the line of a peer
            log.exception("a request to peer %s ended in a bug", peer_id)
