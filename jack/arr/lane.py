"""One server's line of finished files, and the thread that hands them over."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from jack.arr.client import ArrClient
from jack.arr.handover import Handover, Journal, Pauses
from jack.errors import Interrupted, PermanentError, TransientError
from jack.support.clock import Clock
from jack.support.http import Wire

log = logging.getLogger(__name__)

LONG_PAUSE_SECONDS = 60.0
"""From here on a pause is worth a write for every waiting file; shorter ones are over too soon."""


@dataclass
class _Item:
    """One file in a line. `due` is monotonic seconds, `pause` the last wait of this file alone."""

    handover: Handover
    due: float
    pause: float = 0.0
    command_id: int | None = None
    """Set once the server has taken it, until the journal has taken that too."""


@dataclass
class _Outage:
    """The server takes nothing: one for all files. `untold` still need their row explained."""

    since: float
    pause: float = 0.0
    due: float = 0.0
    sentence: str = ""
    said: set[type[TransientError]] = field(default_factory=set)
    untold: deque[int] = field(default_factory=deque)


class Lane:
    """The line of one server. `step` does one thing, the thread only loops over it and waits.

    An exception of the journal or a bug never leaves it: it is logged with its traceback, and the
    file is tried again later.
    """

    def __init__(
        self,
        client: ArrClient,
        journal: Journal,
        clock: Clock,
        pauses: Pauses,
        thread_context: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._client = client
        self._name = client.server.name
        self._journal = journal
        self._clock = clock
        self._pauses = pauses
        self._thread_context = thread_context
        self._lock = threading.Lock()
        self._items: dict[int, _Item] = {}  # in the order they are tried
        self._outage: _Outage | None = None
        self._current: tuple[_Item, Wire] | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._started = False
        self._thread: threading.Thread | None = None

    # -- the outside: any thread -------------------------------------------------------------------

    def submit(self, handover: Handover) -> None:
        with self._lock:
            if handover.download_id in self._items:
                return
            self._items[handover.download_id] = _Item(handover, due=self._clock.monotonic())
            if self._outage is not None:
                self._outage.untold.append(handover.download_id)
        self._wake.set()
        self._ensure_thread()

    def withdraw(self, download_id: int) -> None:
        with self._lock:
            item = self._items.pop(download_id, None)
            if item is not None and self._current is not None and self._current[0] is item:
                self._current[1].abort(Interrupted(f"download {download_id} was withdrawn"))

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
            if item.command_id is None:
                item.command_id = self._client.scan_path(str(item.handover.path), wire)
                self._answered()
        except Interrupted:
            return  # withdrawn, or stopping: it stays in the line as it is
        except TransientError as error:
            self._server_failed(item, error)
        except PermanentError as error:
            self._answered()
            self._file_refused(item, error)
        except Exception as error:
            log.exception("%s: handing it to %s failed unexpectedly", item.handover, self._name)
            self._put_off(item, f"an unexpected error in jack ({type(error).__name__})")
        else:
            self._accepted(item, item.command_id)

    def _accepted(self, item: _Item, command_id: int) -> None:
        if not self._holds(item):
            return
        try:
            self._journal.accepted(item.handover.download_id, self._name, command_id)
        except Exception:
            # The command is out and is not sent again; only the record of it is missing.
            log.exception("%s: %s took it, not recorded yet", item.handover, self._name)
            self._try_later(item)
            return
        log.info("%s: %s imports it (command %d)", item.handover, self._name, command_id)
        with self._lock:
            if self._items.get(item.handover.download_id) is item:
                del self._items[item.handover.download_id]

    def _server_failed(self, item: _Item, error: TransientError) -> None:
        """The whole lane waits. Another file asks next: it may be this one it trips over."""
        number = item.handover.download_id
        with self._lock:
            now = self._clock.monotonic()
            outage = self._outage = self._outage or _Outage(since=now)
            outage.pause = self._pauses.after(outage.pause)
            outage.due, outage.sentence = now + outage.pause, str(error)
            if not outage.said or outage.pause >= LONG_PAUSE_SECONDS:
                outage.untold = deque(other for other in self._items if other != number)
            self._to_the_back(item)
            new = type(error) not in outage.said
            outage.said.add(type(error))
        if new:
            log.warning(
                "%s waits for its import: %s; %s is asked again in %g s, then with pauses of up to"
                " %g s for as long as it takes",
                item.handover,
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

    def _file_refused(self, item: _Item, error: PermanentError) -> None:
        first = item.pause == 0.0
        self._put_off(item, str(error))
        if first:
            log.warning(
                "%s waits for its import: %s; this file is tried again in %g s, then with pauses of"
                " up to %g s; the others go on",
                item.handover,
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
        number = item.handover.download_id
        if self._items.get(number) is item:
            self._items[number] = self._items.pop(number)

    def _explain_one(self) -> bool:
        """Tell one row that the server is down; only one, so that no probe and no stop is late."""
        with self._lock:
            outage = self._outage
            if outage is None or not outage.untold or self._stopping.is_set():
                return False
            item = self._items.get(outage.untold.popleft())
        if item is not None and item.command_id is None:
            until = max(outage.due, item.due) - self._clock.monotonic()
            self._postponed(item, outage.sentence, max(0.0, until))
        return True

    def _postponed(self, item: _Item, sentence: str, pause_seconds: float) -> None:
        if not self._holds(item):
            return
        at = self._clock.now() + timedelta(seconds=pause_seconds)
        try:
            self._journal.postponed(item.handover.download_id, self._name, sentence, at)
        except Exception:
            log.exception("%s: that it waits for %s is not recorded", item.handover, self._name)

    def _holds(self, item: _Item) -> bool:
        with self._lock:
            return self._items.get(item.handover.download_id) is item
