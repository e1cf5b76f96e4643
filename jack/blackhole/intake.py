"""Intake: finds what lies in the watch folder and hands each whole stub of jack's on, once.

The scan is the truth; names from the inbox (file events) only make it faster. Everything here
happens in the one thread that calls `run` or `step`, except `forget`, `again` and `room`. Nothing
in the folder is ever changed.

The folder is the queue: whoever takes the stubs answers LATER when he has enough of one peer's, and
is shown more of them when he says that there is room.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jack.blackhole.drops import Accept, Drop, Verdict
from jack.blackhole.folder import Folder
from jack.blackhole.inbox import Inbox, Mail
from jack.blackhole.judge import Judge
from jack.blackhole.known import Alarm, Known, Outcome
from jack.blackhole.names import concerns_intake
from jack.support.clock import Clock

log = logging.getLogger(__name__)

SOON_SECONDS: Final = 1.0
"""When a file that is being written is looked at again without waiting for an event or a scan."""
BUG_PAUSE_SECONDS: Final = 1.0
BURST_NAMES: Final = 1000
BURST_QUIET_SECONDS: Final = 0.5
"""After so many names, and then so long none, the folder is scanned: the system's own queue of file
events may have been too short for them (16,384 on Linux), and watchdog does not pass that on."""
SLICE: Final = 64
"""So many names are looked at before others get their turn: one peer's flood must not keep another
peer's single stub waiting."""


