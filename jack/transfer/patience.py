"""How long to wait for a peer's next byte, and when the bytes come too slowly to be worth a
slot."""

from __future__ import annotations

import select
import socket

from jack.errors import TooSlow, TransientError
from jack.support.clock import Clock
from jack.support.http import Wire

MINIMUM_BYTES_PER_SECOND = 1024
MINIMUM_WINDOW_SECONDS = 10.0
"""The shortest time over which a speed is judged."""
_SLICE_SECONDS = 0.5
"""The longest single wait: an interruption that finds no socket to shut is noticed after this."""


class Patience:
    """Only time spent waiting for the network counts, never a slow disk on our side."""

    def __init__(self, who: str, wire: Wire, clock: Clock, idle_timeout_seconds: float) -> None:
        self.who = who
        self._wire = wire
        self._clock = clock
        self.idle_timeout_seconds = idle_timeout_seconds
        self.window_seconds = max(MINIMUM_WINDOW_SECONDS, idle_timeout_seconds)
        """Over how much waiting the average speed is judged."""
        self._waited = 0.0
        self._idle = 0.0
        self._brought = 0

    def wait_for(
        self, sock: socket.socket, event: int = select.POLLIN, at_most: float | None = None
    ) -> bool:
        """True when `sock` is ready for `event`, False when it was not in `at_most` seconds.

        Raises TransientError when nothing comes for too long, TooSlow when too little came, and
        what the wire was aborted with.
        """
        poller = select.poll()
        poller.register(sock, event)
        begun = self._clock.monotonic()
        elapsed = 0.0
        ready = False
        while not ready and (at_most is None or elapsed < at_most):
            self._wire.check()
            left = self.idle_timeout_seconds - self._idle - elapsed
            if left <= 0:
                raise self.stalled()
            slice_seconds = min(left, _SLICE_SECONDS, at_most or _SLICE_SECONDS)
            ready = bool(poller.poll(max(1, int(slice_seconds * 1000))))
            elapsed = self._clock.monotonic() - begun
        self._idle = 0.0 if ready else self._idle + elapsed
        self.waited(elapsed)
        return ready

    def waited(self, seconds: float) -> None:
        """So many more seconds went by on the network's account. Raises TooSlow."""
        self._waited += seconds
        if self._waited < self.window_seconds:
            return
        if self._brought < self._waited * MINIMUM_BYTES_PER_SECOND:
            raise TooSlow(
                f"{self.who} sent {self._brought} bytes in {self._waited:.0f} s, which is too slow"
            )
        self._waited, self._brought = 0.0, 0

    def brought(self, size: int) -> None:
        """The network brought `size` bytes."""
        self._brought += size

    def stalled(self) -> TransientError:
        """The error for a peer that has sent nothing for too long."""
        return TransientError(
            f"{self.who}: the transfer stalled, no byte came for {self.idle_timeout_seconds:g} s"
        )
