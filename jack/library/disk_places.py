"""Who may wait for a disk. One that sleeps takes fifteen seconds to answer, a folder of a machine
that is gone takes for ever, and the threads that wait for it answer nobody else.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from jack.errors import TransientError
from jack.support.waits import DISK_PATIENCE_SECONDS, DISK_RETRY_SECONDS

PLACES = 5
"""Of the eight threads that answer: the rest is for what needs no disk."""
PLACES_PER_FOLDER = 3
"""So that a second disk is served while the first one hangs."""


class DiskPlaces:
    """Counts who waits for which folder. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._waiting: list[tuple[str, float]] = []
        """The folder and the moment of everybody inside."""

    @contextlib.contextmanager
    def wait_for(self, folder: str) -> Iterator[None]:
        """Hold a place while the block asks the disk of `folder`.

        Raises TransientError with a time to come back when all places are held by those who wait
        themselves.
        """
        with self._changed:
            while in_the_way := self._in_the_way(folder):
                newest = max(since for _, since in in_the_way)
                patience = newest + DISK_PATIENCE_SECONDS - self._monotonic()
                if patience <= 0:
                    raise TransientError("the disk does not answer", DISK_RETRY_SECONDS)
                self._changed.wait(patience)
            place = (folder, self._monotonic())
            self._waiting.append(place)
        try:
            yield
        finally:
            with self._changed:
                self._waiting.remove(place)
                self._changed.notify_all()

    def _in_the_way(self, folder: str) -> list[tuple[str, float]]:
        """Those of whom one must leave first; nobody when there is room."""
        same = [place for place in self._waiting if place[0] == folder]
        if len(same) >= PLACES_PER_FOLDER:
            return same
        return self._waiting if len(self._waiting) >= PLACES else []
