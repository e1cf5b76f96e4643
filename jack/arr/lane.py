"""One server's line of errands, and the thread that does them step by step."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from jack.arr.handover import Errand, Pauses
from jack.errors import Interrupted, PermanentError, StorageError, TransientError
from jack.support.clock import Clock
from jack.support.http import Wire

log = logging.getLogger(__name__)

LONG_PAUSE_SECONDS = 60.0
"""From here on a pause is worth a write for every waiting file; shorter ones are over too soon."""


@dataclass
class _Item:
    """One errand in a line. `due` is monotonic seconds, `pause` the last wait that trouble with
    this one alone has cost.
    """

    errand: Errand
    due: float
    pause: float = 0.0


@dataclass
class _Outage:
    """The server takes nothing: one for all errands. `untold` still need to hear why."""

    since: float
    pause: float = 0.0
    due: float = 0.0
    sentence: str = ""
    said: set[type[TransientError]] = field(default_factory=set)
    untold: deque[Hashable] = field(default_factory=deque)


class Lane:
    """The line of one server. `step` does one thing, the thread only loops over it and waits.

    A record that could not be written or a bug never leaves it: it is logged with its traceback,
    and the errand is tried again later.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        pauses: Pauses,
        thread_context: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._name = name
        self._clock = clock
        self._pauses = pauses
        self._thread_context = thread_context
        self._lock = threading.Lock()
        self._items: dict[Hashable, _Item] = {}  # in the order they are tried
        self._outage: _Outage | None = None
        self._current: tuple[_Item, Wire] | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._started = False
        self._thread: threading.Thread | None = None

    # -- the outside: any thread -------------------------------------------------------------------

    def submit(self, errand: Errand) -> None:
        with self._lock:
            if errand.key in self._items:
                return
            self._items[errand.key] = _Item(errand, due=self._clock.monotonic())
            if self._outage is not None:
                self._outage.untold.append(errand.key)
        self._wake.set()
        self._ensure_thread()

    def withdraw(self, key: Hashable) -> None:
        with self._lock:
            item = self._items.pop(key, None)
            if item is not None and self._current is not None and self._current[0] is item:
                self._current[1].abort(Interrupted(f"{item.errand} was withdrawn"))

    def hurry(self, key: Hashable, *, through_outage: bool = True) -> None:
        """It is wanted now: the pauses of the errand, and of its server, are cut short."""
        with self._lock:
            item = self._items.get(key)
            if item is not None:
                item.due = min(item.due, self._clock.monotonic())
                if self._outage is not None and through_outage:
                    self._outage.due = item.due
        self._wake.set()

    def start(self) -> None:
        self._started = True
        self._ensure_thread()

    def request_stop(self) -> None:
        with self._lock:
            self._stopping.set()
            if self._current is not None:
                self._current[1].abort(Interrupted("jack is stopping"))
        self._wake.set()

    def join(self, timeout_seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _ensure_thread(self) -> None:
        """Also called by `submit`: a machine out of threads gets another chance with each file."""
        with self._lock:
            if not self._started or self._stopping.is_set() or self.alive:
                return
            thread = threading.Thread(target=self._run, name=f"import-{self._name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                log.error("no thread for imports by %s yet (%s)", self._name, error)
                return
            self._thread = thread

    # -- the inside: the lane's own thread ---------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._thread_context():
                    self._loop()
            except Exception:
                log.exception("imports by %s: an unexpected error; going on", self._name)
                self._stopping.wait(self._pauses.first)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()  # before looking: what is submitted from here on ends the wait
            pause = self.step()
            if not self._stopping.is_set():
                self._wake.wait(pause)

    def step(self) -> float | None:
        """Do the next thing; return the seconds until there is another, None when nothing waits."""
        with self._turn() as (item, wire):
            if item is not None:
                self._attempt(item, wire)
                return 0.0
        if self._explain_one():
            return 0.0
        return self._seconds_until_due()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[tuple[_Item | None, Wire]]:
        """The file whose turn it is, with a wire that `withdraw` and `request_stop` can reach."""
        wire = Wire()
        with self._lock:
            item = None if self._stopping.is_set() else self._first_due()
            self._current = (item, wire) if item is not None else None
        try:
            yield item, wire
        finally:
            with self._lock:
                self._current = None

    def _first_due(self) -> _Item | None:
        now = self._clock.monotonic()
        if self._outage is not None and self._outage.due > now:
            return None
        return next((item for item in self._items.values() if item.due <= now), None)

    def _seconds_until_due(self) -> float | None:
        with self._lock:
            if not self._items:
                return None
            due = min(item.due for item in self._items.values())
            if self._outage is not None:
                due = max(due, self._outage.due)
        return max(0.0, due - self._clock.monotonic())

    def _attempt(self, item: _Item, wire: Wire) -> None:
        try:
            pause = item.errand.step(wire)
        except Interrupted:
            return  # withdrawn, or stopping: it stays in the line as it is
        except StorageError:
            # What was done is done and is not repeated; only the record of it is missing.
            log.exception("%s: what %s did is not recorded yet", item.errand, self._name)
            self._try_later(item)
        except TransientError as error:
            self._server_failed(item, error)
        except PermanentError as error:
            self._answered()
            self._refused(item, error)
        except Exception as error:
            log.exception("%s: with %s it failed unexpectedly", item.errand, self._name)
            self._put_off(item, f"an unexpected error in jack ({type(error).__name__})")
        else:
            self._answered()
            self._go_on(item, pause)

    def _go_on(self, item: _Item, pause: float | None) -> None:
        with self._lock:
            if self._items.get(item.errand.key) is not item:
                return
            if pause is None:
                del self._items[item.errand.key]
            else:
                item.due = self._clock.monotonic() + pause
                self._to_the_back(item)

    def _server_failed(self, item: _Item, error: TransientError) -> None:
        """The whole lane waits. Another file asks next: it may be this one it trips over."""
        key = item.errand.key
        with self._lock:
            now = self._clock.monotonic()
            outage = self._outage = self._outage or _Outage(since=now)
            outage.pause = self._pauses.after(outage.pause)
            outage.due, outage.sentence = now + outage.pause, str(error)
            if not outage.said or outage.pause >= LONG_PAUSE_SECONDS:
                outage.untold = deque(other for other in self._items if other != key)
            self._to_the_back(item)
            new = type(error) not in outage.said
            outage.said.add(type(error))
        if new:
            log.warning(
                "%s waits: %s; %s is asked again in %g s, then with pauses of up to %g s for as"
                " long as it takes",
                item.errand,
                error,
                self._name,
                outage.pause,
                self._pauses.longest,
            )
        self._postponed(item, outage.sentence, outage.pause)

    def _answered(self) -> None:
        with self._lock:
            outage, self._outage = self._outage, None
            waiting = len(self._items)
        if outage is not None:
            log.info(
                "%s answers again after %.0f s; files in its line: %d",
                self._name,
                self._clock.monotonic() - outage.since,
                waiting,
            )

    def _refused(self, item: _Item, error: PermanentError) -> None:
        first = item.pause == 0.0
        self._put_off(item, str(error))
        if first:
            log.warning(
                "%s waits: %s; it is tried again in %g s, then with pauses of up to %g s; the"
                " others go on",
                item.errand,
                error,
                item.pause,
                self._pauses.longest,
            )

    def _put_off(self, item: _Item, sentence: str) -> None:
        self._try_later(item)
        self._postponed(item, sentence, item.pause)

    def _try_later(self, item: _Item) -> None:
        item.pause = self._pauses.after(item.pause)
        item.due = self._clock.monotonic() + item.pause
        with self._lock:
            self._to_the_back(item)

    def _to_the_back(self, item: _Item) -> None:
        key = item.errand.key
        if self._items.get(key) is item:
            self._items[key] = self._items.pop(key)

    def _explain_one(self) -> bool:
        """Tell one errand that the server is down; one, so that no probe and no stop is late."""
        with self._lock:
            outage = self._outage
            if outage is None or not outage.untold or self._stopping.is_set():
                return False
            item = self._items.get(outage.untold.popleft())
        if item is not None:
            until = max(outage.due, item.due) - self._clock.monotonic()
            self._postponed(item, outage.sentence, max(0.0, until))
        return True

    def _postponed(self, item: _Item, sentence: str, pause_seconds: float) -> None:
        if not self._holds(item):
            return
        at = self._clock.now() + timedelta(seconds=pause_seconds)
        try:
            item.errand.postponed(sentence, at)
        except Exception:
            log.exception("%s: that it waits for %s is not recorded", item.errand, self._name)

    def _holds(self, item: _Item) -> bool:
        with self._lock:
            return self._items.get(item.errand.key) is item
