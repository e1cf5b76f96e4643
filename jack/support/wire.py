"""A handle on the socket of an exchange, by which any thread can end it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from jack.errors import JackError, TransientError
from jack.support.clock import SystemClock
from jack.support.timer import Timer

_deadlines = Timer(SystemClock())
"""Of all exchanges of the process: a thread per wait would cost more than the small requests it
watches."""


def watch_deadlines() -> None:
    """Have the thread for it from the start on. Raises NoThread when there is none to be had."""
    _deadlines.started("deadlines")


class Wire:
    """One exchange's handle on its socket: any thread may abort it, which frees a blocked read at
    once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._reason: JackError | None = None
        self.fresh = True
        """False when the exchange went over a kept-alive connection."""

    def bind(self, sock: socket.socket | None) -> None:
        """Called by the connection that carries the exchange; an aborted wire closes it right
        away.
        """
        with self._lock:
            self._socket = sock
            if self._reason is not None:
                self._shut()

    @property
    def socket(self) -> socket.socket | None:
        """The socket in use; None before the connection stands."""
        return self._socket

    def abort(self, reason: JackError) -> None:
        """End the exchange; whoever reads gets `reason` raised by `check`. The first reason
        stays.
        """
        with self._lock:
            self._reason = self._reason or reason
            self._shut()

    def check(self) -> None:
        """Raise what `abort` was told, if it was."""
        if self._reason is not None:
            raise self._reason

    def _shut(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError, ValueError):
            # Not SSLSocket.shutdown: that one drops the TLS object under the reading thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def deadline(self, seconds: float, what: str) -> Iterator[None]:
        """Abort the exchange when the block has not ended in time; `what` names the peer and the
        wait.
        """

        def late() -> None:
            self.abort(TransientError(f"{what} took longer than {seconds:g} s"))

        ticket = _deadlines.started("deadlines").after(seconds, late)
        try:
            yield
        finally:
            _deadlines.cancel(ticket)
