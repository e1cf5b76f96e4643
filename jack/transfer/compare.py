"""Bytes that lie on the disk already, sent once more and held against it: without a strong
validator nothing else tells that a peer still has the file of which we have the beginning."""

from __future__ import annotations

from jack.errors import TransientError
from jack.transfer.part import Part
from jack.transfer.sink import Sink

OVERLAP_BYTES = 1024 * 1024
"""So much before the offset is asked for again. A new file differs in there: films are compressed,
and no two of them share a stretch of that length."""
LEAST_OVERLAP_BYTES = 64 * 1024
_ROOM_BYTES = 256 * 1024


def overlap_bytes(fruitless: int) -> int:
    """How much is compared after so many attempts in a row that brought nothing new: a line that
    breaks before it has brought the whole overlap has to get on as well."""
    return max(LEAST_OVERLAP_BYTES, OVERLAP_BYTES >> min(fruitless, 20))


class OtherBytes(TransientError):
    """What the peer sends is not what lies on the disk: it has another file now."""


class Compared:
    """A sink that begins before the end of the part: it compares up to there, and what follows
    goes to `sink`."""

    def __init__(self, part: Part, sink: Sink, start: int) -> None:
        self._part = part
        self._sink = sink
        self._start = self._at = start
        self._until = part.end
        self._view = memoryview(bytearray(min(self._until - start, _ROOM_BYTES)))

    @property
    def end(self) -> int:
        return self._at if self._at < self._until else self._sink.end

    @property
    def due_seconds(self) -> float | None:
        return self._sink.due_seconds

    def room(self, limit: int) -> memoryview:
        if self._at < self._until:
            return self._view[: min(limit, self._until - self._at)]
        return self._sink.room(limit)

    def put(self, size: int) -> None:
        if self._at < self._until:
            self._compare(self._view[:size])
        else:
            self._sink.put(size)

    def append(self, data: memoryview) -> None:
        known = data[: max(0, self._until - self._at)]
        if known:
            self._compare(known)
        if len(known) < len(data):
            self._sink.append(data[len(known) :])

    def flush(self) -> None:
        self._sink.flush()

    def _compare(self, theirs: memoryview) -> None:
        if theirs != self._part.read(self._at, len(theirs)):
            raise OtherBytes(
                "the file at the peer has changed (between the bytes"
                f" {self._start} and {self._until} it is not what is on disk)"
            )
        self._at += len(theirs)
