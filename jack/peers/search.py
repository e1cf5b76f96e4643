"""Ask all friends at once, with one deadline for the whole answer.

Every request has a thread of its own that ends with it, at most ASKS_PER_PEER per peer: a friend
who hangs holds up nobody else's answer, and nothing waits in a queue behind it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from jack.errors import Interrupted, JackError, TransientError
from jack.model import Release
from jack.peers.collection import Peers
from jack.peers.peer import Peer
from jack.peers.query import Offer, Question, SearchQuery, matcher, questions
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.threads import start
from jack.support.waits import CATALOG_SECONDS, DEADLINE_SECONDS

log = logging.getLogger(__name__)

ASKS_PER_PEER = 8
"""Requests under way at one peer; beyond that a search goes without it."""


class _Round:
    """Counts the asks of one search that are still out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._out = 0

    def one_more(self) -> None:
        with self._changed:
            self._out += 1

    def one_less(self) -> None:
        with self._changed:
            self._out -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._out == 0, seconds)


@dataclass(eq=False)
class _Ask:
    """What one peer is being asked, question after question, and what it has said so far."""

    peer: Peer
    questions: tuple[Question, ...]
    wire: Wire = field(default_factory=Wire)
    answers: list[list[Release]] = field(default_factory=list)
    is_settled: bool = False

    @property
    def is_for_all(self) -> bool:
        """Whether it asks for everything the peer shares, which may be slow where ids are fast."""
        return not self.questions[0].parameters()

    @property
    def key(self) -> str:
        return self.peer.id


class PeerSearch:
    """Searches among all peers that are not known to be away. Thread-safe."""

    def __init__(
        self,
        peers: Peers,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
        catalog_seconds: float = CATALOG_SECONDS,
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._catalog_seconds = catalog_seconds
        self._lock = threading.Lock()
        self._running: dict[_Ask, threading.Thread] = {}
        self._catalogs: dict[str, tuple[float, list[Release]]] = {}
        self._is_stopped = False

    def find(self, query: SearchQuery, *, fresh: bool = True) -> list[Offer]:
        """What all friends offer for `query`: each offer once per friend, in the order of friends.

        Returns within the deadline, with what there is by then: friends that are slow, down or
        talk nonsense cost their own results only. With `fresh` False lists of friends fetched a
        moment ago serve again, so that the pages of one listing fit together.
        """
        if not query.categories:
            return []
        asked = questions(query)
        known = self._young_catalogs()
        if query.has_id or fresh:
            known = {}
        round_ = _Round()
        peers = list(self._peers)
        asks = [_Ask(peer, asked) for peer in peers if peer.id not in known]
        begun = [ask for ask in asks if self._begin(ask, round_)]
        round_.wait(self._deadline_seconds)
        self._end(begun)
        answers = dict(known)
        answers.update((ask.key, _merged(ask.answers)) for ask in begun)
        wanted = matcher(query)
        return [
            Offer(peer.id, peer.name, release)
            for peer in peers
            for release in _each_once(filter(wanted, answers.get(peer.id, ())))
        ]

    def stop(self, timeout_seconds: float) -> bool:
        """End all searches under way and wait for their threads.

        Returns False when some have not ended in time: one that is still connecting takes up to
        ten seconds.
        """
        end = time.monotonic() + timeout_seconds
        with self._lock:
            self._is_stopped = True
            running = dict(self._running)
        for ask in running:
            ask.wire.abort(Interrupted("jack is stopping"))
        for thread in running.values():
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in running.values())

    def _begin(self, ask: _Ask, round_: _Round) -> bool:
        if not ask.peer.may_search(everything=ask.is_for_all):
            return False
        # A daemon: one that hangs in a connect must not hold up the end of the process.
        thread = threading.Thread(
            target=self._run, args=(ask, round_), name=f"search {ask.peer.name}", daemon=True
        )
        with self._lock:
            under_way = sum(other.peer is ask.peer for other in self._running)
            if self._is_stopped or under_way >= ASKS_PER_PEER:
                return False
            round_.one_more()
            start(thread)
            self._running[ask] = thread
        return True

    def _run(self, ask: _Ask, round_: _Round) -> None:
        error: JackError | None = None
        try:
            for question in ask.questions:
                ask.answers.append(ask.peer.client.search(question, ask.wire))
        except JackError as problem:
            error = problem
        except Exception:  # a bug met in one friend's answer must not cost the others theirs
            log.exception("a search at %s ended in a bug", ask.peer.name)
            error = JackError(f"the answer of {ask.peer.name} could not be read")
        finally:
            self._settle(ask, error)
            with self._lock:
                del self._running[ask]
            round_.one_less()

    def _end(self, asks: Iterable[_Ask]) -> None:
        """The deadline: who has not answered is not waited for any longer."""
        for ask in asks:
            late = TransientError(
                f"{ask.peer.name} did not answer a search within {self._deadline_seconds:g} s"
            )
            if self._settle(ask, late):
                ask.wire.abort(late)

    def _settle(self, ask: _Ask, error: JackError | None) -> bool:
        """Draw the conclusions of an ask once; False when that has been done."""
        with self._lock:
            if ask.is_settled:
                return False
            ask.is_settled = True
            if self._is_stopped:
                return True  # whatever went wrong now was our doing
            if ask.is_for_all and error is None:
                self._catalogs[ask.key] = (self._clock.monotonic(), ask.answers[0])
        if error is None or ask.answers:
            ask.peer.search_answered(everything=ask.is_for_all)
        else:
            ask.peer.search_failed(error, everything=ask.is_for_all)
        return True

    def _young_catalogs(self) -> dict[str, list[Release]]:
        oldest = self._clock.monotonic() - self._catalog_seconds
        with self._lock:
            young = {key: kept for key, kept in self._catalogs.items() if kept[0] > oldest}
            self._catalogs = young
            return {key: releases for key, (_, releases) in young.items()}


def _merged(answers: Iterable[list[Release]]) -> list[Release]:
    # A copy first: a thread past the deadline may still append.
    return [release for answer in list(answers) for release in answer]


def _each_once(releases: Iterable[Release]) -> Iterable[Release]:
    """Without repetitions, by id or by content: an episode file may be shared once per episode."""
    seen: set[object] = set()
    for release in releases:
        content = (release.title, release.filename, release.size)
        if release.id not in seen and content not in seen:
            seen.update((release.id, content))
            yield release
