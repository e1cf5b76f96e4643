"""The files of the state folder: plain, ours, and nobody else's to read."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from jack.errors import StateError
from jack.support.files import printable

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


def open_private(path: Path, *more_flags: int) -> int:
    """Open `path` to read and write, made when there is none, 0600 from its first byte on; a file
    that others may read is closed to them. The caller closes the descriptor.

    Raises StateError for a pipe, a device or anything else that is no plain file, OSError when it
    cannot be opened. O_NONBLOCK: a pipe must not make jack wait for its other end.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    for flag in more_flags:
        flags |= flag
    descriptor = os.open(path, flags, PRIVATE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StateError(f"{printable(str(path))} is not a plain file: move it away")
        if stat.S_IMODE(status.st_mode) & ~PRIVATE:
            with contextlib.suppress(OSError):  # somebody else's, or a file system without modes
                os.fchmod(descriptor, PRIVATE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def whose(paths: Iterable[Path]) -> str:
    """Which of these files this process may not write, and to whom they belong: for a sentence that
    says what has to be changed. Empty when it may write all that exist.
    """
    troubles = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if not os.access(path, os.R_OK | os.W_OK):
                troubles.append(
                    f"{printable(str(path))} belongs to uid {status.st_uid}, gid {status.st_gid},"
                    f" mode {stat.S_IMODE(status.st_mode):04o}"
                )
    return "; ".join(troubles)
