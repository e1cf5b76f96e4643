"""From a stub to a row: ask the peer what the stub means, check the answer, record it.

There is no row before the peer has answered, and no grab is lost while it does not: the stub stays
in its folder and is asked about again. The folder is the queue, too: of each peer no more than
`MAX_UNRESOLVED` stubs are in memory, however many lie there.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jack.blackhole.disposal import park_failed_stub
from jack.blackhole.drops import Drop, OpenStub, Verdict
from jack.blackhole.reasons import Reasons
from jack.downloads.claims import Claims
from jack.downloads.friends import Friends
from jack.downloads.lanes import Lanes
from jack.downloads.retry import DATABASE_RETRY_SECONDS, SHORTAGE_LOOK_SECONDS, Jitter, RetryPolicy
from jack.errors import (
    Interrupted,
    JackError,
    PermanentError,
    ProtocolError,
    Shortage,
    StorageError,
)
from jack.imports.telling import Imports
from jack.model import Release
from jack.peers.client import PeerClient
from jack.store.database import Database
from jack.support.files import printable, safe_filename
from jack.support.http import Wire
from jack.support.shortage import as_shortage
from jack.transfer.sizes import refuse_a_rest

log = logging.getLogger(__name__)

LOOKS_FOR_MISSING: Final = 3
"""More looks for an item that a friend does not know: he may have started a moment ago."""
MAX_UNRESOLVED: Final = 256
"""Per peer. When half of them have their answer, intake is asked for more."""

Register = Callable[[Drop, Release], None]
"""Make a row of a resolved stub; raises PermanentError when it can never become one."""


@dataclass(frozen=True)
class _Trouble:
    """How asking about a stub has gone so far; the note that waits with it in the folder."""

    why: str = ""
    """A sentence for people."""
    failures: int = 0
    nonsense: int = 0
    missing: int = 0


class _Pending:
    """A stub whose metadata is still to be had."""

    def __init__(self, drop: Drop) -> None:
        self.drop = drop
        self.trouble = drop.note if isinstance(drop.note, _Trouble) else _Trouble()
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
        policy: RetryPolicy,
        jitter: Jitter,
        max_file_bytes: int,
        revive: Callable[[Drop], bool],
        register: Register,
        stubs: Reasons,
        imports: Imports,
    ) -> None:
        self._database = database
        self._friends = friends
        self._claims = claims
        self._lanes = lanes
        self._policy = policy
        self._jitter = jitter
        self._max_file_bytes = max_file_bytes
        self._revive = revive
        self._register = register
        self._stubs = stubs
        self._imports = imports
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str, str], _Pending] = {}
        self._unresolved: Counter[str] = Counter()
        self._sent_back: set[str] = set()
        """Peers who have stubs in the folder that we had no room for."""
        self._stopping = False

    def accept(self, drop: Drop) -> Verdict:
        """Intake's question: whose is this? Returns at once; the network is left to the peer's
        lane.
        """
        peer_id = drop.stub.peer_id
        if self._friends.client(peer_id) is None:
            return Verdict.UNKNOWN_PEER
        if self._claims.is_reenqueued(drop.name, drop.stub):
            return Verdict.TAKEN
        key = _key(drop)
        with self._lock:
            if key in self._pending or self._stopping:
                return Verdict.TAKEN
            if self._unresolved[peer_id] >= MAX_UNRESOLVED:
                self._sent_back.add(peer_id)
                return Verdict.LATER
            pending = self._pending[key] = _Pending(drop)
            self._unresolved[peer_id] += 1
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

    def open_stubs(self) -> dict[str, OpenStub]:
        """Those in memory that have no answer yet, by the names of their files."""
        with self._lock:
            peers = {key[0]: pending.drop.stub.peer_id for key, pending in self._pending.items()}
        return {name: self._open_stub(peer_id) for name, peer_id in peers.items()}

    def _open_stub(self, peer_id: str) -> OpenStub:
        seconds = self._friends.gate.closed_seconds(peer_id)
        if seconds > 0:
            return OpenStub(self._friends.gate.sentence(peer_id), seconds)
        return OpenStub(f"{self._friends.name(peer_id)} is asked what it is", None)

    def waiting(self) -> int:
        """How many stubs are in memory that have no answer yet."""
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
            self._stubs.forget(drop.name)
            return
        try:
            self._database.keep_connection()  # an answer that is no release is recorded as well
            self._register(drop, self._ask(pending, client))
        except Interrupted:
            return
        except StorageError as error:
            self._ask_later(pending, error)
        except PermanentError as error:
            if not self._may_be_early(pending, error):
                self._refuse(pending, error)
        except JackError as error:
            self._postpone(pending, error)
        except Exception as error:
            shortage = as_shortage(error)
            if shortage is not None:
                self._ask_later(pending, shortage)
                return
            log.exception("stub %s hit a bug in jack; it stays where it is", printable(drop.name))
            self._done(pending)
        else:
            self._done(pending)

    def _ask_later(self, pending: _Pending, error: StorageError) -> None:
        """This machine's own trouble: neither the peer nor the stub can help it."""
        short = isinstance(error, Shortage)
        seconds = SHORTAGE_LOOK_SECONDS if short else DATABASE_RETRY_SECONDS
        name = printable(pending.drop.name)
        log.error("stub %s: %s; asked again in %.0f s", name, error, seconds)
        self._again(pending, seconds, error)

    def _ask(self, pending: _Pending, client: PeerClient) -> Release:
        if self._stopping:
            raise Interrupted("jack is stopping")
        release = client.get_release(pending.drop.stub.item_id, pending.wire)
        self._friends.note_answer(client.peer.id)
        safe_filename(release.filename)
        if release.size:  # else the transfer has to say it
            refuse_a_rest(client.peer.name, release.size, pending.drop.announced_bytes)
        if release.size > self._max_file_bytes:
            raise PermanentError(
                f"{client.peer.name} offers {release.size} bytes, more than maxFileBytes"
                f" ({self._max_file_bytes}) allows"
            )
        return release

    def _may_be_early(self, pending: _Pending, error: PermanentError) -> bool:
        """Whether the stub is asked about once more all the same."""
        missing = pending.trouble.missing + 1
        if not error.may_be_early or missing > LOOKS_FOR_MISSING:
            return False
        pending.trouble = replace(pending.trouble, missing=missing)
        delay = self._policy.delay_seconds(missing, self._jitter)
        log.debug("stub %s: %s; asked again in %.0f s", printable(pending.drop.name), error, delay)
        self._again(pending, delay, error)
        return True

    def _postpone(self, pending: _Pending, error: JackError) -> None:
        before = pending.trouble
        nonsense = before.nonsense + 1 if isinstance(error, ProtocolError) else 0
        if nonsense > 1:
            self._refuse(pending, error)
            return
        if self._friends.note_error(pending.drop.stub.peer_id, error) is not None:
            pending.trouble = replace(before, nonsense=nonsense)
            pending.wire = Wire()
            self._enqueue(pending)  # the whole lane stands still until the peer may be asked again
            return
        pending.trouble = replace(before, failures=before.failures + 1, nonsense=nonsense)
        delay = self._policy.delay_seconds(pending.trouble.failures, self._jitter)
        log.log(
            logging.WARNING if pending.trouble.failures == 1 else logging.DEBUG,
            "stub %s: %s; the stub stays and is asked about again in %.0f s",
            printable(pending.drop.name),
            error,
            delay,
        )
        self._again(pending, delay, error)

    def _again(self, pending: _Pending, seconds: float, error: JackError) -> None:
        """Meanwhile it waits in the folder, so that others of its peer get their turn."""
        self._done(pending)
        self._stubs.again(pending.drop.name, seconds, replace(pending.trouble, why=str(error)))

    def _refuse(self, pending: _Pending, error: JackError) -> None:
        """On record before the stub moves: a crash in between repeats it, and who grabbed it is
        told once.
        """
        drop = pending.drop
        try:
            reports = self._imports.plan_refusal(drop.stub, drop.info_hash or None)
        except StorageError as trouble:
            self._ask_later(pending, trouble)
            return
        parked: Path | None = park_failed_stub(drop.path, drop.stub)
        log.error(
            "stub %s refused: %s; %s",
            printable(drop.name),
            error,
            f"it is now {printable(str(parked))}, drop it again to retry" if parked else "it stays",
        )
        self._done(pending)
        if parked:
            self._stubs.forget(drop.name)  # dropped again, even at once, it is a new grab
        self._imports.report(reports)

    def _done(self, pending: _Pending) -> None:
        peer_id = pending.drop.stub.peer_id
        with self._lock:
            if self._pending.pop(_key(pending.drop), None) is not None:
                self._unresolved[peer_id] -= 1
            has_room = self._unresolved[peer_id] <= MAX_UNRESOLVED // 2
            wants_more = has_room and peer_id in self._sent_back
            if wants_more:
                self._sent_back.discard(peer_id)
        if wants_more:
            self._stubs.room(peer_id)


def _key(drop: Drop) -> tuple[str, str, str]:
    return drop.name, drop.stub.peer_id, drop.stub.item_id
