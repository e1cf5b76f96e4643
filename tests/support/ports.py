"""A port that stays ours while nobody listens on it.

A number that was looked up and given back is free for anybody: any connection of this machine may
leave from it before the server of the test has it, which then fails to start once in a thousand
runs. A number that was reserved on 127.0.0.1 alone may be that of a connection already, which is in
the way of a server on all addresses.
"""

from __future__ import annotations

import os
import socket
import weakref


class Port:
    """Bound on all addresses and never listening, as long as this object lives; a server of ours
    can listen on it (SO_REUSEADDR on both sides)."""

    def __init__(self) -> None:
        both = socket.has_dualstack_ipv6()
        with socket.socket(socket.AF_INET6 if both else socket.AF_INET) as reservation:
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if both:
                reservation.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            reservation.bind(("", 0))
            self.number: int = reservation.getsockname()[1]
            self._finish = weakref.finalize(self, os.close, reservation.detach())
        self.url = f"http://127.0.0.1:{self.number}"

    def close(self) -> None:
        """Give it back now."""
        self._finish()
