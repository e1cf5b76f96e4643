"""Intake: scans the watch folder and hands each whole stub of jack's on, once per content.

The scan is the truth; a file event is a reason to scan now, and tells which name to look at first.
Everything here happens in the one thread that calls `run` or `step`, except `waiting_stubs`.
Nothing in the folder is ever changed.

The folder is the queue: whoever takes the stubs answers LATER when he has enough of one peer's, and
is shown more of them when he says that there is room.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final, Protocol

from jack.blackhole.drops import Drop, StubOwner, Verdict
from jack.blackhole.judge import Judge
from jack.blackhole.names import concerns_intake, for_log
from jack.blackhole.reasons import Left, Reasons
from jack.blackhole.seen import SeenNames, State
from jack.blackhole.waiting import WaitingStub, waiting_stubs
from jack.support.clock import Clock
from jack.support.once import Once
from jack.support.waits import SCAN_GAP_SECONDS

log = logging.getLogger(__name__)

BUG_PAUSE_SECONDS: Final = 1.0
SCAN_GAPS: Final = 20
"""That gap is so many times as long as the scan took, if that is more: of a folder with tens of
thousands of names."""
SLICE: Final = 64
"""So many names are looked at before others get their turn: one peer's flood must not keep another
peer's single stub waiting."""

MOST_LISTED: Final = 1000

_STATES = {
    Verdict.TAKEN: State.TAKEN,
    Verdict.LATER: State.NO_ROOM,
    Verdict.UNKNOWN_PEER: State.UNKNOWN_PEER,
}
_IN_LINE = State.NO_ROOM | State.UNKNOWN_PEER


class Lookout(Protocol):
    """What is looked at before each scan: what happened while file events were not to be had is
    then seen by the scan.
    """

    def check(self) -> None:
        """Called in intake's thread; may wait for a disk."""


