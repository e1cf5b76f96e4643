"""What the transfers of this moment have received and how fast, from memory: the row knows only
what is safe on disk.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from jack.support.clock import Clock
from jack.support.timer import Timer

SAMPLE_SECONDS = 1.0
WINDOW_SECONDS = 10.0
"""The speed that is shown is the mean of so long."""
SHORTEST_SECONDS = 0.5
"""Before that nothing is said about it."""


class Received(Protocol):
    """A running attempt; `received_offset` is read from other threads."""

    received_offset: int
    """Bytes [0, received_offset) of the file have arrived, safe on disk or not."""


@dataclass(frozen=True)
class Moving:
    """A running transfer as it is now. `bytes_per_second` is None at its beginning."""

    received_bytes: int
    bytes_per_second: float | None


class Live:
    """The running attempts by download id. The timer looks once a second while there are any;
    nothing is done for each piece that arrives.
    """

    def __init__(self, clock: Clock, timer: Timer) -> None:
        self._clock = clock
        self._timer = timer
        self._is_sampling = False
        self._lock = threading.Lock()
        self._running: dict[int, tuple[Received, deque[tuple[float, int]]]] = {}

    @contextlib.contextmanager
    def running(self, download_id: int, attempt: Received) -> Iterator[None]:
        """While the block runs, `attempt` is the transfer of that download."""
        begun_at = (self._clock.monotonic(), attempt.received_offset)
        with self._lock:
            self._running[download_id] = (attempt, deque([begun_at]))
            is_first, self._is_sampling = not self._is_sampling, True
        if is_first:
            self._timer.after(SAMPLE_SECONDS, self._sample)
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(download_id, None)

    def _sample(self) -> None:
        """Note where all stand."""
        now = self._clock.monotonic()
        with self._lock:
            for attempt, samples in self._running.values():
                samples.append((now, attempt.received_offset))
                while now - samples[0][0] > WINDOW_SECONDS:
                    samples.popleft()
            self._is_sampling = bool(self._running)
        if self._is_sampling:
            self._timer.after(SAMPLE_SECONDS, self._sample)

    def look(self, download_id: int) -> Moving | None:
        """None when the download has no transfer under way."""
        with self._lock:
            attempt, samples = self._running.get(download_id, (None, deque()))
            if attempt is None:
                return None
            received = attempt.received_offset
            since, begun_at = samples[0]
            seconds = self._clock.monotonic() - since
            # A restart at zero takes bytes back; that is no speed. Nor can one be told at once.
            brought = max(0, received - begun_at)
            return Moving(received, brought / seconds if seconds >= SHORTEST_SECONDS else None)
