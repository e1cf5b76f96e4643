"""How long to wait for a peer's next byte, and when the bytes come too slowly to be worth a
slot; and when it is worth to wait for more of them."""

from __future__ import annotations

import select
import socket

from jack.errors import TooSlow, TransientError
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.waits import MINIMUM_WINDOW_SECONDS

MINIMUM_BYTES_PER_SECOND = 1024
_SLICE_SECONDS = 0.5
"""The longest single wait: an interruption that finds no socket to shut is noticed after this."""

LULL_SECONDS = 0.010
"""The longest pause that lets packets gather. Small against the round trip of a line on which they
come one by one, so that the sender notices nothing."""
SHORTEST_LULL_SECONDS = 0.002
"""What gathers in less is not worth a system call."""
FIRST_BYTES = 1024 * 1024
"""Before so many have come there is no lull, nor when only so many are left: a small file takes no
millisecond longer, and a connection that is getting faster is not held up."""
MEASURED_SECONDS = 0.2
"""Over how long the speed of a line is measured."""
_SHARE_OF_BUFFER = 0.25
"""Of the kernel's receive buffer that may fill meanwhile. It counts headers too, so this is about
half of the window the sender sees."""
GATHERED_BYTES = 256 * 1024
"""More are not worth waiting for. So what is faster than a gigabit has no lull at all."""


class Lull:
    """A pause whenever the socket has run dry, for a line that brings packets one by one: reading
    each of them costs as much as reading a hundred.

    How long depends on how fast the line is against the kernel's buffer: what comes meanwhile must
    fit in well. A fast line therefore has none.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received = 0
        self._window_begun = clock.monotonic()
        self._window_received = 0
        self._seconds = 0.0

    def received(self, size: int) -> None:
        self._received += size

    def pause(self, sock: socket.socket, left: int) -> float:
        """Let packets gather, now that `sock` is dry and `left` bytes of the body are to come; how
        many seconds that took. Ends at once when the connection is shut.
        """
        begun = self._clock.monotonic()
        if begun - self._window_begun >= MEASURED_SECONDS:
            self._measure(sock, begun)
        if not self.is_on or left < FIRST_BYTES:
            return 0.0
        poller = select.poll()
        poller.register(sock, 0)  # no event but the connection's end: POLLHUP, POLLERR
        poller.poll(int(self._seconds * 1000))
        return max(0.0, self._clock.monotonic() - begun)

    @property
    def is_on(self) -> bool:
        """Whether the line is one that brings packets one by one."""
        return self._seconds > 0.0 and self._received >= FIRST_BYTES

    def _measure(self, sock: socket.socket, now: float) -> None:
        rate = (self._received - self._window_received) / (now - self._window_begun)
        self._window_begun, self._window_received = now, self._received
        buffer_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        gathered = min(GATHERED_BYTES, buffer_bytes * _SHARE_OF_BUFFER)
        seconds = min(LULL_SECONDS, gathered / max(rate, 1.0))
        self._seconds = seconds if seconds >= SHORTEST_LULL_SECONDS else 0.0


class Patience:
    """Only time spent waiting for the network counts, never a slow disk on our side."""

    def __init__(self, who: str, wire: Wire, clock: Clock, idle_timeout_seconds: float) -> None:
        self.who = who
        self._wire = wire
        self._clock = clock
        self.idle_timeout_seconds = idle_timeout_seconds
        self.lull = Lull(clock)
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
