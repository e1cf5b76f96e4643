"""One server's line of errands, and the thread that does them step by step."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jack.errors import Interrupted, PermanentError, StorageError, TransientError
from jack.store.database import Database
from jack.support.clock import Clock
from jack.support.http import Wire
from jack.support.pauses import Pauses

log = logging.getLogger(__name__)

LONG_PAUSE_SECONDS = 60.0
"""From here on a pause is worth a write for every waiting file; shorter ones are over too soon."""


class Errand:
    """Something to be done with one server, in steps; all of them in the thread of its line."""

    key: Hashable
    """What it is about: a line has at most one errand of a key."""
    due = 0.0
    """Monotonic seconds of its next step; the line's business, like `pause`."""
    failures = 0
    """With this one alone."""

    def step(self, wire: Wire) -> float | None:
        """Do what is next; the seconds until the next step, or None when it is done.

        Raises TransientError when it is the server's trouble, PermanentError when the server does
        not take this errand (it is tried again later, with pauses of its own), StorageError when
        the outcome could not be recorded, and what the wire was aborted with.
        """
        raise NotImplementedError

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        """It has to wait; `sentence` says why, for a person. In the log it stands anyway."""


@dataclass
class _Outage:
    """The server takes nothing: one for all errands. `untold` still need to hear why."""

    since: float
    failures: int = 0
    due: float = 0.0
    sentence: str = ""
    said: set[type[TransientError]] = field(default_factory=set)
    untold: deque[Hashable] = field(default_factory=deque)


