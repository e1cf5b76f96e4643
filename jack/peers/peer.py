"""A peer: a friend we fetch from, with everything that is known of it in one object.

Downloads, stubs and searches ask the same object, so who is known to be away to one of them is not
asked by the others.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PeerUnreachable,
    Shortage,
    TransientError,
)
from jack.peers.pause import Pause
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.peers.request_line import RequestLine
from jack.support.clock import Clock
from jack.support.pauses import Pauses
from jack.support.shortage import as_shortage
from jack.support.timer import Timer
from jack.support.waits import LONGEST_SILENCE_SECONDS, SEARCH_PAUSES, SHORTAGE_LOOK_SECONDS
from jack.support.wire import Wire

log = logging.getLogger(__name__)

MAX_STUBS: Final = 256
"""Stubs of one peer in memory whose release is still to be had. When half of them have their
answer, there is room for more."""
IF_RANGE_CHANCES: Final = 2
REFUSED_FACTOR: Final = 60
"""A refused key is asked about again after this many first pauses at the earliest: a friend's
intrusion detection counts every wrong key."""


class Follower(Protocol):
    """Who wants to hear of what happens to peers. Called by any thread."""

    def go_on(self, ids: Sequence[int]) -> None:
        """The downloads that were held for a peer may have their next step."""

    def paused(self, peer: Peer, error: JackError) -> None:
        """An error has shown that the peer is to be left alone for a while, whoever met it."""

    def joined(self, peer: Peer) -> None:
        """The peer is known from now on."""


class _Nobody:
    def go_on(self, ids: Sequence[int]) -> None: ...
    def paused(self, peer: Peer, error: JackError) -> None: ...
    def joined(self, peer: Peer) -> None: ...


class AskedStub(Protocol):
    """A stub whose release is still to be had; `wire` ends a question about it."""

    wire: Wire


@dataclass
class Common:
    """What all peers share. `pauses` is for a peer that cannot be reached; `rng` spreads it."""

    clock: Clock
    timer: Timer
    pool: ThreadPoolExecutor
    pauses: Pauses
    connections: int
    rng: random.Random = field(default_factory=random.Random)
    follower: Follower = field(default_factory=_Nobody)


class Peer:
    """A peer is proven by any answer and unproven at start and after it could not be reached or
    refused us. An unproven peer gets one probe, in its line, before its downloads may take a slot.
    Any thread may call everything. Times are monotonic seconds.
    """

    def __init__(self, entry: PeerEntry, common: Common) -> None:
        self.entry = entry
        self.client = PeerClient(entry, common.connections, common.clock)
        self.line = RequestLine(self, common.pool, common.timer)
        self._common = common
        self._lock = threading.Lock()
        self._away = Pause(common.clock)
        self._searches = Pause(common.clock)
        self._lists = Pause(common.clock)
        """Of searches for everything the peer shares, which may be slow where ids are fast."""
        self._silence = Pause(common.clock)
        """Of all searches while it is away: not for as long as downloads wait, or a jack that only
        searches would be the last to see that the peer is back."""
        self._proven = False
        self._if_range_ignored = 0
        self._held: set[int] = set()
        self._probe: Wire | None = None
        self._stubs: dict[tuple[str, str], AskedStub] = {}
        self._sent_back = False
        """Whether it has stubs in the folder for which there was no room."""
        self._stopping = False
        self._left = False

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def name(self) -> str:
        return self.entry.name

    # -- until when it is left alone, and why ------------------------------------------------------

    @property
    def closed_seconds(self) -> float:
        """How long it is still to be left alone; 0 when it may be asked."""
        return 0.0 if self._left else self._away.seconds_left

    @property
    def why_closed(self) -> str:
        return self._away.why

    @property
    def is_proven(self) -> bool:
        return self._proven

    @property
    def failing_seconds(self) -> float:
        """For how long it could not be reached or has refused us; 0 when it is fine."""
        return self._away.failing_seconds

    def failed(self, error: JackError) -> float | None:
        """Leave the peer alone for a while when `error` is about it and not about one file.

        Returns for how many seconds, or None when the error says nothing about the peer as a whole.
        """
        asked_for = error.retry_after_seconds if isinstance(error, TransientError) else None
        unproven = isinstance(error, (PeerUnreachable, PeerRefused))
        if not unproven and asked_for is None:
            return None
        if not unproven:
            self.answered()
        with self._lock:
            seconds = self._pause_seconds(error) if unproven else asked_for or 0.0
            is_news = self._away.begin(seconds, str(error), until_answer=unproven)
            self._proven = self._proven and not unproven
            pause = self._away.seconds_left
            has_held = bool(self._held)
        if is_news:
            log.warning("%s; its downloads wait, next look in %.0f s", error, pause)
        self._common.follower.paused(self, error)
        if has_held:
            self._look_later(pause)
        return pause

    def _pause_seconds(self, error: JackError) -> float:
        failures, pauses = self._away.failed(), self._common.pauses
        if isinstance(error, PeerRefused):
            seconds = min(pauses.longest, REFUSED_FACTOR * pauses.after(failures))
            self._silence.begin(seconds, str(error))
        else:
            seconds = pauses.spread(failures, self._common.rng.random)
            self._silence.begin(min(seconds, LONGEST_SILENCE_SECONDS), str(error))
        return seconds

    def answered(self) -> None:
        """It gave an answer: whatever it said, it is there."""
        with self._lock:
            was_failing = self._away.answered()
            self._proven = True
            goes_on = bool(self._held) and self._probe is None
        if was_failing:
            log.info("%s is back; its downloads go on", self.name)
        if goes_on:
            self._look_later(0.0)

    def ask_now(self) -> None:
        """A person wants it to be asked at once."""
        with self._lock:
            self._away.cut_short()
        self.line.wake()

    def honours_if_range(self) -> bool:
        """False once it has twice sent the whole unchanged file in answer to If-Range."""
        return self._if_range_ignored < IF_RANGE_CHANCES

    def note_if_range_ignored(self) -> None:
        with self._lock:
            self._if_range_ignored += 1

    # -- who waits for it --------------------------------------------------------------------------

    def hold(self, download_id: int) -> float:
        """Keep a download until the peer answers; the first one held sends the probe. Returns for
        how many seconds the peer is left alone before that.
        """
        with self._lock:
            self._held.add(download_id)
        pause = self.closed_seconds
        if pause > 0:
            self._look_later(pause)
        else:
            self._ask()
        return pause

    def let_go(self, ids: Sequence[int]) -> None:
        """These downloads have settled some other way."""
        with self._lock:
            self._held.difference_update(ids)

    @property
    def holds_any(self) -> bool:
        return bool(self._held)

    def held(self) -> list[int]:
        with self._lock:
            return sorted(self._held)

    def _look_later(self, seconds: float) -> None:
        self._common.timer.after(seconds, self._look, self)

    def _look(self) -> None:
        """It may be asked again: its downloads go on, or one probe goes ahead of them."""
        pause = self.closed_seconds
        if pause > 0:
            self._look_later(pause)
        elif self._proven or self._left:
            self._release()
        else:
            self._ask()

    def _release(self) -> None:
        with self._lock:
            held, self._held = sorted(self._held), set()
        self._common.follower.go_on(held)

    def _ask(self) -> None:
        with self._lock:
            if self._probe is not None or self._stopping or not self._held:
                return
            self._probe = wire = Wire()
        self.line.submit(lambda: self._run_probe(wire), first=True)

    def _run_probe(self, wire: Wire) -> None:
        """In the line: is anybody there?"""
        try:
            self.client.probe(wire)
            self.answered()
        except Interrupted:
            return
        except (Shortage, MemoryError) as error:
            log.error("a look at peer %s: %s; next look in 5 s", self.name, as_shortage(error))
            self._look_later(SHORTAGE_LOOK_SECONDS)
            return
        except JackError as error:
            if self.failed(error) is None:
                self.answered()  # nonsense, but an answer: the files will tell
        finally:
            with self._lock:
                self._probe = None
        self._look()

    # -- its open stubs ----------------------------------------------------------------------------

    def open_stub(self, key: tuple[str, str], stub: AskedStub) -> bool:
        """Keep a stub in memory until its release is known; False when there is no room."""
        with self._lock:
            if len(self._stubs) >= MAX_STUBS:
                self._sent_back = True
                return False
            self._stubs[key] = stub
            return True

    def has_stub(self, key: tuple[str, str]) -> bool:
        """Whether that stub is open, or nobody takes stubs any more."""
        with self._lock:
            return key in self._stubs or self._stopping

    def close_stub(self, key: tuple[str, str]) -> bool:
        """Returns whether there is room now for those that were sent back."""
        with self._lock:
            self._stubs.pop(key, None)
            wants_more = self._sent_back and len(self._stubs) <= MAX_STUBS // 2
            self._sent_back = self._sent_back and not wants_more
            return wants_more

    def stub_names(self) -> list[str]:
        """The file names of those whose release is not known yet."""
        with self._lock:
            return [name for name, _ in self._stubs]

    def open_stubs(self) -> int:
        """How many stubs are in memory whose release is not known yet."""
        with self._lock:
            return len(self._stubs)

    # -- searches ----------------------------------------------------------------------------------

    def may_search(self, *, everything: bool) -> bool:
        """Whether a search may ask it, for everything it shares or by id."""
        with self._lock:
            if not self._proven and self._away.seconds_left and self._silence.seconds_left:
                return False
            return not any(pause.seconds_left for pause in self._search_pauses(everything))

    def search_answered(self, *, everything: bool) -> None:
        """It answered a search, which proves that it is there."""
        self.answered()
        with self._lock:
            pauses = self._search_pauses(everything)
            was_slow = [pause.answered() for pause in pauses]
            for pause in pauses:
                pause.cut_short()
        if any(was_slow):
            log.info("%s is back; searches ask it again", self.name)

    def _search_pauses(self, everything: bool) -> list[Pause]:
        return [self._searches, self._lists] if everything else [self._searches]

    def search_failed(self, error: JackError, *, everything: bool) -> None:
        """A peer that is away is left alone altogether. One that is only too slow or too busy for a
        search, or whose list is too long, may have every file: its downloads go on, and after a
        search for everything it is still asked by id.
        """
        if isinstance(error, (PeerUnreachable, PeerRefused)):
            self.failed(error)
            return
        asked_for = error.retry_after_seconds if isinstance(error, TransientError) else None
        with self._lock:
            pause = self._lists if everything else self._searches
            seconds = 0.0 if pause.seconds_left else SEARCH_PAUSES.after(pause.failed())
            seconds = max(seconds, asked_for or 0.0)
            is_news = pause.begin(seconds, str(error))
        if is_news:
            log.warning(
                "%s; %s until it answers again, next look in %.0f s",
                error,
                "only searches by id ask it" if everything else "searches go without it",
                seconds,
            )

    # -- changes and the end -----------------------------------------------------------------------

    def change(self, entry: PeerEntry) -> None:
        """Another key or name: it is asked anew, by exchanges that begin from now on."""
        before, self.client = (
            self.client,
            PeerClient(entry, self._common.connections, self._common.clock),
        )
        self.entry = entry
        before.close()
        self.ask_now()
        self._look()

    def leave(self) -> None:
        """It is no peer any more: what waits for it is told, and what it sends still arrives."""
        with self._lock:
            self._left = True
            if self._probe is not None:
                self._probe.abort(Interrupted("the peer was removed"))
        self.line.wake()
        self._release()
        self.client.close()

    def stop(self) -> None:
        """End its small requests; nothing new begins."""
        with self._lock:
            self._stopping = True
            wires = [stub.wire for stub in self._stubs.values()]
            if self._probe is not None:
                wires.append(self._probe)
        for wire in wires:
            wire.abort(Interrupted("jack is stopping"))
        self.line.close()
