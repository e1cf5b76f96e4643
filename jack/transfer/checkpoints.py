"""Recorded progress: bytes first go to the disk, then their number into the row. Beside the
reading."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jack.errors import StorageError
from jack.support.clock import Clock
from jack.support.threads import start


@dataclass(frozen=True)
class Rhythm:
    """A checkpoint is due after so many bytes or so many seconds, whichever comes first."""

    every_bytes: int
    every_seconds: float


class Checkpoints:
    """The durable offset of one running body.

    One helper thread syncs while the reader goes on; there are never two syncs at once. What is
    recorded is what had been written before that sync began. After the first failure nothing is
    synced or recorded any more: a failed fsync may have dropped bytes that a later one would call
    safe. `on_failure` is then called from the helper, so that a reader who waits for the network
    learns of it at once; `check` and `finish` raise the error itself.
    """

    def __init__(
        self,
        sync: Callable[[], None],
        record: Callable[[int], None],
        rhythm: Rhythm,
        clock: Clock,
        offset: int,
        on_failure: Callable[[StorageError], None],
    ) -> None:
        self._sync = sync
        self._record = record
        self._rhythm = rhythm
        self._clock = clock
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._written = offset
        self._durable = offset
        self._unsynced_since: float | None = None
        self._failure: BaseException | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def durable(self) -> int:
        """Bytes [0, durable) are on the disk and recorded."""
        return self._durable

    def wrote(self, offset: int) -> None:
        """Bytes [0, offset) have been written. Raises what the last sync or its record failed
        with."""
        self.check()
        if self._thread is None:
            thread = threading.Thread(target=self._loop, name="checkpoints", daemon=True)
            start(thread)
            self._thread = thread
        with self._changed:
            self._written = offset
            first = self._unsynced_since is None
            if first:
                self._unsynced_since = self._clock.monotonic()
            if first or offset - self._durable >= self._rhythm.every_bytes:
                self._changed.notify()

    def check(self) -> None:
        """Raise what the last sync or its record failed with."""
        if self._failure is not None:
            raise self._failure

    def finish(self, offset: int) -> None:
        """Stop the helper; then, unless something failed before, make [0, offset) durable and
        record it.

        Raises what failed. Waits for a sync that is under way: its outcome decides.
        """
        self.close()
        self.check()
        self._written = offset
        if offset != self._durable:
            self._checkpoint()
            self.check()

    def close(self) -> None:
        """Stop the helper without another sync. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        while self._wait_until_due() and self._failure is None:
            self._checkpoint()

    def _wait_until_due(self) -> bool:
        with self._changed:
            while not self._closing:
                wait = self._seconds_left()
                if wait is not None and wait <= 0:
                    return True
                self._changed.wait(wait)
        return False

    def _seconds_left(self) -> float | None:
        if self._unsynced_since is None:
            return None
        if self._written - self._durable >= self._rhythm.every_bytes:
            return 0.0
        return self._unsynced_since + self._rhythm.every_seconds - self._clock.monotonic()

    def _checkpoint(self) -> None:
        with self._changed:
            offset = self._written
            self._unsynced_since = None
        try:
            self._sync()
            self._record(offset)
        except Exception as error:  # noqa: BLE001 - handed to the reading thread
            self._failure = error
            self._on_failure(StorageError(f"a checkpoint failed: {error}"))
            return
        with self._changed:
            self._durable = offset