class Intake:
    """Feeds every whole stub in `folder` to `owner`."""

    def __init__(
        self,
        folder: Path,
        reasons: Reasons,
        owner: StubOwner,
        lookout: Lookout,
        clock: Clock,
        rescan_seconds: float,
    ) -> None:
        self._folder = folder
        self._reasons = reasons
        self._owner = owner
        self._lookout = lookout
        self._clock = clock
        self._rescan_seconds = rescan_seconds
        self._records = SeenNames()
        self._judge = Judge(folder, self._records, clock)
        self._found: deque[str] = deque()
        """Names to be looked at: what the last scan found, and what is due or was let go of."""
        self._lines: dict[str, deque[str]] = {}
        """By peer: names to be handed on when there is room. Some may have gone meanwhile."""
        self._with_room: set[str] = set()
        self._scans = 0
        self._next_scan = self._scan_allowed = clock.monotonic()
        self._unreadable = Once()
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; `Reasons.wake` makes that immediate."""
        self._stop = stop
        while not stop.is_set():
            try:
                self.step(self._rescan_seconds)
            except Exception:
                log.exception("intake hit a bug in jack; it goes on")
                stop.wait(BUG_PAUSE_SECONDS)

    def step(self, timeout_seconds: float) -> bool:
        """One round: wait up to `timeout_seconds` for something to do, and do a part of it. Returns
        whether the rest can be done at once.
        """
        left = self._reasons.take(min(timeout_seconds, self._pause_seconds()), SLICE)
        self._note(left)
        for name in left.hints:
            self._look_at(name)
        for peer_id in list(self._with_room):
            self._offer(peer_id)
        # While the last scan is worked off there is no new one: a flood is a reason for many.
        if not self._found and self._clock.monotonic() >= self._next_scan:
            self._scan()
        self._found.extend(left.forgotten)
        self._found.extend(self._records.due(self._clock.monotonic()))
        for _ in range(min(SLICE, len(self._found))):
            self._look_at(self._found.popleft())
        return self._pause_seconds() <= 0

    def waiting_stubs(self, most: int = MOST_LISTED) -> list[WaitingStub]:
        """What lies in the folder, is jack's and is no download yet; from any thread."""
        opened = self._owner.open_stubs()
        return waiting_stubs(self._folder, self._records, opened, self._clock, most)

    def _note(self, left: Left) -> None:
        if left.hints:
            self._next_scan = min(self._next_scan, self._scan_allowed)
        for name in left.forgotten:
            self._records.forget(name)
        for name, seconds, note in left.put_off:
            record = self._records.get(name)
            if record is not None:
                record.state = State.PUT_OFF
                self._records.put_off(name, self._clock.monotonic() + seconds)
                self._records.notes[name] = note
        self._with_room.update(left.peers_with_room)

    def _pause_seconds(self) -> float:
        """For how long there is nothing to do, unless there is a new reason."""
        if self._found or self._with_room:
            return 0.0
        return min(self._next_scan, self._records.next_due()) - self._clock.monotonic()

    # -- the scan --------------------------------------------------------------------------------

    def _scan(self) -> None:
        began = self._clock.monotonic()
        self._next_scan = began + self._rescan_seconds
        self._scans += 1
        try:
            self._lookout.check()
        except Exception:
            log.exception("checking the file events hit a bug in jack; the scan goes on")
        where = for_log(str(self._folder))
        try:
            self._found.extend(self._news())
        except OSError as error:
            if self._unreadable.first():
                log.warning(
                    "the watch folder %s cannot be read (%s): no new stub is seen until that is"
                    " mended; running downloads go on",
                    where,
                    error.strerror or type(error).__name__,
                )
        else:
            if self._unreadable.over():
                log.info("the watch folder %s can be read again", where)
        now = self._clock.monotonic()
        self._scan_allowed = now + max(SCAN_GAP_SECONDS, SCAN_GAPS * (now - began))

    def _news(self) -> list[str]:
        """Names to be looked at, in the order in which the files were dropped. Raises OSError."""
        news: list[tuple[int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if self._stop.is_set():
                    return []
                if concerns_intake(entry.name):
                    status = _status(entry)
                    if self._judge.is_news(entry.name, status, self._scans):
                        news.append((getattr(status, "st_mtime_ns", 0), entry.name))
        self._records.forget_unseen(self._scans)
        news.sort()
        return [name for _, name in news]

    # -- handing on ------------------------------------------------------------------------------

    def _look_at(self, name: str) -> None:
        """Nothing happens when there is nothing (any more)."""
        if not self._stop.is_set():
            drop = self._judge.look_at(name)
            if drop is not None:
                self._hand_on(drop)

    def _hand_on(self, drop: Drop) -> None:
        name, peer_id = drop.name, drop.stub.peer_id
        record = self._records.open(name)
        try:
            verdict = self._owner.accept(drop)
        except Exception:
            record.state, record.until = State.BUG, 0.0
            if record.first_time(State.BUG):
                log.exception(
                    "%s could not be taken: a bug in jack; the stub stays and is tried again at"
                    " each scan",
                    for_log(name),
                )
            return
        record.state, record.until = _STATES[verdict], math.inf
        if verdict is not Verdict.TAKEN:
            self._lines.setdefault(peer_id, deque()).append(name)
            if drop.note is not None:
                self._records.notes[name] = drop.note
        if verdict is Verdict.UNKNOWN_PEER and record.first_time(State.UNKNOWN_PEER):
            log.warning(
                "%s names friend %s, who is not in the config (a friend's id changes with the url):"
                " add the peer, or remove the stub; it stays where it is",
                for_log(name),
                peer_id,
            )

    def _offer(self, peer_id: str) -> None:
        """Hand some of the peer's line on, until its owner has enough."""
        line = self._lines.get(peer_id, deque())
        for _ in range(min(SLICE, len(line))):
            name = line.popleft()
            record = self._records.get(name)
            if record is None or record.state not in _IN_LINE:
                continue  # it has gone, or was looked at since
            record.until = 0.0
            self._look_at(name)
            if line and line[-1] == name:
                line.rotate(1)  # back to the head of the line
                self._with_room.discard(peer_id)
                return
        if not line:
            self._lines.pop(peer_id, None)
            self._with_room.discard(peer_id)


def _status(entry: os.DirEntry[str]) -> os.stat_result | OSError:
    """Links are followed."""
    try:
        return entry.stat()
    except OSError as error:
        return error
