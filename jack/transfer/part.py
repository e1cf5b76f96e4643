"""The growing file beside its destination, and what becomes of it: all a transfer does to the disk.

Every OSError in here is the local disk's doing and leaves as StorageError, NoSpace or
PermanentError.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from jack.errors import NameTaken, NoSpace, PermanentError, Shortage, StorageError
from jack.support.files import fsync_directory, rename_new, same_file
from jack.support.own import Maker, hold
from jack.support.shortage import as_shortage

log = logging.getLogger(__name__)

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_A_PLAIN_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EMLINK}
WORTH_DROPPING_BYTES = 8 * 1024 * 1024
_NO_UNNAMED_FILES = {
    *(errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS),
    *(errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EACCES),
}
_NO_MODES = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the disk raises in the block into jack's errors; `doing` completes "cannot ..."."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        if error.errno in _NO_SPACE:
            raise NoSpace(f"cannot {doing}: {why}") from error
        if error.errno == errno.EFBIG:
            raise PermanentError(
                f"cannot {doing}: {why}; this file system or a limit of this process does not allow"
                " files that big"
            ) from error
        kind = StorageError if as_shortage(error) is None else Shortage
        raise kind(f"cannot {doing}: {why}") from error


class Part:
    """The `.part` at `path` of the file that will be `dest`; a context manager that closes it.

    Only ever the plain file that this download made, with no other name: what else stands in its
    place is left alone.
    """

    def __init__(self, path: Path, dest: Path, file_mode: int, maker: Maker) -> None:
        self.path = path
        self._maker = maker
        self._dest = dest
        self._file_mode = file_mode
        self._descriptor: int | None = None
        self._name_is_safe = True
        self.end = 0
        """Bytes [0, end) have been written, durable or not."""
        self._uncached = 0

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):  # everything that counts was synced before
                os.close(descriptor)

    @property
    def descriptor(self) -> int:
        """The open file. Only between `open` or `create` and the end of the `with` block."""
        if self._descriptor is None:
            raise ValueError("the .part is not open")
        return self._descriptor

    def already_delivered(self, size: int | None) -> bool:
        """Whether an earlier attempt got as far as giving the whole file, of `size` bytes, its
        final name. Tidies up what a crash in that moment left behind.

        Raises NameTaken when something else has that name.
        """
        if not os.path.lexists(self._dest):
            return False
        with disk_errors(f"look at {self._dest}"):
            status = os.lstat(self._dest)
            linked = same_file(self.path, self._dest)
            if size is None or not self._maker.delivered(self._dest, status, size):
                raise self._name_taken()
            if not (linked or self._maker.knows(status)) and os.path.lexists(self.path):
                raise self._name_taken()
            if linked:
                fsync_directory(self._dest.parent)
                os.unlink(self.path)
            fsync_directory(self._dest.parent)
        return True

    def open(self) -> int | None:
        """Open what is there, without changing it; its length in bytes, None when there is nothing.
        Raises NameTaken when this download did not make it.

        O_NONBLOCK because opening a FIFO would wait for its other end.
        """
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with disk_errors(f"open {self.path}"):
            try:
                descriptor = os.open(self.path, flags)
            except OSError as error:
                if error.errno in _NOT_A_PLAIN_FILE:
                    raise self._not_ours() from error
                if error.errno == errno.ENOENT and self.path.parent.is_dir():
                    return None
                raise  # also for a missing folder: a disk that is not mounted has lost nothing
            self._descriptor = descriptor
            status = os.fstat(descriptor)
            if not self._maker.made(self.path, status):
                raise self._not_ours()
            os.set_blocking(descriptor, True)
            self._hold(descriptor)
            if status.st_nlink > 1:
                raise StorageError(
                    f"{self.path} has a second name (a hard link), which would change with it:"
                    " remove one of the two"
                )
        return status.st_size

    @property
    def inode(self) -> int:
        """Of the open file."""
        return os.fstat(self.descriptor).st_ino

    def cut(self, offset: int) -> None:
        """Writing goes on at `offset`; what an existing file has behind that is dropped. Bytes
        behind the recorded offset prove nothing: a power cut may have left zeros."""
        self.end = offset
        if offset == 0:  # no checkpoint has vouched for the name either
            self._name_is_safe = False
        if self._descriptor is None:
            return
        with disk_errors(f"write {self.path}"):
            if os.fstat(self._descriptor).st_size > offset:
                os.ftruncate(self._descriptor, offset)

    def create(self, record: Callable[[int], None]) -> None:
        """Make an empty file, unless one is open already; `record` its inode before it can be
        mistaken for anybody else's. Raises NameTaken when the name is.

        Without a name until it is on record, where the file system has such files (open(2),
        O_TMPFILE): a kill in between leaves nothing behind. Elsewhere it leaves an empty file that
        nobody knows, and the next attempt takes another name.
        """
        if self._descriptor is not None:
            return
        self._name_is_safe = False
        with disk_errors(f"write {self.path}"):
            try:
                if not self._create_unnamed(record):
                    self._create_named(record)
            except FileExistsError as error:
                raise self._not_ours() from error

    def _create_unnamed(self, record: Callable[[int], None]) -> bool:
        """False where there is no such thing."""
        flag = getattr(os, "O_TMPFILE", None)
        if flag is None:
            return False
        folder = self.path.parent
        try:
            descriptor = os.open(folder, os.O_RDWR | os.O_CLOEXEC | flag, self._file_mode)
        except OSError as error:
            if error.errno in _NO_UNNAMED_FILES:
                return False
            raise
        try:
            inode = os.fstat(descriptor).st_ino
            record(inode)
            # With a folder's descriptor CPython calls linkat(2), which alone can follow this link.
            os.link(f"/proc/self/fd/{descriptor}", self.path, src_dir_fd=descriptor)
        except OSError as error:
            if error.errno not in _NO_UNNAMED_FILES:
                raise
            return False
        finally:
            os.close(descriptor)
        # Opened anew: to the system the first descriptor has no name for ever.
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._hold(self._descriptor)
        if self.inode != inode:
            raise self._not_ours()
        return True

    def _create_named(self, record: Callable[[int], None]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, self._file_mode)
        self._hold(self._descriptor)
        record(self.inode)

    def _hold(self, descriptor: int) -> None:
        """Claims keep two downloads of one name apart; this keeps those apart that they cannot."""
        try:
            free = hold(descriptor)
        except OSError as error:
            log.debug("%s cannot be locked (%s); going on", self.path, error.strerror)
            return
        if not free:
            raise StorageError(
                f"{self.path} is being written by another download, or by another jack"
            )

    def append(self, data: memoryview) -> None:
        """Write all of `data` at `end`. What was written before an error counts."""
        with disk_errors(f"write {self.path}"):
            while data:
                written = os.pwrite(self.descriptor, data, self.end)
                self.end += written
                data = data[written:]

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, which have been written before."""
        with disk_errors(f"read {self.path}"):
            data = os.pread(self.descriptor, size, offset)
        if len(data) != size:
            raise StorageError(f"{self.path} was cut by somebody else while it grew")
        return data

    def open_direct(self, stack: contextlib.ExitStack) -> int | None:
        """A second descriptor of the open file that passes by the page cache, closed by `stack`;
        None where there is no such thing (not Linux, or a file system without it)."""
        flag = getattr(os, "O_DIRECT", None)
        if flag is None:
            return None
        try:
            direct = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flag)
        except OSError:
            return None
        stack.callback(os.close, direct)
        with disk_errors(f"look at {self.path}"):
            same = os.path.sameopenfile(direct, self.descriptor)
        return direct if same else None

    def write_direct(self, direct: int, block: memoryview, offset: int) -> None:
        """Write an aligned block at `offset`, at or before `end`. What the file system does not
        take that way goes the ordinary one. What was written before an error counts."""
        with disk_errors(f"write {self.path}"):
            try:
                while block:
                    written = os.pwrite(direct, block, offset)
                    offset += written
                    self.end = max(self.end, offset)
                    block = block[written:]
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self.append(block[self.end - offset :])

    def sync(self) -> None:
        """Put every byte written so far on the disk, and the name of a new file with them.

        Once this has failed, the kernel may have dropped the bytes and call the next sync a
        success: whoever gets StorageError must not sync again.
        """
        end = self.end
        with disk_errors(f"sync {self.path}"):
            os.fsync(self.descriptor)
            if os.fstat(self.descriptor).st_size < end:
                raise StorageError(f"{self.path} was cut by somebody else while it grew")
        if not self._name_is_safe:
            fsync_directory(self.path.parent)
            self._name_is_safe = True
        self._leave_cache(end)

    def _leave_cache(self, end: int) -> None:
        """A film as large as all memory must not push out what others of this machine read."""
        if end - self._uncached < WORTH_DROPPING_BYTES or not hasattr(os, "posix_fadvise"):
            return
        with contextlib.suppress(OSError):  # only advice
            os.posix_fadvise(
                self.descriptor, self._uncached, end - self._uncached, os.POSIX_FADV_DONTNEED
            )
        self._uncached = end

    def deliver(self, size: int) -> None:
        """Give the synced file of `size` bytes its final name, durably. Never replaces what has
        that name: NameTaken then."""
        with disk_errors(f"look at {self.path}"):
            found = os.fstat(self.descriptor).st_size
        if found != size:
            raise StorageError(f"{self.path} has {found} bytes instead of {size}")
        try:
            os.fchmod(self.descriptor, self._file_mode)
        except OSError as error:
            if error.errno not in _NO_MODES:
                raise StorageError(
                    f"cannot set the mode of {self.path}: {error.strerror}"
                ) from error
            log.debug("%s keeps its mode (%s)", self.path, error.strerror)
        with disk_errors(f"rename {self.path}"):
            try:
                rename_new(self.path, self._dest)
            except FileExistsError as error:
                raise self._name_taken() from error

    def _name_taken(self) -> NameTaken:
        return NameTaken(
            f"{self._dest} exists already and is not this download's; jack overwrites nothing:"
            " move it away, then retry"
        )

    def _not_ours(self) -> NameTaken:
        return NameTaken(
            f"{self.path} is not a plain file that this download made (somebody else's, a link,"
            " folder or pipe, or one whose name differs in case only); jack leaves it alone: move"
            " it away, then retry"
        )
