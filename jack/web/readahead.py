"""Reading from disks that take their time, so that the loop which sends to everybody never does.

A NAS lets its disks sleep; the first byte then takes fifteen seconds, and a folder of another
machine may take for ever. One thread per device reads what is wanted into the system's cache.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from jack.library.shared import OpenFile

BLOCK_BYTES = 262_144
CAN_ASK = hasattr(os, "preadv") and hasattr(os, "RWF_NOWAIT")
_NOT_CACHED = frozenset({errno.EAGAIN, errno.EOPNOTSUPP})


@dataclass(frozen=True)
class _Want:
    descriptor: int
    start: int
    count: int
    done: Callable[[], None]


class ReadAhead:
    """Reads parts of files into the cache, the files of one device one after the other.

    Thread-safe. A device that hangs for good keeps one thread, which ends with the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[int, queue.SimpleQueue[_Want | None]] = {}
        self._threads: list[threading.Thread] = []
        self._is_stopped = False

    def want(self, file: OpenFile, start: int, count: int, done: Callable[[], None]) -> None:
        """Read `count` bytes from `start`, then call `done` in another thread; also when that
        failed, for whoever sends them finds out by itself. `file` may be closed meanwhile.
        """
        with self._lock:
            if not self._is_stopped:
                waiting = self._queue_of(file.device)
                waiting.put(_Want(os.dup(file.descriptor), start, count, done))

    def stop(self) -> None:
        """Read nothing more; when this returns, no `done` is called any more."""
        with self._lock:
            self._is_stopped = True
            for waiting in self._queues.values():
                waiting.put(None)

    def join(self, timeout_seconds: float) -> None:
        """After `stop`: wait for the threads."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _queue_of(self, device: int) -> queue.SimpleQueue[_Want | None]:
        waiting = self._queues.get(device)
        if waiting is None:
            waiting = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(waiting,), name=f"read-ahead-{device}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
            self._queues[device] = waiting
        return waiting

    def _work(self, waiting: queue.SimpleQueue[_Want | None]) -> None:
        while (wish := waiting.get()) is not None:
            if not self._is_stopped:
                _read(wish)
            os.close(wish.descriptor)
            with self._lock:
                if not self._is_stopped:
                    wish.done()


def is_cached(descriptor: int, start: int, count: int) -> bool:
    """Whether these bytes can very likely be sent without waiting for a disk. Where the file system
    cannot tell (folders of other machines) nothing is, where the system cannot tell everything is.
    """
    if not CAN_ASK:
        return True
    # Files are read from front to back, and the ends of a part tell about its middle.
    ends = (start + count - 1,) if count <= BLOCK_BYTES else (start + count - 1, start)
    try:
        return all(os.preadv(descriptor, [bytearray(1)], end, os.RWF_NOWAIT) >= 0 for end in ends)
    except OSError as error:
        return error.errno not in _NOT_CACHED


def _read(wish: _Want) -> None:
    buffer = memoryview(bytearray(min(BLOCK_BYTES, wish.count)))
    end = wish.start + wish.count
    position = wish.start
    with contextlib.suppress(OSError):
        while position < end and (
            got := os.preadv(wish.descriptor, [buffer[: end - position]], position)
        ):
            position += got
        # The next part comes from the disk while this one is sent.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(wish.descriptor, end, wish.count, os.POSIX_FADV_WILLNEED)
