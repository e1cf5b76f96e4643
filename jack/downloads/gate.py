"""What is known of each peer's health, so that one that is down is asked once and not by every
download.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from jack.support.clock import Clock


@dataclass
class _Health:
    closed_until: float = 0.0
    proven: bool = False
    failures: int = 0
    failing_since: float | None = None
    announced: bool = False
    sentence: str = ""


class PeerGate:
    """Per peer: until when to leave it alone, and whether it has answered since it last failed.

    A peer is proven by any answer and unproven at start and after it could not be reached or
    refused us. An unproven peer gets one probe, outside the transfer slots, before its downloads
    may take a slot. Times are monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._peers: dict[str, _Health] = {}

    def closed_seconds(self, peer_id: str) -> float:
        """How long this peer is still to be left alone; 0 when it may be asked."""
        with self._lock:
            return max(0.0, self._health(peer_id).closed_until - self._clock.monotonic())

    def sentence(self, peer_id: str) -> str:
        """Why the gate is closed."""
        with self._lock:
            return self._health(peer_id).sentence

    def is_proven(self, peer_id: str) -> bool:
        with self._lock:
            return self._health(peer_id).proven

    def close(self, peer_id: str, seconds: float, sentence: str, *, unproven: bool) -> bool:
        """Leave the peer alone for `seconds`. Returns whether it was open before: the moment to say
        so once.
        """
        with self._lock:
            health = self._health(peer_id)
            now = self._clock.monotonic()
            first = not health.announced and health.closed_until <= now
            health.closed_until = max(health.closed_until, now + seconds)
            health.sentence = sentence
            if unproven:
                health.proven = False
                health.announced = True
            return first

    def failed(self, peer_id: str) -> int:
        """Note that the peer could not be reached or refused us; returns how often in a row that
        is.
        """
        with self._lock:
            health = self._health(peer_id)
            now = self._clock.monotonic()
            if (
                health.closed_until <= now
            ):  # several downloads may trip over one and the same failure
                health.failures += 1
            if health.failing_since is None:
                health.failing_since = now
            return max(1, health.failures)

    def open_now(self, peer_id: str) -> None:
        """A person wants this peer to be asked at once."""
        with self._lock:
            self._health(peer_id).closed_until = 0.0

    def failing_seconds(self, peer_id: str) -> float:
        """For how long the peer could not be reached or has refused us; 0 when it is fine."""
        with self._lock:
            since = self._health(peer_id).failing_since
            return 0.0 if since is None else self._clock.monotonic() - since

    def answered(self, peer_id: str) -> bool:
        """The peer gave an answer. Returns whether it had been failing before: the moment to say so
        once.
        """
        with self._lock:
            health = self._health(peer_id)
            was_failing = health.failing_since is not None
            health.proven = True
            health.failures = 0
            health.failing_since = None
            health.announced = False
            return was_failing

    def _health(self, peer_id: str) -> _Health:
        return self._peers.setdefault(peer_id, _Health())
