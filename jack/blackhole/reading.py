"""Reading a file that somebody else may be writing, or that may not be a file at all."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from jack.blackhole.stub import MAX_STUB_BYTES


@dataclass(frozen=True)
class Snapshot:
    """What a file held at one moment."""

    data: bytes
    """At most one byte more than MAX_STUB_BYTES."""
    fingerprint: str
    mark: int
    modified_seconds: float
    """Its mtime, in seconds since the epoch, by the clock of the file server."""
    steady: bool
    """False when the file changed while it was read: `data` may be a mixture."""

    @property
    def too_large(self) -> bool:
        return len(self.data) > MAX_STUB_BYTES


def fingerprint(status: os.stat_result) -> str:
    """Tells one content of a name from the next without reading it, as far as mtime is fine
    enough."""
    return f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"


def mark_of(what: object) -> int:
    """A number that stands for a content as long as this process runs: of a stat for what its
    fingerprint says. Below 2^60, as Python keeps such an int in 32 bytes.
    """
    if isinstance(what, os.stat_result):
        what = (what.st_ino, what.st_mtime_ns, what.st_size)
    return hash(what) & ((1 << 60) - 1)


def snapshot(path: str | Path) -> Snapshot | None:
    """Read a regular file (a symbolic link is followed), or None for anything else. Raises OSError.

    O_NONBLOCK: opening a FIFO that replaced the file meanwhile must not hang the thread.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return None
        data = _read_up_to(descriptor, MAX_STUB_BYTES + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    mark = mark_of(after)
    return Snapshot(
        data, fingerprint(after), mark, after.st_mtime_ns / 1e9, steady=mark == mark_of(before)
    )


def _read_up_to(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    missing = limit
    while missing > 0:
        part = os.read(descriptor, min(missing, 65536))
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