class Intake:
    """Feeds every whole stub in `folder` to `accept`, exactly once per content.

    `accept` is called in intake's thread and should return at once. `watcher_check` is called
    before each scan, so that what happened while a watch had to be renewed is seen by the scan.
    """

    def __init__(
        self,
        folder: Path,
        inbox: Inbox,
        accept: Accept,
        clock: Clock,
        rescan_seconds: float,
        watcher_check: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = Folder(folder)
        self._inbox = inbox
        self._clock = clock
        self._rescan_seconds = rescan_seconds
        self._watcher_check = watcher_check
        self._known = Known()
        self._judge = Judge(
            folder, self._known, accept, clock, self._look_again_soon, self._stand_in_line
        )
        self._soon = Alarm()
        self._later = Alarm()
        self._found: deque[str] = deque()
        """What the last listing found and nobody has looked at yet."""
        self._lines: dict[str, deque[str]] = {}
        """By peer: names to be handed on when there is room. Some may have gone meanwhile."""
        self._next_scan = clock.monotonic()
        self._wants_scan = False
        self._named = 0
        """How many names have come since the last scan."""
        self._burst_over = math.inf
        self._orders = threading.Lock()
        self._forgotten: set[str] = set()
        self._put_off: list[tuple[str, float, object]] = []
        self._with_room: set[str] = set()
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; `Inbox.wake` makes that immediate."""
        self._stop = stop
        while not stop.is_set():
            try:
                self.step(self._rescan_seconds)
            except Exception:
                log.exception("intake hit a bug in jack; it goes on")
                stop.wait(BUG_PAUSE_SECONDS)

    def step(self, timeout_seconds: float) -> None:
        """One round: wait up to `timeout_seconds` for something to do, and do a part of it."""
        mail = self._inbox.take(self._pause_seconds(timeout_seconds), SLICE)
        self._note_mail(mail)
        self._note_put_off()
        for name in mail.names:
            self.look_at(name)
        self._look_at_due()
        for peer_id in self._peers_with_room():
            self._offer(peer_id)
        # While the last listing is worked off there is no new one: a flood asks for many.
        due = min(self._next_scan, self._burst_over)
        if not self._found and (self._wants_scan or self._clock.monotonic() >= due):
            self._list()
        self._look_at_found()

    def scan(self) -> None:
        """Look at the whole folder, oldest file first. Returns early when told to stop."""
        self._list()
        while self._found and not self._stop.is_set():
            self._look_at_found()

    def look_at(self, name: str) -> None:
        """Look at one name of the folder; nothing happens when there is nothing (any more)."""
        if concerns_intake(name):
            if self._take_forgotten(name):
                self._judge.forget(name)
            self._judge.look_at(name)

    # -- from any thread -------------------------------------------------------------------------

    def forget(self, name: str) -> None:
        """Treat `name` as never seen and look at it again: its owner let go of it.

        Carried out by intake's own thread, so that a look going on right now cannot undo it.
        """
        with self._orders:
            self._forgotten.add(name)
        self._inbox.put(name)

    def again(self, name: str, seconds: float, note: object) -> None:
        """Hand `name` on once more in `seconds`, with `note` if it still says the same: its owner
        let go of it.
        """
        with self._orders:
            self._put_off.append((name, seconds, note))
        self._inbox.wake()

    def room(self, peer_id: str) -> None:
        """There is room for more of that peer's stubs."""
        with self._orders:
            self._with_room.add(peer_id)
        self._inbox.wake()

    def _note_mail(self, mail: Mail) -> None:
        self._wants_scan = self._wants_scan or mail.scan
        self._named += len(mail.names)
        if mail.names and self._named >= BURST_NAMES:
            self._burst_over = self._clock.monotonic() + BURST_QUIET_SECONDS

    # -- the scan --------------------------------------------------------------------------------

    def _list(self) -> None:
        self._wants_scan, self._named, self._burst_over = False, 0, math.inf
        self._next_scan = self._clock.monotonic() + self._rescan_seconds
        try:
            self._watcher_check()
        except Exception:
            log.exception("checking the file events hit a bug in jack; the scan goes on")
        with self._orders:
            forgotten, self._forgotten = self._forgotten, set()
        for name in forgotten:
            self._judge.forget(name)
        gone = dict.fromkeys(self._known)
        news: list[tuple[int, str]] = []

        def look(name: str, status: os.stat_result | OSError) -> bool:
            gone.pop(name, None)
            if self._judge.is_news(name, status):
                news.append((0 if isinstance(status, OSError) else status.st_mtime_ns, name))
            return not self._stop.is_set()

        if not self._folder.each(look):
            return
        for name in gone:
            self._judge.forget(name)
            self._soon.cancel(name)
            self._later.cancel(name)
        news.sort(key=lambda found: found[0])  # the order in which the stubs were dropped
        self._found.extend(name for _, name in news)

    def _look_at_found(self) -> None:
        for _ in range(min(SLICE, len(self._found))):
            if self._stop.is_set():
                return
            self.look_at(self._found.popleft())

    def _look_at_due(self) -> None:
        now = self._clock.monotonic()
        while not self._stop.is_set() and (name := self._soon.pop(now)):
            self.look_at(name)
        while not self._stop.is_set() and (name := self._later.pop(now)):
            self._known.forget(name)
            self.look_at(name)

    def _pause_seconds(self, longest: float) -> float:
        """For how long there is nothing to do but to wait for mail."""
        if self._found or self._wants_scan or any(map(self._lines.get, self._peers_with_room())):
            return 0.0
        due = min(self._next_scan, self._burst_over, self._soon.next(), self._later.next())
        return min(longest, due - self._clock.monotonic())

    # -- what is wanted later --------------------------------------------------------------------

    def _stand_in_line(self, name: str, peer_id: str) -> None:
        self._lines.setdefault(peer_id, deque()).append(name)

    def _peers_with_room(self) -> list[str]:
        with self._orders:
            return list(self._with_room)

    def _offer(self, peer_id: str) -> None:
        """Hand some of the peer's line on, until its owner has enough."""
        line = self._lines.setdefault(peer_id, deque())
        for _ in range(min(SLICE, len(line))):
            name = line.popleft()
            if self._known.outcome(name) is not Outcome.LATER:
                continue  # it has gone, or was looked at since
            self._known.forget(name)
            self.look_at(name)
            if line and line[-1] == name:
                line.rotate(1)  # back to the head of the line
                break
        else:
            if line:
                return
        with self._orders:
            self._with_room.discard(peer_id)

    def _note_put_off(self) -> None:
        with self._orders:
            put_off, self._put_off = self._put_off, []
        for name, seconds, note in put_off:
            if name in self._known:
                self._judge.leave_note(name, note)
                self._later.set(name, self._clock.monotonic() + seconds)

    def _look_again_soon(self, name: str) -> None:
        self._soon.set(name, self._clock.monotonic() + SOON_SECONDS)

    def _take_forgotten(self, name: str) -> bool:
        with self._orders:
            known = name in self._forgotten
            self._forgotten.discard(name)
            return known


__all__ = ["Drop", "Inbox", "Intake", "Verdict"]
