"""The composition root: starts the parts in order, waits, and stops them in reverse.

`download_side` and `http_side` say what the two halves are made of.

Order of the start: lock file, database and migrations, stale rows back to work, then the observer,
then the first scan. So nothing new can arrive before everything old has its place.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType

from jack import wiring
from jack.config import Config
from jack.download_side import DownloadSide
from jack.downloads.reconcile import reconcile_without_downloads
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.lock import StateLock
from jack.support.clock import Clock, SystemClock

log = logging.getLogger(__name__)

STOP_SECONDS = 7.0
"""For everything under way to end by itself; the promise for the whole exit is ten seconds."""
THREAD_LOOK_SECONDS = 0.5
"""How often the main thread looks up. Of two signals at once the kernel may give both to another
thread; Python's handlers then run only when the main thread's wait ends."""


def run_daemon(config: Config, clock: Clock | None = None) -> int:
    """`jack run`: work until a signal asks to stop. Returns 0 after a clean stop, 1 when a part
    died.

    Raises AlreadyRunning, StateError or another UserError when the start is impossible.
    """
    stop = _stop_on_signals()
    clock = clock or SystemClock()
    with ExitStack() as stack:
        lock = StateLock(config.jack.state_path)
        lock.acquire()
        stack.callback(lock.release)
        database = Database(config.jack.state_path)
        stack.callback(database.close)
        downloads = Downloads(database, clock)
        if config.jack.api_key is not None:
            # Imported late: a jack that only downloads does not carry a web server.
            from jack.http_side import start_http_side

            start_http_side(config, database, downloads, clock, stack)
        if config.downloads is None:
            reconcile_without_downloads(downloads)
            if config.jack.api_key is not None:
                log.info("jack is up and shares; the config has no downloads block")
            else:
                log.warning("jack is up and idle: the config has neither downloads nor jack.apiKey")
            _wait(stop, [])
            return 0
        side = DownloadSide(config, config.downloads, database, clock)
        side.start(stop)
        registrar = wiring.registrar(config, clock)
        if registrar is not None:
            stack.callback(registrar.stop, 1.0)
            registrar.start()
        healthy = _wait(stop, side.threads)
        if not side.stop(STOP_SECONDS):
            log.warning("some connections did not end in time; everything received is recorded")
            database.close()
            _leave_at_once(0 if healthy else 1)
    log.info("jack has stopped")
    return 0 if healthy else 1


def _stop_on_signals() -> threading.Event:
    """The first SIGTERM or SIGINT sets the event, the second leaves at once. Handlers do nothing
    else: they run between two bytecodes of the main thread, where taking a lock could wait for
    ever.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def _wait(stop: threading.Event, threads: list[threading.Thread]) -> bool:
    """Until asked to stop; False when a thread died that must not (never a half-dead daemon)."""
    while not stop.wait(THREAD_LOOK_SECONDS):
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            log.critical("the %s thread has died; jack leaves so that it can be restarted", dead[0])
            stop.set()
            return False
    return True


def _leave_at_once(code: int) -> None:
    """Without waiting for threads that sit in a system call; the interpreter's own exit would."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
