"""One jack per state folder: an advisory lock that the kernel drops when the process dies, however
it dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

from jack.errors import AlreadyRunning, StateError
from jack.store.private import PRIVATE_FOLDER, open_private, whose
from jack.support.files import make_folders

FILE_NAME = "jack.lock"
_TAKEN = frozenset({errno.EAGAIN, errno.EACCES})
_TRIES = 10
_PAUSE_SECONDS = 0.03


class StateLock:
    """Holds `<folder>/jack.lock` from `acquire` to `release`; the file's text is our pid."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._descriptor: int | None = None

    def is_held(self) -> bool:
        """Whether another process holds it. Nothing is made or written for the question, and many
        may ask at the same time.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _TAKEN
        finally:
            os.close(descriptor)
        return False

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
            _lock(descriptor)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno in _TAKEN:
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


def _lock(descriptor: int) -> None:
    """Tried a few times: a command that asks `is_held` has it for a moment."""
    pause = threading.Event()
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _TAKEN or not left:
                raise
        pause.wait(_PAUSE_SECONDS)
