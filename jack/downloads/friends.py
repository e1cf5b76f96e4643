"""The peers as the download rules see them: clients by id, their health, and one log line per
change of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from jack.downloads.gate import PeerGate
from jack.downloads.retry import Jitter, RetryPolicy
from jack.errors import JackError, PeerRefused, PeerUnreachable, TransientError
from jack.peers.client import PeerClient

log = logging.getLogger(__name__)

IF_RANGE_CHANCES = 2


class Friends:
    """Everybody in the config's `peers`. Only ids that stand there ever lead to a request."""

    def __init__(
        self,
        clients: Mapping[str, PeerClient],
        gate: PeerGate,
        policy: RetryPolicy,
        jitter: Jitter,
    ) -> None:
        self._clients = clients
        self._policy = policy
        self._jitter = jitter
        self._lock = threading.Lock()
        self._if_range_ignored: dict[str, int] = {}
        self.gate = gate
        self._on_pause: Callable[[str, JackError], None] = lambda peer_id, error: None

    def on_pause(self, tell: Callable[[str, JackError], None]) -> None:
        """Have `tell` called whenever an error closes a peer's gate, whoever met that error."""
        self._on_pause = tell

    def client(self, peer_id: str) -> PeerClient | None:
        """None when the config has no such peer."""
        return self._clients.get(peer_id)

    def __len__(self) -> int:
        return len(self._clients)

    def name(self, peer_id: str) -> str:
        client = self._clients.get(peer_id)
        return client.peer.name if client else peer_id

    def honours_if_range(self, peer_id: str) -> bool:
        """False once the peer has twice sent the whole unchanged file in answer to If-Range."""
        return self._if_range_ignored.get(peer_id, 0) < IF_RANGE_CHANCES

    def note_if_range_ignored(self, peer_id: str) -> None:
        with self._lock:
            self._if_range_ignored[peer_id] = self._if_range_ignored.get(peer_id, 0) + 1

    def note_error(self, peer_id: str, error: JackError) -> float | None:
        """Leave the peer alone for a while when the error is about the peer and not about one file.

        Returns for how many seconds, or None when the error says nothing about the peer as a whole.
        """
        if isinstance(error, PeerUnreachable):
            seconds = self._policy.delay_seconds(self.gate.failed(peer_id), self._jitter)
        elif isinstance(error, PeerRefused):
            seconds = self._policy.refused_seconds(self.gate.failed(peer_id))
        elif isinstance(error, TransientError) and error.retry_after_seconds is not None:
            self.note_answer(peer_id)
            seconds = error.retry_after_seconds
        else:
            return None
        unproven = isinstance(error, (PeerUnreachable, PeerRefused))
        if self.gate.close(peer_id, seconds, str(error), unproven=unproven):
            log.warning(
                "%s; its downloads wait, next look in %.0f s",
                error,
                self.gate.closed_seconds(peer_id),
            )
        self._on_pause(peer_id, error)
        return self.gate.closed_seconds(peer_id)

    def note_answer(self, peer_id: str) -> None:
        """The peer answered: whatever it said, it is there."""
        if self.gate.answered(peer_id):
            log.info("%s is back; its downloads go on", self.name(peer_id))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
