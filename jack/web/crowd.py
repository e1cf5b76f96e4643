"""Who leaves when too many are connected: over all, and from one address."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from jack.support.waits import STALLED_FILE_SECONDS

log = logging.getLogger(__name__)

PER_ADDRESS = 32
"""Connections of one address, those beside that carry a file: a browser opens six, a friend's jack
a dozen.
"""
LOG_SECONDS = 60.0
_IPV6_PREFIX = 64
"""What one household gets of IPv6: all of it counts as one address."""


class Connection(Protocol):
    """What is asked of a connection."""

    moved_at_seconds: float
    home: str
    """Empty: an idle one of a proxy, which may have many."""

    @property
    def carries_file(self) -> bool: ...

    @property
    def is_served(self) -> bool: ...

    def handle_close(self) -> None: ...


class Crowd:
    """Chooses who leaves, and says so at most once a minute. For one thread."""

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._silent_until_seconds = monotonic()
        self._unlogged = 0

    def leaving(self, connections: Iterable[Connection]) -> list[Connection]:
        """Those whose bytes have not moved for longest, so that fewer than the most stay, and no
        more than PER_ADDRESS of one address.
        """
        everybody = list(connections)
        leaving: list[Connection] = []
        if len(everybody) > PER_ADDRESS:
            homes = defaultdict(list)
            for connection in self._movable(everybody):
                if connection.home:
                    homes[connection.home].append(connection)
            for those in homes.values():
                leaving += those[: max(0, len(those) - PER_ADDRESS)]
        too_many = len(everybody) - len(leaving) - self._most + 1
        if too_many > 0:
            staying = [one for one in self._movable(everybody) if one not in leaving]
            leaving += staying[:too_many]
        if leaving:
            self._say(len(leaving))
        return leaving

    def _movable(self, connections: list[Connection]) -> list[Connection]:
        """In the order in which they leave: those an answer is being made for come last."""
        alive_since = self._monotonic() - STALLED_FILE_SECONDS
        movable = [
            one for one in connections if not one.carries_file or one.moved_at_seconds < alive_since
        ]
        return sorted(movable, key=lambda one: (one.is_served, one.moved_at_seconds))

    def _say(self, count: int) -> None:
        self._unlogged += count
        now = self._monotonic()
        if now < self._silent_until_seconds:
            return
        self._silent_until_seconds = now + LOG_SECONDS
        log.warning(
            "too many connections (jack takes %d, and %d of one address): closed %d on which"
            " nothing had moved for longest; no upload under way was touched",
            self._most,
            PER_ADDRESS,
            self._unlogged,
        )
        self._unlogged = 0


def home_of(address: str) -> str:
    """The address as it counts: an IPv6 one by its network, an IPv4 one inside IPv6 by itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
