"""Where received bytes wait for the disk: written one by one, or in big blocks past the page cache.

Past the page cache (O_DIRECT, open(2)) the disk fetches the bytes from the very buffer the socket
filled: the kernel neither copies them once more nor keeps, ages and flushes pages for them. That is
most of what a download costs a small machine, and it leaves the cache to those who read from it.
"""

from __future__ import annotations

import contextlib
import mmap
import queue
import threading
from collections.abc import Iterator
from typing import Protocol

from jack.support.clock import Clock
from jack.support.threads import start
from jack.transfer.part import Part

MAX_BLOCK_BYTES = 2 * 1024 * 1024
"""One write past the page cache. Larger ones cost little less; two belong to a transfer."""
MIN_BLOCK_BYTES = 256 * 1024
ALL_BLOCKS_BYTES = 12 * 1024 * 1024
"""What all transfers that may run at once take together, if they are not many."""
WORTH_BLOCKS_BYTES = 8 * 1024 * 1024
"""What is shorter is over before blocks and their thread pay."""
WORTH_CHECKPOINT_BYTES = 32 * 1024 * 1024
"""Blocks wait to be full, so they are for checkpoints that are much longer."""
ALIGNMENT_BYTES = 4096
"""Of memory, offset and length: the largest that disks of today ask for."""
LINGER_SECONDS = 0.5
"""So long a block may fill while a slow peer keeps it waiting."""
_ROOM_BYTES = 256 * 1024


class Sink(Protocol):
    """Takes a body in order, from the offset on at which the part stood."""

    @property
    def end(self) -> int:
        """Bytes [0, end) have been taken; `Part.end` tells how many of them were written."""

    @property
    def due_seconds(self) -> float | None:
        """When `flush` is due because bytes have waited for long; None when none wait."""

    def room(self, limit: int) -> memoryview:
        """Where the next bytes go: at least one byte, at most `limit`."""

    def put(self, size: int) -> None:
        """`size` bytes were placed in `room`. Raises StorageError and its like."""

    def append(self, data: memoryview) -> None:
        """Take bytes that lie elsewhere. Raises like `put`."""

    def flush(self) -> None:
        """Write everything taken so far. Raises like `put`."""


def block_bytes(transfers: int) -> int:
    """How long the blocks of each of so many transfers at once are."""
    share = ALL_BLOCKS_BYTES // (2 * transfers)
    return max(MIN_BLOCK_BYTES, min(MAX_BLOCK_BYTES, share - share % ALIGNMENT_BYTES))


@contextlib.contextmanager
def open_sink(
    part: Part, size: int, checkpoint_bytes: int, length: int, clock: Clock
) -> Iterator[Sink]:
    """The cheapest sink for `size` more bytes of `part`, with blocks of `length` where they pay;
    all is written when the `with` block ends, however it ends.
    """
    if size < WORTH_BLOCKS_BYTES or checkpoint_bytes < WORTH_CHECKPOINT_BYTES:
        yield Plain(part, size)
        return
    with contextlib.ExitStack() as stack:
        descriptor = part.open_direct(stack)
        if descriptor is None:
            yield Plain(part, size)
            return
        sink = Blocks.started(part, descriptor, length, clock, stack)
        try:
            yield sink
        finally:
            sink.flush()


class Plain:
    """Writes what it is given at once."""

    def __init__(self, part: Part, size: int) -> None:
        self._part = part
        self._size = min(size, _ROOM_BYTES)
        self._view: memoryview | None = None

    @property
    def end(self) -> int:
        return self._part.end

    @property
    def due_seconds(self) -> float | None:
        return None

    def room(self, limit: int) -> memoryview:
        if self._view is None:
            self._view = memoryview(bytearray(self._size))
        return self._view[:limit]

    def put(self, size: int) -> None:
        if size:
            self.append(self.room(size))

    def append(self, data: memoryview) -> None:
        self._part.append(data)

    def flush(self) -> None:
        """Nothing ever waits."""


class Blocks:
    """Fills one aligned block while a thread writes the other.

    A block begins at an aligned offset of the file. The bytes between that and where the file ends
    so far (after a resume, or after a flush) lead the block and are written once more as they are.
    What is to be written before a block is full goes the ordinary way.
    """

    def __init__(self, part: Part, descriptor: int, size: int, clock: Clock) -> None:
        self._size = size
        self._part = part
        self._descriptor = descriptor
        self._clock = clock
        self._block = memoryview(mmap.mmap(-1, size))
        self._base = part.end - part.end % ALIGNMENT_BYTES
        self._filled = part.end - self._base
        self._waiting_since: float | None = None
        self._free = queue.SimpleQueue[memoryview]()
        self._full = queue.SimpleQueue["tuple[memoryview, int] | None"]()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="blocks", daemon=True)
        self._free.put(memoryview(mmap.mmap(-1, size)))
        self._block[: self._filled] = part.read(self._base, self._filled)

    @classmethod
    def started(
        cls, part: Part, descriptor: int, size: int, clock: Clock, stack: contextlib.ExitStack
    ) -> Blocks:
        """A sink whose thread ends with `stack`. Raises NoThread."""
        sink = cls(part, descriptor, size, clock)
        start(sink._thread)
        stack.callback(sink._stop)
        return sink

    @property
    def end(self) -> int:
        return self._base + self._filled

    @property
    def due_seconds(self) -> float | None:
        if self._waiting_since is None:
            return None
        return max(0.0, self._waiting_since + LINGER_SECONDS - self._clock.monotonic())

    def room(self, limit: int) -> memoryview:
        return self._block[self._filled : self._filled + limit]

    def put(self, size: int) -> None:
        self._filled += size
        if self._filled == self._size:
            self._hand_over()
        elif size and self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()

    def append(self, data: memoryview) -> None:
        while data:
            room = self.room(len(data))
            room[:] = data[: len(room)]
            self.put(len(room))
            data = data[len(room) :]

    def flush(self) -> None:
        self._free.put(self._free.get())  # the other block has been written
        self._check()
        tail = self.end % ALIGNMENT_BYTES
        self._part.append(self._block[self._part.end - self._base : self._filled])
        self._block[:tail] = self._block[self._filled - tail : self._filled]
        self._base, self._filled = self.end - tail, tail
        self._waiting_since = None

    def _hand_over(self) -> None:
        self._full.put((self._block, self._base))
        self._base, self._filled = self.end, 0
        self._block = self._free.get()
        self._waiting_since = None
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        """The thread. After a failure nothing is written any more: it would leave a hole."""
        while (full := self._full.get()) is not None:
            block, offset = full
            try:
                if self._failure is None:
                    self._part.write_direct(self._descriptor, block, offset)
            except Exception as error:  # noqa: BLE001 - handed to the reading thread
                self._failure = error
            self._free.put(block)

    def _stop(self) -> None:
        self._full.put(None)
        self._thread.join()
