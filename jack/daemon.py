"""The composition root: starts the parts in order, waits, and stops them in reverse.

`download_side` and `http_side` say what the two halves are made of.

Order of the start: lock file, database and migrations, stale rows back to work, then the observer,
then the first scan. So nothing new can arrive before everything old has its place.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from jack import wiring
from jack.config import Config, gaps
from jack.control_side import start_control_side
from jack.download_side import DownloadSide
from jack.downloads.reconcile import reconcile_without_downloads
from jack.downloads.view import DownloadsView
from jack.http_side import check_port, start_http_side
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.guard import StateGuard
from jack.store.lock import StateLock
from jack.support.clock import Clock, SystemClock
from jack.support.mounts import network_file_system
from jack.support.threads import NoThread
from jack.support.waits import GUARD_SECONDS, STOP_SECONDS
from jack.support.wire import watch_deadlines

log = logging.getLogger(__name__)

THREAD_LOOK_SECONDS = 0.5
"""How often the main thread looks up. Of two signals at once the kernel may give both to another
thread; Python's handlers then run only when the main thread's wait ends."""


def run_daemon(config: Config, clock: Clock | None = None) -> int:
    """`jack run`: work until a signal asks to stop. Returns 0 after a clean stop, 1 when a part
    died.

    Raises AlreadyRunning, StateError or another UserError when the start is impossible.
    """
    signals = _catch_signals()
    clock = clock or SystemClock()
    with ExitStack() as stack:
        lock = StateLock(config.jack.state_path)
        lock.acquire()
        stack.callback(lock.release)
        _warn_of_network(config.jack.state_path)
        for gap in gaps(config):
            log.warning("%s: %s", gap.what, gap.remedy)
        if config.jack.api_key is not None:
            check_port(config)  # before anything is changed
        watch_deadlines()
        database = Database(config.jack.state_path)
        stack.callback(database.close)
        watch = _Watch(signals, StateGuard(database, lock.path), clock)
        stack.enter_context(watch.excepthook())
        downloads = Downloads(database, clock)
        peers = wiring.peers(config, clock)
        stack.callback(peers.close)
        side: DownloadSide | None = None
        shown = DownloadsView(database, downloads, clock)
        if config.downloads is not None:
            side = DownloadSide(config, config.downloads, database, peers, clock)
            shown = side.shown
        steering = side.service.steering if side is not None else None
        if config.jack.api_key is not None:
            start_http_side(config, database, shown, steering, peers, clock, stack)
        if side is None:
            reconcile_without_downloads(downloads)
            start_control_side(config.jack.state_path, shown, None, database, stack)
            idle = config.jack.api_key is None
            log.info("jack is up and %s: no downloads in the config", "idle" if idle else "shares")
            return 0 if watch.wait(None) else 1
        started = side.start(signals.stop)
        start_control_side(config.jack.state_path, shown, steering, database, stack)
        log.info("jack is up: %s", started)
        registrar = wiring.registrar(config, clock)
        if registrar is not None:
            stack.callback(registrar.stop, 1.0)
            registrar.start()
        healthy = watch.wait(side)
        if not side.stop(STOP_SECONDS):
            log.warning("some connections did not end in time; everything received is recorded")
            database.close()
            _leave_at_once(0 if healthy else 1)
    log.info("jack has stopped")
    return 0 if healthy else 1


class Signals(NamedTuple):
    """What signals have asked for."""

    stop: threading.Event
    hung_up: threading.Event


def _catch_signals() -> Signals:
    """The first SIGTERM or SIGINT sets `stop`, the second leaves at once. Handlers do nothing else:
    they run between two bytecodes of the main thread, where taking a lock could wait for ever.

    SIGHUP ends nothing: it comes when a terminal is closed or a log rotated, and a download must
    not depend on either. Where it is ignored (nohup) it stays so.
    """
    signals = Signals(threading.Event(), threading.Event())

    def handle(number: int, frame: FrameType | None) -> None:
        if signals.stop.is_set():
            os._exit(128 + number)
        signals.stop.set()

    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):  # no stderr
        faulthandler.register(signal.SIGUSR1)  # where every thread stands, for a jack that hangs
    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: signals.hung_up.set())
    return signals


class _Watch:
    """What ends a jack that nobody asked to stop: better restarted than half dead."""

    def __init__(self, signals: Signals, guard: StateGuard, clock: Clock) -> None:
        self._stop = signals.stop
        self._hung_up = signals.hung_up
        self._guard = guard
        self._clock = clock
        self._problem: str | None = None

    @contextlib.contextmanager
    def excepthook(self) -> Iterator[None]:
        """While the block runs, a thread that ends by an exception of any kind ends jack.

        Not watchdog's own threads: the watcher renews these.
        """
        before = threading.excepthook

        def note(died: threading.ExceptHookArgs) -> None:
            if issubclass(died.exc_type, NoThread):
                self._problem = str(died.exc_value)
                return
            name = died.thread.name if died.thread is not None else "unknown"
            trace = (died.exc_type, died.exc_value or died.exc_type(), died.exc_traceback)
            log.error("the %s thread ended in a bug", name, exc_info=trace)
            if not type(died.thread).__module__.startswith("watchdog"):
                self._problem = f"the {name} thread has died"

        threading.excepthook = note
        try:
            yield
        finally:
            threading.excepthook = before

    def wait(self, side: DownloadSide | None) -> bool:
        """Until asked to stop; False when jack must leave by itself."""
        look = self._clock.monotonic() + GUARD_SECONDS
        while not self._stop.wait(THREAD_LOOK_SECONDS):
            self._mention_hang_up()
            problem = self._death([] if side is None else side.threads)
            if problem is None and side is not None:
                problem = side.problem
            if problem is None and self._clock.monotonic() >= look:
                look = self._clock.monotonic() + GUARD_SECONDS
                problem = self._guard.problem()
            if problem is not None:
                log.critical("%s; jack leaves so that it can be restarted", problem)
                self._stop.set()
                return False
        return True

    def _mention_hang_up(self) -> None:
        if self._hung_up.is_set():
            self._hung_up.clear()
            log.info("SIGHUP: jack goes on; it reads its config at the start only")

    def _death(self, threads: list[threading.Thread]) -> str | None:
        dead = (thread.name for thread in threads if not thread.is_alive())
        return self._problem or next((f"the {name} thread has died" for name in dead), None)


def _warn_of_network(state_path: Path) -> None:
    kind = network_file_system(state_path)
    if kind is not None:
        log.warning(
            "statePath %s is on a %s file system, where SQLite's locks are not to be trusted:"
            " keep jack's database on a local disk",
            state_path,
            kind,
        )


def _leave_at_once(code: int) -> None:
    """Without waiting for threads that sit in a system call; the interpreter's own exit would."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # a full disk, a closed pipe
                stream.flush()
    os._exit(code)
