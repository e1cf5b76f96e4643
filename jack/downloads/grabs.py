"""From a stub to a row: ask the peer what the stub means, check the answer, record it.

There is no row before the peer has answered, and no grab is lost while it does not: the stub stays
in its folder and is asked about again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from jack.blackhole.disposal import park_failed_stub
from jack.blackhole.intake import Drop, Verdict
from jack.downloads.agenda import Agenda
from jack.downloads.claims import Claims
from jack.downloads.friends import Friends
from jack.downloads.lanes import Lanes
from jack.downloads.retry import Jitter, RetryPolicy
from jack.errors import (
    Interrupted,
    JackError,
    PermanentError,
    ProtocolError,
    StorageError,
)
from jack.model import Release
from jack.peers.client import PeerClient
from jack.store.database import Database
from jack.support.files import printable, safe_filename
from jack.support.http import Wire

log = logging.getLogger(__name__)

Register = Callable[[Drop, Release], None]
"""Make a row of a resolved stub; raises PermanentError when it can never become one."""


class _Pending:
    """A stub whose metadata is still to be had."""

    def __init__(self, drop: Drop) -> None:
        self.drop = drop
        self.failures = 0
        self.nonsense = 0
        self.wire = Wire()


class Grabs:
    """Takes stubs from intake and resolves them, each peer in a lane of its own."""

    def __init__(
        self,
        *,
        database: Database,
        friends: Friends,
        claims: Claims,
        lanes: Lanes,
        agenda: Agenda,
        policy: RetryPolicy,
        jitter: Jitter,
        max_file_bytes: int,
        revive: Callable[[Drop], bool],
        register: Register,
        forget: Callable[[str], None],
    ) -> None:
        self._database = database
        self._friends = friends
        self._claims = claims
        self._lanes = lanes
        self._agenda = agenda
        self._policy = policy
        self._jitter = jitter
        self._max_file_bytes = max_file_bytes
        self._revive = revive
        self._register = register
        self._forget = forget
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str, str], _Pending] = {}
        self._stopping = False

    def accept(self, drop: Drop) -> Verdict:
        """Intake's question: whose is this? Returns at once; the network is left to the peer's
        lane.
        """
        if self._friends.client(drop.stub.peer_id) is None:
            return Verdict.UNKNOWN_PEER
        if self._claims.holds_stub((drop.name, drop.stub)):
            return Verdict.TAKEN
        key = _key(drop)
        with self._lock:
            if key in self._pending or self._stopping:
                return Verdict.TAKEN
            pending = self._pending[key] = _Pending(drop)
        try:
            revived = self._revive(drop)
        except BaseException:
            self._done(pending)  # intake shows the stub again at its next scan
            raise
        if revived:
            self._done(pending)
        else:
            self._enqueue(pending)
        return Verdict.TAKEN

    def waiting(self) -> int:
        """How many stubs have no answer yet."""
        with self._lock:
            return len(self._pending)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            wires = [pending.wire for pending in self._pending.values()]
        for wire in wires:
            wire.abort(Interrupted("jack is stopping"))

    def _enqueue(self, pending: _Pending) -> None:
        self._lanes.submit(pending.drop.stub.peer_id, lambda: self._resolve(pending))

    def _resolve(self, pending: _Pending) -> None:
        """In the peer's lane: one question, and what its answer means."""
        drop = pending.drop
        client = self._friends.client(drop.stub.peer_id)
        if client is None or not os.path.lexists(drop.path):
            self._done(pending)  # the stub was taken away again before anything came of it
            self._forget(drop.name)
            return
        try:
            release = self._ask(pending, client)
            self._database.keep_connection()
            self._register(drop, release)
        except Interrupted:
            return
        except StorageError as error:
            log.error("stub %s: %s; asked again in 30 s", printable(drop.name), error)
            self._again(pending, 30.0)
        except PermanentError as error:
            self._refuse(pending, error)
        except JackError as error:
            self._postpone(pending, error)
        except Exception:
            log.exception("stub %s hit a bug in jack; it stays where it is", printable(drop.name))
            self._done(pending)
        else:
            self._done(pending)

    def _ask(self, pending: _Pending, client: PeerClient) -> Release:
        if self._stopping:
            raise Interrupted("jack is stopping")
        release = client.get_release(pending.drop.stub.item_id, pending.wire)
        self._friends.note_answer(client.peer.id)
        safe_filename(release.filename)
        if release.size > self._max_file_bytes:
            raise PermanentError(
                f"{client.peer.name} offers {release.size} bytes, more than maxFileBytes"
                f" ({self._max_file_bytes}) allows"
            )
        return release

    def _postpone(self, pending: _Pending, error: JackError) -> None:
        pending.nonsense = pending.nonsense + 1 if isinstance(error, ProtocolError) else 0
        if pending.nonsense > 1:
            self._refuse(pending, error)
            return
        pending.wire = Wire()
        if self._friends.note_error(pending.drop.stub.peer_id, error) is not None:
            self._enqueue(pending)  # the whole lane stands still until the peer may be asked again
            return
        pending.failures += 1
        delay = self._policy.delay_seconds(pending.failures, self._jitter)
        log.log(
            logging.WARNING if pending.failures == 1 else logging.DEBUG,
            "stub %s: %s; the stub stays and is asked about again in %.0f s",
            printable(pending.drop.name),
            error,
            delay,
        )
        self._again(pending, delay)

    def _again(self, pending: _Pending, seconds: float) -> None:
        self._agenda.after(seconds, ("stub", *_key(pending.drop)), lambda: self._enqueue(pending))

    def _refuse(self, pending: _Pending, error: JackError) -> None:
        drop = pending.drop
        parked: Path | None = park_failed_stub(drop.path, drop.stub)
        log.error(
            "stub %s refused: %s; %s",
            printable(drop.name),
            error,
            f"it is now {printable(str(parked))}, drop it again to retry" if parked else "it stays",
        )
        self._done(pending)
        if parked:
            self._forget(drop.name)  # dropped again, even at once, it is a new grab

    def _done(self, pending: _Pending) -> None:
        with self._lock:
            self._pending.pop(_key(pending.drop), None)


def _key(drop: Drop) -> tuple[str, str, str]:
    return drop.name, drop.stub.peer_id, drop.stub.item_id
