"""File events of the watch folder: each is a reason to scan it now, and a name to look at first.

watchdog appears here and nowhere else. Only events that can complete a stub count; opening,
reading or modifying a file never does, or jack's own reading would feed itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver

from jack.blackhole.names import concerns_intake, for_log
from jack.blackhole.reasons import Reasons
from jack.support.mounts import network_file_system

log = logging.getLogger(__name__)

EVENTS: Final[list[type[FileSystemEvent]]] = [FileClosedEvent, FileCreatedEvent, FileMovedEvent]
"""Closed after writing; linked or moved in from elsewhere (created); renamed inside (moved)."""

_IN_MOVED_FROM: Final = 0x40  # inotify(7)
_JOIN_SECONDS: Final = 5.0


def new_observer() -> BaseObserver:
    """The platform's observer. Raises OSError when the system has no more watches to give.

    On Linux without IN_MOVED_FROM: watchdog holds back such an event for 0.5 s to pair it with its
    other half, and every event behind it as well. A rename inside the folder then arrives as a
    created event.
    """
    if not sys.platform.startswith("linux"):
        from watchdog.observers import Observer

        return Observer()
    from watchdog.observers.inotify import InotifyEmitter, InotifyObserver

    class PromptEmitter(InotifyEmitter):
        def get_event_mask_from_filter(self) -> Any:
            mask: Any = super().get_event_mask_from_filter()
            return mask if mask is None else mask & ~_IN_MOVED_FROM

    observer = InotifyObserver()
    # Not public, the same from watchdog 4 to 7. Should it ever change, events are late, not lost.
    observer._emitter_class = PromptEmitter
    return observer


class _FileEvents(FileSystemEventHandler):
    """Tells which names changed. An exception would end watchdog's thread, so none gets out."""

    def __init__(self, reasons: Reasons) -> None:
        super().__init__()
        self._reasons = reasons

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            if isinstance(event, FileMovedEvent):
                self._note(event.dest_path)
            elif isinstance(event, (FileClosedEvent, FileCreatedEvent)):
                self._note(event.src_path)
        except Exception:
            log.exception("a file event hit a bug in jack; the next scan makes up for it")

    def _note(self, path: bytes | str) -> None:
        name = os.path.basename(os.fsdecode(path))
        if concerns_intake(name):
            self._reasons.notice(name)


class Watcher:
    """Keeps an observer on `folder` as long as the mode and the system allow.

    `mode` is auto, events or poll. Auto does without events on network and FUSE file systems,
    which report only what this machine writes.
    """

    def __init__(
        self,
        folder: Path,
        reasons: Reasons,
        mode: str,
        network_probe: Callable[[Path], str | None] = network_file_system,
        observer_factory: Callable[[], BaseObserver] = new_observer,
    ) -> None:
        self._folder = folder
        self._handler = _FileEvents(reasons)
        self._mode = mode
        self._network_probe = network_probe
        self._observer_factory = observer_factory
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._started = False
        self._polling_reason: str | None = "not started"
        self._refused: str | None = None

    @property
    def describes(self) -> str:
        """`events`, or `scan only (reason)`."""
        reason = self._polling_reason
        return "events" if reason is None else f"scan only ({reason})"

    def start(self) -> None:
        """Begin watching, or say once why only the scan is left. Never raises for the system's
        limits."""
        with self._lock:
            self._started = self._wants_events()
            if self._started:
                self._watch()

    def stop(self) -> None:
        """End watching; watchdog's threads are gone when this returns."""
        with self._lock:
            self._started = False
            self._discard()

    def check(self) -> None:
        """Renew a watch that has ended: its thread died, its folder was replaced, a limit was
        raised."""
        with self._lock:
            if not self._started:
                return
            renew = self._observer is not None
            if renew and self._is_sound():
                return
            self._discard()
            if self._watch() and renew:
                log.info("file events of %s had ended; watching again", self._where)

    def _wants_events(self) -> bool:
        if self._mode == "poll":
            self._polling_reason = "watchMode: poll"
            return False
        kind = self._network_probe(self._folder) if self._mode == "auto" else None
        if kind is None:
            return True
        self._polling_reason = f"network file system {kind}"
        log.info(
            "%s is on a %s file system, where file events cannot be relied on: new stubs are"
            " found by the scan every rescanIntervalMs (watchMode: events tries events all the"
            " same)",
            self._where,
            kind,
        )
        return False

    def _watch(self) -> bool:
        """Put an observer on the folder; False when that is not possible now.

        The folder is opened first: watchdog takes one it may not read (EACCES) without a word.
        That it is missing or not readable is for the scan to say, so it is not said here as well.
        """
        try:
            os.scandir(self._folder).close()
            status = os.stat(self._folder)
        except OSError as error:
            self._polling_reason = _reason(error)
            return False
        try:
            self._observer = self._observer_factory()
            # inotify follows no symbolic link here, hence the real path.
            self._observer.schedule(
                self._handler, os.path.realpath(self._folder), recursive=False, event_filter=EVENTS
            )
            self._observer.start()
        except (OSError, RuntimeError) as error:
            self._discard()
            self._note_refusal(_reason(error))
            return False
        if self._refused is not None:
            log.info("file events of %s work again", self._where)
        self._refused = self._polling_reason = None
        self._watched = (status.st_dev, status.st_ino)
        return True

    def _note_refusal(self, reason: str) -> None:
        self._polling_reason = reason
        if self._refused == reason:
            return
        self._refused = reason
        log.warning(
            "no file events for %s (%s): new stubs are found by the scan every rescanIntervalMs."
            " If a limit is reached, raise fs.inotify.max_user_watches or"
            " fs.inotify.max_user_instances (sysctl)",
            self._where,
            reason,
        )

    def _is_sound(self) -> bool:
        """An emitter ends by itself when its folder is deleted, and a new folder may get the old
        inode."""
        observer = self._observer
        if observer is None or not observer.is_alive() or not observer.emitters:
            return False
        if not all(emitter.is_alive() for emitter in observer.emitters):
            return False
        try:
            status = os.stat(self._folder)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._watched

    def _discard(self) -> None:
        observer, self._observer = self._observer, None
        if observer is None:
            return
        try:
            observer.stop()
        except Exception:
            log.exception("watchdog did not stop cleanly; going on")
        with contextlib.suppress(RuntimeError):  # it was never started
            observer.join(_JOIN_SECONDS)

    @property
    def _where(self) -> str:
        return for_log(str(self._folder))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
