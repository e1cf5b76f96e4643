"""One jack per state folder: an advisory lock that the kernel drops when the process dies, however
it dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from jack.errors import AlreadyRunning, StateError
from jack.store.private import PRIVATE_FOLDER, open_private, whose
from jack.support.files import make_folders

FILE_NAME = "jack.lock"


class StateLock:
    """Holds `<folder>/jack.lock` from `acquire` to `release`; the file's text is our pid."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises AlreadyRunning naming the holder, or StateError when the folder cannot hold a
        lock.
        """
        try:
            make_folders(self.path.parent, PRIVATE_FOLDER)
            descriptor = open_private(self.path, os.O_NOFOLLOW)
        except OSError as error:
            others = whose([self.path.parent, self.path])
            raise StateError(
                f"cannot create {self.path}: {error.strerror}; jack runs as uid {os.getuid()},"
                f" give it a statePath it can write to{f' ({others})' if others else ''}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                raise AlreadyRunning(
                    f"another jack (pid {holder or 'unknown'}) already uses {self.path.parent};"
                    " stop it first, or give this one a statePath of its own"
                ) from error
            raise StateError(
                f"{self.path.parent} does not support locks ({error.strerror});"
                " put statePath on a local file system"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two different files of that
        name.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
