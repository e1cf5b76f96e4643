"""Which file is the very one that a download made: what is asked before it is written or removed.

A name proves nothing: a person, or another jack in the same folder, may have a file of that name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jack.support.aside import aside_of, put_back
from jack.support.files import fsync_directory, is_listed
from jack.support.mounts import keeps_inodes

NOT_MADE = "it is not the file this download made"


class Made(Protocol):
    """What is on record of a file that a download made."""

    def made(self, path: Path, status: os.stat_result) -> bool:
        """Whether the file at `path`, which has that `status`, is the one."""


@dataclass(frozen=True)
class Maker:
    """What is on record of the `.part` that a download made. `inode` is None when it made none, or
    did so before jack kept inodes; `offset` bytes of it were synced."""

    inode: int | None
    offset: int

    def made(self, path: Path, status: os.stat_result) -> bool:
        """Whether the file at `path`, which has that `status`, is the one.

        Without a number to go by (a row of an older jack, or a file system that gives a file
        another one after each mount), what has its name is taken for it once bytes of it were
        synced, and never before.
        """
        if not stat.S_ISREG(status.st_mode) or not is_listed(path):
            return False
        if self.knows(status):
            return True
        by_number = self.inode is not None and keeps_inodes(path.parent)
        return not by_number and self.offset > 0

    def delivered(self, path: Path, status: os.stat_result, size: int) -> bool:
        """Whether that is the whole file of `size` bytes, under its final name, which it gets last
        of all. Without a number to go by all bytes must have been recorded before."""
        whole = status.st_size == size and (self.knows(status) or self.offset == size)
        return whole and self.made(path, status)

    def knows(self, status: os.stat_result) -> bool:
        """Whether its number is the one on record."""
        return self.inode == status.st_ino

    def finds(self, path: Path) -> bool:
        """The same of what has that name now; links are not followed."""
        with contextlib.suppress(OSError):
            return self.made(path, os.lstat(path))
        return False


def hold(descriptor: int) -> bool:
    """Lock a `.part` against all others: those whose names only the disk takes for one (letter
    case, forms of an accent), and another jack in the same folder. False when one of them has it.
    Raises OSError where files cannot be locked.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_own(path: Path, made: Made, *, may_be_linked: bool = False) -> str | None:
    """Remove the file at `path`, durably, when it is the one that was made, nobody is writing it,
    and this is its only name or it `may_be_linked`. None when it is gone, else why it stays.

    What comes in its place between the look and the removal is put back. Raises StorageError.
    """
    aside = aside_of(path)
    try:
        put_back(aside, path)  # left by a crash
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return None if error.errno == errno.ENOENT else "it is not a plain file jack may read"
    try:
        reason = _why_it_stays(path, descriptor, made, may_be_linked)
        if reason is None:
            os.rename(path, aside)
            if os.path.samestat(os.fstat(descriptor), os.lstat(aside)):
                os.unlink(aside)
            else:
                reason = NOT_MADE
                put_back(aside, path)
    except OSError as error:
        return f"it cannot be removed ({error.strerror})"
    finally:
        os.close(descriptor)
    if reason is None:
        fsync_directory(path.parent)
    return reason


def _why_it_stays(path: Path, descriptor: int, made: Made, may_be_linked: bool) -> str | None:
    with contextlib.suppress(OSError):  # no locks here: nobody else can have one
        if not hold(descriptor):
            return "it is being written by another download, or by another jack"
    named = os.lstat(path)
    same = os.path.samestat(os.fstat(descriptor), named)
    if not same or named.st_dev != os.stat(path.parent).st_dev or not made.made(path, named):
        return NOT_MADE
    return (
        "it has a second name (a hard link)" if named.st_nlink > 1 and not may_be_linked else None
    )
