"""From a stub to a row: ask the peer what the stub means, check the answer, record it.

There is no row before the peer has answered, and no grab is lost while it does not: the stub stays
in its folder and is asked about again. The folder is the queue, too: of each peer only some stubs
are in memory (`jack.peers.peer.MAX_STUBS`), however many lie there.
"""

from __future__ import annotations

import logging
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jack.blackhole.disposal import park_failed_stub
from jack.blackhole.drops import Drop, OpenStub, Verdict
from jack.blackhole.reasons import Reasons
from jack.downloads.claims import Claims
from jack.downloads.entry import Entry
from jack.downloads.retry import RetryPolicy
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
from jack.peers.collection import Peers
from jack.peers.peer import Peer
from jack.store.database import Database
from jack.support.files import printable, safe_filename
from jack.support.http import Wire
from jack.support.shortage import as_shortage
from jack.support.waits import DATABASE_RETRY_SECONDS, SHORTAGE_LOOK_SECONDS
from jack.transfer.sizes import refuse_a_rest

log = logging.getLogger(__name__)

LOOKS_FOR_MISSING: Final = 3
"""More looks for an item that a friend does not know: he may have started a moment ago."""


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

    def __init__(self, drop: Drop, peer: Peer) -> None:
        self.drop = drop
        self.peer = peer
        self.trouble = drop.note if isinstance(drop.note, _Trouble) else _Trouble()
        self.wire = Wire()


class Grabs:
    """Takes stubs from intake and resolves them, each in the line of its peer."""

    def __init__(
        self,
        *,
        database: Database,
        peers: Peers,
        claims: Claims,
        policy: RetryPolicy,
        rng: random.Random,
        max_file_bytes: int,
        entry: Entry,
        stubs: Reasons,
        imports: Imports,
    ) -> None:
        self._database = database
        self._peers = peers
        self._claims = claims
        self._policy = policy
        self._rng = rng
        self._max_file_bytes = max_file_bytes
        self._entry = entry
        self._stubs = stubs
        self._imports = imports

    def accept(self, drop: Drop) -> Verdict:
        """Intake's question: whose is this? Returns at once; the network is left to the peer's
        line.
        """
        peer = self._peers.get(drop.stub.peer_id)
        if peer is None:
            return Verdict.UNKNOWN_PEER
        key = _key(drop)
        if self._claims.is_reenqueued(drop.name, drop.stub) or peer.has_stub(key):
            return Verdict.TAKEN
        pending = _Pending(drop, peer)
        if not peer.open_stub(key, pending):
            return Verdict.LATER
        try:
            revived = self._entry.revive(drop)
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
        return {name: self._open_stub(peer) for peer in self._peers for name in peer.stub_names()}

    def _open_stub(self, peer: Peer) -> OpenStub:
        seconds = peer.closed_seconds
        if seconds > 0:
            return OpenStub(peer.why_closed, seconds)
        return OpenStub(f"{peer.name} is asked what it is", None)

    def _enqueue(self, pending: _Pending) -> None:
        pending.peer.line.submit(lambda: self._resolve(pending))

    def _resolve(self, pending: _Pending) -> None:
        """In the peer's line: one question, and what its answer means."""
        drop, peer = pending.drop, pending.peer
        if self._peers.get(peer.id) is not peer or not os.path.lexists(drop.path):
            # The peer or the stub was taken away again before anything came of it.
            self._done(pending)
            self._stubs.forget(drop.name)
            return
        try:
            self._database.keep_connection()  # an answer that is no release is recorded as well
            self._entry.register(drop, self._ask(pending, peer))
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

    def _ask(self, pending: _Pending, peer: Peer) -> Release:
        release = peer.client.get_release(pending.drop.stub.item_id, pending.wire)
        peer.answered()
        safe_filename(release.filename)
        if release.size:  # else the transfer has to say it
            refuse_a_rest(peer.name, release.size, pending.drop.announced_bytes)
        if release.size > self._max_file_bytes:
            raise PermanentError(
                f"{peer.name} offers {release.size} bytes, more than maxFileBytes"
                f" ({self._max_file_bytes}) allows"
            )
        return release

    def _may_be_early(self, pending: _Pending, error: PermanentError) -> bool:
        """Whether the stub is asked about once more all the same."""
        missing = pending.trouble.missing + 1
        if not error.may_be_early or missing > LOOKS_FOR_MISSING:
            return False
        pending.trouble = replace(pending.trouble, missing=missing)
        delay = self._policy.pauses.spread(missing, self._rng.random)
        log.debug("stub %s: %s; asked again in %.0f s", printable(pending.drop.name), error, delay)
        self._again(pending, delay, error)
        return True

    def _postpone(self, pending: _Pending, error: JackError) -> None:
        before = pending.trouble
        nonsense = before.nonsense + 1 if isinstance(error, ProtocolError) else 0
        if nonsense > 1:
            self._refuse(pending, error)
            return
        if pending.peer.failed(error) is not None:
            pending.trouble = replace(before, nonsense=nonsense)
            pending.wire = Wire()
            self._enqueue(pending)  # the whole line stands still until the peer may be asked again
            return
        pending.trouble = replace(before, failures=before.failures + 1, nonsense=nonsense)
        delay = self._policy.pauses.spread(pending.trouble.failures, self._rng.random)
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
        if pending.peer.close_stub(_key(pending.drop)):
            self._stubs.room(pending.peer.id)


def _key(drop: Drop) -> tuple[str, str]:
    return drop.name, drop.stub.item_id
