"""How fast files leave, all of them together: a token bucket, and a queue of those who wait."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

SEGMENT_BYTES = 1448
"""What an ordinary line carries in one TCP segment (MTU 1500, IPv4, timestamps): a quantum is a
whole number of these, so that no segment leaves half full.
"""
MAX_QUANTUM_BYTES = 1448 * SEGMENT_BYTES
"""About what a socket takes at once: 50 turns a second are 100 MiB/s."""
MIN_QUANTUM_BYTES = 8 * SEGMENT_BYTES
TURNS_PER_SECOND = 16
"""A quantum is this part of a second's bytes, within the two bounds: each turn costs two rounds of
the loop, whatever it sends.
"""
PATIENCE_SECONDS = 0.2
"""For the one whose turn it is: who does not take it (its socket is full again) goes to the end."""
_LOOK_SECONDS = 0.05


class UploadPace:
    """Grants bytes to uploads in turn, `bytes_per_second` in all. Thread-safe.

    Who is refused queues up, and only the first of the queue is served, one quantum at a time; so a
    fast reader gets no more than its share, and what a slow one leaves the others may have.
    """

    def __init__(
        self, bytes_per_second: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if bytes_per_second <= 0:
            raise ValueError("nothing would ever be sent")
        self._rate = bytes_per_second
        share = bytes_per_second // TURNS_PER_SECOND
        share -= share % SEGMENT_BYTES
        self.quantum_bytes = max(MIN_QUANTUM_BYTES, min(MAX_QUANTUM_BYTES, share))
        # Room for a wake-up that comes late, but never for a burst worth mentioning.
        self._most = max(2 * self.quantum_bytes, bytes_per_second // 10)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._tokens = float(self.quantum_bytes)
        self._filled_at_seconds = monotonic()
        self._queue: OrderedDict[Hashable, None] = OrderedDict()
        self._turn_since_seconds: float | None = None

    def take(self, who: Hashable, wanted: int) -> int:
        """How many of `wanted` bytes may go now: a whole quantum, or all that are wanted if these
        are fewer. Otherwise 0, and `who` queues.
        """
        with self._lock:
            self._fill()
            granted = min(wanted, self.quantum_bytes)
            is_first = not self._queue or next(iter(self._queue)) == who
            # Once somebody queues, the loop wakes for a whole quantum.
            needed = self.quantum_bytes if self._queue else granted
            if not is_first or self._tokens < needed:
                self._queue.setdefault(who)
                return 0
            self._queue.pop(who, None)
            self._turn_since_seconds = None
            self._tokens -= granted
            return granted

    def give_back(self, count: int) -> None:
        """Bytes that were granted and not sent after all."""
        with self._lock:
            self._tokens += count

    def holds(self, who: Hashable) -> bool:
        """Whether `who` queues and it is not its turn: asking again would be in vain."""
        with self._lock:
            if who not in self._queue:
                return False
            self._fill()
            return next(iter(self._queue)) != who or not self._has_quantum()

    def forget(self, who: Hashable) -> None:
        """`who` is gone."""
        with self._lock:
            self._queue.pop(who, None)

    def wait_seconds(self, longest: float) -> float:
        """How long nobody in the queue can be served, at most `longest`. Rounded up to the
        milliseconds that poll counts in: rounded down, the last one would be spent looking.
        """
        with self._lock:
            if not self._queue:
                return longest
            self._fill()
            if not self._has_quantum():
                missing = self.quantum_bytes - self._tokens
                milliseconds = math.ceil(missing / self._rate * 1000)
                return min(longest, (milliseconds + 0.5) / 1000)
            now = self._monotonic()
            if self._turn_since_seconds is None:
                self._turn_since_seconds = now
                return 0.0
            if now - self._turn_since_seconds >= PATIENCE_SECONDS:
                self._queue.move_to_end(next(iter(self._queue)))
                self._turn_since_seconds = None
            return min(longest, _LOOK_SECONDS)

    def _has_quantum(self) -> bool:
        return self._tokens >= self.quantum_bytes

    def _fill(self) -> None:
        now = self._monotonic()
        gained = (now - self._filled_at_seconds) * self._rate
        self._tokens = min(self._tokens + gained, float(self._most))
        self._filled_at_seconds = now