class ServerLine:
    """The line of one server. `step` does one thing, the thread only loops over it and waits.

    A record that could not be written or a bug never leaves it: it is logged with its traceback,
    and the errand is tried again later.
    """

    def __init__(self, name: str, clock: Clock, pauses: Pauses, database: Database) -> None:
        self._name = name
        self._clock = clock
        self._pauses = pauses
        self._database = database
        self._lock = threading.Lock()
        self._errands: dict[Hashable, Errand] = {}  # in the order they are tried
        self._outage: _Outage | None = None
        self._current: tuple[Errand, Wire] | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"import-{name}", daemon=True)

    # -- the outside: any thread -------------------------------------------------------------------

    def submit(self, errand: Errand) -> None:
        with self._lock:
            if errand.key in self._errands:
                return
            errand.due = self._clock.monotonic()
            self._errands[errand.key] = errand
            if self._outage is not None:
                self._outage.untold.append(errand.key)
        self._wake.set()

    def withdraw(self, key: Hashable) -> None:
        """Take it out; its request under way is aborted, and the answer dropped."""
        with self._lock:
            errand = self._errands.pop(key, None)
            if errand is not None and self._current is not None and self._current[0] is errand:
                self._current[1].abort(Interrupted(f"{errand} was withdrawn"))

    def hurry(self, key: Hashable, *, through_outage: bool = True) -> None:
        """It is wanted now: the pauses of the errand, and of its server, are cut short."""
        with self._lock:
            errand = self._errands.get(key)
            if errand is not None:
                errand.due = min(errand.due, self._clock.monotonic())
                if self._outage is not None and through_outage:
                    self._outage.due = errand.due
        self._wake.set()

    def start(self) -> None:
        self._thread.start()

    def request_stop(self) -> None:
        with self._lock:
            self._stopping.set()
            if self._current is not None:
                self._current[1].abort(Interrupted("jack is stopping"))
        self._wake.set()

    def join(self, timeout_seconds: float) -> bool:
        """Whether the thread has ended by then."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    # -- the inside: the line's own thread ---------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.connection():
                    self._loop()
            except Exception:
                log.exception("imports by %s: an unexpected error; going on", self._name)
                self._stopping.wait(self._pauses.after(1))

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()  # before looking: what is submitted from here on ends the wait
            pause = self.step()
            if not self._stopping.is_set():
                self._wake.wait(pause)

    def step(self) -> float | None:
        """Do the next thing; return the seconds until there is another, None when nothing waits."""
        with self._turn() as (errand, wire):
            if errand is not None:
                self._attempt(errand, wire)
                return 0.0
        if self._explain_one():
            return 0.0
        return self._seconds_until_due()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[tuple[Errand | None, Wire]]:
        """The errand whose turn it is, with a wire that `withdraw` and `request_stop` can reach."""
        wire = Wire()
        with self._lock:
            errand = None if self._stopping.is_set() else self._first_due()
            self._current = (errand, wire) if errand is not None else None
        try:
            yield errand, wire
        finally:
            with self._lock:
                self._current = None

    def _first_due(self) -> Errand | None:
        now = self._clock.monotonic()
        if self._outage is not None and self._outage.due > now:
            return None
        return next((errand for errand in self._errands.values() if errand.due <= now), None)

    def _seconds_until_due(self) -> float | None:
        with self._lock:
            if not self._errands:
                return None
            due = min(errand.due for errand in self._errands.values())
            if self._outage is not None:
                due = max(due, self._outage.due)
        return max(0.0, due - self._clock.monotonic())

    def _attempt(self, errand: Errand, wire: Wire) -> None:
        try:
            pause = errand.step(wire)
        except Interrupted:
            return  # withdrawn, or stopping: it stays in the line as it is
        except StorageError:
            # What was done is done and is not repeated; only the record of it is missing.
            log.exception("%s: what %s did is not recorded yet", errand, self._name)
            self._try_later(errand)
        except TransientError as error:
            self._server_failed(errand, error)
        except PermanentError as error:
            self._answered()
            self._refused(errand, error)
        except Exception as error:
            log.exception("%s: with %s it failed unexpectedly", errand, self._name)
            self._put_off(errand, f"an unexpected error in jack ({type(error).__name__})")
        else:
            self._answered()
            self._go_on(errand, pause)

    def _go_on(self, errand: Errand, pause: float | None) -> None:
        with self._lock:
            if self._errands.get(errand.key) is not errand:
                return
            if pause is None:
                del self._errands[errand.key]
            else:
                errand.due = self._clock.monotonic() + pause
                self._to_the_back(errand)

    def _server_failed(self, errand: Errand, error: TransientError) -> None:
        """The whole line waits. Another file asks next: it may be this one it trips over."""
        with self._lock:
            now = self._clock.monotonic()
            outage = self._outage = self._outage or _Outage(since=now)
            outage.failures += 1
            pause = self._pauses.after(outage.failures)
            outage.due, outage.sentence = now + pause, str(error)
            if not outage.said or pause >= LONG_PAUSE_SECONDS:
                outage.untold = deque(other for other in self._errands if other != errand.key)
            self._to_the_back(errand)
            new = type(error) not in outage.said
            outage.said.add(type(error))
        if new:
            self._say(
                errand, error, f"{self._name} is asked again", pause, "for as long as it takes"
            )
        self._postponed(errand, outage.sentence, pause)

    def _answered(self) -> None:
        with self._lock:
            outage, self._outage = self._outage, None
            waiting = len(self._errands)
        if outage is not None:
            log.info(
                "%s answers again after %.0f s; files in its line: %d",
                self._name,
                self._clock.monotonic() - outage.since,
                waiting,
            )

    def _refused(self, errand: Errand, error: PermanentError) -> None:
        pause = self._put_off(errand, str(error))
        if errand.failures == 1:
            self._say(errand, error, "it is tried again", pause, "the others go on")

    def _say(self, errand: Errand, error: Exception, again: str, pause: float, then: str) -> None:
        log.warning(
            "%s waits: %s; %s in %g s, then with pauses of up to %g s; %s",
            errand,
            error,
            again,
            pause,
            self._pauses.longest,
            then,
        )

    def _put_off(self, errand: Errand, sentence: str) -> float:
        pause = self._try_later(errand)
        self._postponed(errand, sentence, pause)
        return pause

    def _try_later(self, errand: Errand) -> float:
        errand.failures += 1
        pause = self._pauses.after(errand.failures)
        errand.due = self._clock.monotonic() + pause
        with self._lock:
            self._to_the_back(errand)
        return pause

    def _to_the_back(self, errand: Errand) -> None:
        if self._errands.get(errand.key) is errand:
            self._errands[errand.key] = self._errands.pop(errand.key)

    def _explain_one(self) -> bool:
        """Tell one errand that the server is down; one, so that no probe and no stop is late."""
        with self._lock:
            outage = self._outage
            if outage is None or not outage.untold or self._stopping.is_set():
                return False
            errand = self._errands.get(outage.untold.popleft())
        if errand is not None:
            until = max(outage.due, errand.due) - self._clock.monotonic()
            self._postponed(errand, outage.sentence, max(0.0, until))
        return True

    def _postponed(self, errand: Errand, sentence: str, pause_seconds: float) -> None:
        with self._lock:
            if self._errands.get(errand.key) is not errand:
                return
        at = self._clock.now() + timedelta(seconds=pause_seconds)
        try:
            errand.postponed(sentence, at)
        except Exception:
            log.exception("%s: that it waits for %s is not recorded", errand, self._name)
