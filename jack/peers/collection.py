"""Everybody in the config's `peers`. Only ids that stand there ever lead to a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from jack.peers.peer import Common, Follower, Peer
from jack.peers.peer_client import PeerEntry
from jack.support.clock import Clock
from jack.support.pauses import Pauses
from jack.support.timer import Timer

MOST_LINES: Final = 1000
"""Threads for small requests, of which there are no more than peers that are asked at once."""


class Peers:
    """By id, in the order of the config; they may come, change and go while jack runs. Any
    thread.
    """

    def __init__(
        self, entries: Iterable[PeerEntry], pauses: Pauses, connections: int, clock: Clock
    ) -> None:
        self.timer = Timer(clock)
        """Wakes what waits for a peer; whoever uses more than searches runs it."""
        pool = ThreadPoolExecutor(MOST_LINES, thread_name_prefix="line")
        self._common = Common(clock, self.timer, pool, pauses, connections)
        self._lock = threading.Lock()
        self._peers = {entry.id: Peer(entry, self._common) for entry in entries}

    def follow(self, follower: Follower) -> None:
        """Have `follower` told from now on; there is one."""
        self._common.follower = follower

    def get(self, peer_id: str) -> Peer | None:
        """None when the config has no such peer."""
        return self._peers.get(peer_id)

    def name(self, peer_id: str) -> str:
        """For a sentence; the id when the config has no such peer."""
        peer = self._peers.get(peer_id)
        return peer.name if peer else peer_id

    def __iter__(self) -> Iterator[Peer]:
        with self._lock:
            return iter(list(self._peers.values()))

    def __len__(self) -> int:
        return len(self._peers)

    def put(self, entry: PeerEntry) -> None:
        """Add a peer, or change the one of that id."""
        with self._lock:
            known = self._peers.get(entry.id)
            peer = known or self._peers.setdefault(entry.id, Peer(entry, self._common))
        if known is None:
            self._common.follower.joined(peer)
        elif known.entry != entry:
            known.change(entry)

    def remove(self, peer_id: str) -> None:
        """What waits for that peer is told; nothing happens when there is none."""
        with self._lock:
            peer = self._peers.pop(peer_id, None)
        if peer is not None:
            peer.leave()

    @property
    def is_idle(self) -> bool:
        """Whether every line is empty or stands still."""
        return all(peer.line.is_idle for peer in self)

    def stop(self) -> None:
        """End all small requests; searches have a stop of their own."""
        for peer in self:
            peer.stop()
        self._common.pool.shutdown(wait=False)

    def join(self, seconds: float) -> bool:
        """After `stop`: False when a request has not ended in time."""
        end = time.monotonic() + seconds
        return all([peer.line.join(max(0.0, end - time.monotonic())) for peer in self])

    def close(self) -> None:
        """At the very end: the connections that are kept alive."""
        for peer in self:
            peer.client.close()
