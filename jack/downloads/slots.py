"""The transfer slots: a ThreadPoolExecutor that is never given more work than it has threads.

What waits for a slot waits here, as an id, in a line per peer; peers take turns, so a friend with
five hundred files does not keep one with a single file waiting. The pool is given turns, not ids:
an id leaves its line only when a thread really takes it, so a machine out of threads loses none.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jack.support.pools import join_pool, surface

log = logging.getLogger(__name__)


class Slots:
    """Runs `work(download_id)` in at most `size` threads."""

    def __init__(self, size: int, work: Callable[[int], None]) -> None:
        self._size = size
        self._work = work
        self._lock = threading.Lock()
        self._lines: OrderedDict[str, deque[int]] = OrderedDict()
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self._again: dict[int, str] = {}
        self._resting: OrderedDict[int, Callable[[], None]] = OrderedDict()
        self._closed = False
        self._coming = 0
        """Turns given to the pool that no thread has taken yet."""
        self._short = False
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="transfer")

    def submit(self, peer_id: str, download_id: int) -> None:
        """Put a download in its peer's line; one that waits already is not put there twice, one
        that runs right now runs once more when it has ended.
        """
        with self._lock:
            if self._closed or download_id in self._waiting:
                return
            if download_id in self._running:
                self._again[download_id] = peer_id
                return
            self._enqueue(peer_id, download_id)
        self.pump()

    def withdraw(self, download_id: int) -> bool:
        """Take a download out of its line; False when it is not in one (it may be running)."""
        with self._lock:
            self._again.pop(download_id, None)
            if download_id not in self._waiting:
                return False
            self._waiting.discard(download_id)
            return True

    def rest(self, download_id: int, give_way: Callable[[], None]) -> bool:
        """The running download is about to sleep a little. False when others wait for its slot
        already; otherwise `give_way` is called as soon as one does.
        """
        with self._lock:
            if self._waiting or self._closed:
                return False
            self._resting[download_id] = give_way
            return True

    def end_rest(self, download_id: int) -> None:
        with self._lock:
            self._resting.pop(download_id, None)

    def close(self) -> None:
        """Take no more work; what waits is forgotten (its row remembers it)."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._lines.clear()
            self._again.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(self, seconds: float) -> bool:
        """After `close`: wait for the transfers still under way; False when some have not ended in
        time.
        """
        return join_pool(self._pool, seconds)

    def _enqueue(self, peer_id: str, download_id: int) -> None:
        self._waiting.add(download_id)
        self._lines.setdefault(peer_id, deque()).append(download_id)

    def pump(self) -> None:
        """Start what can be started. Also for a later look, when there was no thread before."""
        with self._lock:
            while self._coming < min(len(self._waiting), self._size - len(self._running)):
                if self._closed or not self._give_turn():
                    break
            give_way = self._resting.popitem(last=False)[1] if self._wanted() else None
        if give_way is not None:
            give_way()

    def _give_turn(self) -> bool:
        try:
            self._pool.submit(self._turn).add_done_callback(surface)
        except RuntimeError as error:
            # The pool may run this turn after all, when it has a thread: that does no harm.
            if not self._short:
                log.error("no thread for a transfer (%s); the running ones go on first", error)
            self._short = True
            return False
        self._short = False
        self._coming += 1
        return True

    def _turn(self) -> None:
        """In a thread of the pool: the next download whose turn it is, if there still is one."""
        with self._lock:
            self._coming = max(0, self._coming - 1)
            download_id = self._next() if len(self._running) < self._size else None
            if download_id is None:
                return
            self._running.add(download_id)
        try:
            self._work(download_id)
        except Exception:
            log.exception("download %d ended in a bug", download_id)
        finally:
            self._ended(download_id)

    def _wanted(self) -> bool:
        return bool(self._waiting and self._resting)

    def _next(self) -> int | None:
        while self._lines:
            peer_id, line = self._lines.popitem(last=False)
            download_id = line.popleft()
            if line:
                self._lines[peer_id] = line
            if download_id in self._waiting:
                self._waiting.discard(download_id)
                return download_id
        return None

    def _ended(self, download_id: int) -> None:
        with self._lock:
            self._running.discard(download_id)
            self._resting.pop(download_id, None)
            peer_id = self._again.pop(download_id, None)
            if peer_id is not None and not self._closed:
                self._enqueue(peer_id, download_id)
        self.pump()
