"""How many files leave at the same time, over all and for each friend, and who comes next."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jack.support.waits import (
    GRACE_SECONDS,
    MAX_RETRY_SECONDS,
    MIN_RETRY_SECONDS,
    SENIORITY_SECONDS,
    SLOW_SECONDS,
)
from jack.web.auth import Friend

SLOW_BYTES_PER_SECOND = 16 * 1024
LOOK_SECONDS = 1.0
GUESS_BYTES_PER_SECOND = 1_000_000
"""Of an upload that has just begun; only Retry-After depends on it."""
MOST_WISHES = 64
"""Of one friend: what he was refused beyond these is not remembered."""

Party = tuple[str, str]
"""A friend's name; for the owner's key, which several may use, the address it came from."""


@dataclass(frozen=True)
class Refusal:
    """No room: ask again in `retry_after_seconds`."""

    retry_after_seconds: int


@dataclass(frozen=True)
class _Look:
    at_seconds: float
    arrived: int
    waiting: int


@dataclass
class _Wish:
    since_seconds: float
    expected_until_seconds: float


class Upload:
    """A file answer that holds a place. `cut` ends its connection, once the connection is known."""

    def __init__(
        self,
        party: Party,
        length: int,
        leave: Callable[[Upload], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.party = party
        self.cut: Callable[[], None] = lambda: None
        self._length = length
        self._leave = leave
        self._monotonic = monotonic
        self._looks = deque([_Look(monotonic(), 0, 0)])

    def leave(self) -> None:
        """It has left, or its reader is gone; again does no harm."""
        self._leave(self)

    def look(self, sent: int, waiting: Callable[[], int]) -> None:
        """Note how far it is: `sent` bytes given to the system, of which those that it counts in
        `waiting` have not arrived yet. More often than every LOOK_SECONDS it does nothing.
        """
        looks, now_seconds = self._looks, self._monotonic()
        if now_seconds - looks[-1].at_seconds >= LOOK_SECONDS:
            unarrived = waiting()
            looks.append(_Look(now_seconds, sent - unarrived, unarrived))
            while looks[1].at_seconds <= now_seconds - SLOW_SECONDS:
                looks.popleft()

    def is_slow(self) -> bool:
        """Below the lowest rate for long, and never because of us: what had not arrived was
        waiting for the reader at every look. It would not wait if our own limit was the brake.
        """
        looks = list(self._looks)
        span = looks[-1].at_seconds - looks[0].at_seconds
        arrived = looks[-1].arrived - looks[0].arrived
        is_behind = arrived < SLOW_BYTES_PER_SECOND * span
        return span >= SLOW_SECONDS and is_behind and all(look.waiting > 0 for look in looks[1:])

    def seconds_left(self, now_seconds: float) -> float:
        """Until its last byte has arrived, at its speed up to now."""
        first, last = self._looks[0], self._looks[-1]
        span = last.at_seconds - first.at_seconds
        speed = (last.arrived - first.arrived) / span if span else GUESS_BYTES_PER_SECOND
        left = (self._length - last.arrived) / speed if speed > 0 else math.inf
        return left - (now_seconds - last.at_seconds)


class UploadGate:
    """Holds the places for file answers. Thread-safe.

    Who is refused is told when a place is likely to be free, and is expected then: a place that is
    free meanwhile goes to those who hold the fewest places, and among them to whom was refused
    longest. Of the places, fewer than half are kept for those of `friends` who hold none. The
    owner's key gets one beyond all when it holds none.
    """

    def __init__(
        self,
        max_uploads: int,
        friends: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_uploads < 1:
            raise ValueError("nobody could fetch anything")
        self._max_uploads = max_uploads
        self._friends: frozenset[Party] = frozenset((name, "") for name in friends)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: list[Upload] = []
        self._wishes: dict[Party, dict[str, _Wish]] = {}
        self._served_at: dict[Party, float] = {}

    def enter(
        self, friend: Friend | None, length: int = 0, item: str = "", address: str = ""
    ) -> Upload | Refusal:
        """A place for an answer of `length` bytes of `item`, until its `leave` is called.

        Without a friend it is the owner's key, used at `address`.
        """
        party = (friend.name, "") if friend else ("", address)
        with self._lock:
            now = self._monotonic()
            own = [upload for upload in self._open if upload.party == party]
            if friend and friend.max_downloads and len(own) >= friend.max_downloads:
                return _refusal(own, 0, now)
            ahead = self._ahead(party, item, now)
            free = self._max_uploads - len(self._open)
            slow = [one for one in self._open if one.is_slow()] if ahead >= free else []
            is_first_of_owner = friend is None and not any(not one.party[0] for one in self._open)
            if ahead >= free + len(slow) and not is_first_of_owner:
                refusal = _refusal(self._open, ahead - free, now)
                self._remember(party, item, now, refusal)
                return refusal
            gone = slow[:1] if ahead >= free else []
            upload = Upload(party, length, self._leave, self._monotonic)
            self._open = [one for one in self._open if one not in gone] + [upload]
            self._wishes.get(party, {}).pop(item, None)
            self._served_at[party] = now
        for one in gone:
            one.cut()
        return upload

    @property
    def open(self) -> int:
        """Answers under way that hold a place."""
        with self._lock:
            return len(self._open)

    def _ahead(self, party: Party, item: str, now: float) -> int:
        """For how many others a place must be free before `party` gets one."""
        held = Counter(upload.party for upload in self._open)

        def turn(of: Party) -> float:
            first = min((w.since_seconds for w in self._wishes.get(of, {}).values()), default=now)
            return max(first, self._served_at.get(of, -math.inf))

        own = self._wishes.get(party, {}).get(item)
        mine = (held[party], turn(party), own.since_seconds if own else now)
        turns = {of: (held[of], turn(of)) for of in self._wishes}
        expected = [
            (of, (*turns[of], wish.since_seconds))
            for of, wishes in self._wishes.items()
            for wish in wishes.values()
            if wish is not own and wish.expected_until_seconds >= now
        ]
        waiting = sum(rank < mine for _, rank in expected)
        absent = self._friends - {of for of, _ in expected} - set(held) - {party}
        kept = min(len(absent), (self._max_uploads - 1) // 2) if held[party] else 0
        return waiting + kept

    def _remember(self, party: Party, item: str, now: float, refusal: Refusal) -> None:
        oldest = now - SENIORITY_SECONDS
        for of, wishes in list(self._wishes.items()):
            for name, wish in list(wishes.items()):
                if wish.expected_until_seconds < oldest:
                    del wishes[name]
            if not wishes:
                del self._wishes[of]
        own = self._wishes.setdefault(party, {})
        if item in own or len(own) < MOST_WISHES:
            until = now + refusal.retry_after_seconds + GRACE_SECONDS
            own.setdefault(item, _Wish(now, until)).expected_until_seconds = until

    def _leave(self, upload: Upload) -> None:
        with self._lock:
            self._open = [one for one in self._open if one is not upload]


def _refusal(uploads: list[Upload], position: int, now: float) -> Refusal:
    """For the one who gets the place that is free after `position` others."""
    ends = sorted(upload.seconds_left(now) for upload in uploads)
    seconds = ends[min(position, len(ends) - 1)] if ends else MIN_RETRY_SECONDS
    bounded = min(max(seconds, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)
    return Refusal(math.ceil(bounded))
