"""The transfer slots: a ThreadPoolExecutor of `maxConcurrentDownloads` threads.

What waits for a slot waits here, as an id, in a line per peer; peers take turns, so a friend with
five hundred files does not keep one with a single file waiting.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from jack.support.threads import give

log = logging.getLogger(__name__)


class Worker(Protocol):
    """Who has the work done."""

    def attempt(self, download_id: int) -> None:
        """One attempt, in a thread of the pool. Waits for nothing but the peer and the disk."""


class Slots:
    """Has `worker` make one attempt after another, at most `size` at a time. Any thread."""

    def __init__(self, size: int, worker: Worker) -> None:
        self._size = size
        self._worker = worker
        self._changed = threading.Condition(threading.Lock())
        self._lines: OrderedDict[str, deque[int]] = OrderedDict()
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self._again: dict[int, str] = {}
        self._threads = 0
        """How many threads of the pool are at work on the lines."""
        self._closed = False
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="transfer")

    def submit(self, peer_id: str, download_id: int) -> None:
        """Put a download in its peer's line; one that waits already is not put there twice, one
        that runs right now runs once more when it has ended. Raises NoThread.
        """
        with self._changed:
            if self._closed or download_id in self._waiting:
                return
            if download_id in self._running:
                self._again[download_id] = peer_id
                return
            self._enqueue(peer_id, download_id)
            if self._threads < self._size:
                self._threads += 1
                give(self._pool, self._work)

    def withdraw(self, download_id: int) -> None:
        """Take a download out of its line, if it is in one."""
        with self._changed:
            self._again.pop(download_id, None)
            self._waiting.discard(download_id)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits for a slot."""
        return not self._threads

    def close(self) -> None:
        """Take no more work; what waits is forgotten (its row remembers it)."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._lines.clear()
            self._again.clear()
        self._pool.shutdown(wait=False)

    def join(self, seconds: float) -> bool:
        """After `close`: wait for the attempts still under way; False when some have not ended in
        time.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, seconds)

    def _enqueue(self, peer_id: str, download_id: int) -> None:
        self._waiting.add(download_id)
        self._lines.setdefault(peer_id, deque()).append(download_id)

    def _work(self) -> None:
        """In a thread of the pool: attempts, until nobody waits for one."""
        try:
            while (download_id := self._next()) is not None:
                try:
                    self._worker.attempt(download_id)
                except Exception:
                    log.exception("download %d ended in a bug", download_id)
                finally:
                    self._ended(download_id)
        except BaseException:  # jack ends, and does not wait for this thread
            with self._changed:
                self._leave()
            raise

    def _leave(self) -> None:
        self._threads -= 1
        self._changed.notify_all()

    def _next(self) -> int | None:
        """Whose turn it is; None, and the thread does not count any more, when there is nobody."""
        with self._changed:
            while self._lines:
                peer_id, line = self._lines.popitem(last=False)
                download_id = line.popleft()
                if line:
                    self._lines[peer_id] = line
                if download_id in self._waiting:
                    self._waiting.discard(download_id)
                    self._running.add(download_id)
                    return download_id
            self._leave()
            return None

    def _ended(self, download_id: int) -> None:
        with self._changed:
            self._running.discard(download_id)
            peer_id = self._again.pop(download_id, None)
            if peer_id is not None and not self._closed:
                self._enqueue(peer_id, download_id)
