"""A port of loopback that stays ours while nobody listens on it.

A number that was looked up and given back is free for anybody: any connection of this machine may
leave from it before the server of the test has it, which then fails to start once in a thousand
runs.
"""

from __future__ import annotations

import os
import socket
import weakref


class Port:
    """Bound and never listening, as long as this object lives; a server of ours can listen on it
    (SO_REUSEADDR on both sides)."""

    def __init__(self) -> None:
        with socket.socket() as reservation:
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # On every address: a connection from another one, 127.0.1.5 say, would be in the way.
            reservation.bind(("", 0))
            self.number: int = reservation.getsockname()[1]
            self._finish = weakref.finalize(self, os.close, reservation.detach())
        self.url = f"http://127.0.0.1:{self.number}"

    def close(self) -> None:
        """Give it back now."""
        self._finish()
