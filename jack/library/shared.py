"""The words of this room: a shared file, where shared files come from, and opening one safely."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Protocol

from jack.model import Release
from jack.support.files import is_media, shown

log = logging.getLogger(__name__)

_ROOT_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER_FLAGS = _ROOT_FLAGS | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO that was put in a file's place would wait for a writer for ever.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_NO_NAMES = frozenset({"", ".", ".."})

_LAST_SECOND = int(datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp())


@dataclass(frozen=True)
class Shared:
    """One release and its file: `relative` to `root`, outside of which nothing is served."""

    release: Release
    root: Path
    relative: PurePath


class Source(Protocol):
    """A folder that has files to share; `connector_id` is the first part of its release ids."""

    folder: Path
    connector_id: str

    @property
    def name(self) -> str:
        """For log lines."""

    def scan(self) -> Iterable[Shared]:
        """Everything shared right now. Raises OSError or JackError when it cannot be looked at."""


@dataclass(frozen=True)
class OpenFile:
    """An open regular file, ready to be sent; whoever holds it closes `descriptor`."""

    descriptor: int
    filename: str
    size: int
    etag: str
    modified: datetime
    modified_ns: int
    device: int = 0
    """The number of the file system it lies on."""

    def close(self) -> None:
        os.close(self.descriptor)


Inode = tuple[int, int]
"""Device and number: one file, whatever its names are."""


def inodes(paths: Iterable[Path]) -> frozenset[Inode]:
    """The files that are there now, links followed."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def open_shared(
    roots: Sequence[str], path: str, own: frozenset[Inode] = frozenset()
) -> OpenFile | None:
    """Open the file as it is now; None when it is gone, no regular file, in none of `roots`, or one
    of `own`, which is not even opened.
    """
    try:
        descriptor = _open_plain(roots, path, own)
        if descriptor is None:
            descriptor = _open_resolved(roots, path, own)
    except (OSError, ValueError) as error:
        log.debug("cannot open %s: %s", shown(path), error)
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return OpenFile(
        descriptor=descriptor,
        filename=os.path.basename(path),
        size=status.st_size,
        etag=etag_of(status),
        modified=_moment(status.st_mtime),
        modified_ns=status.st_mtime_ns,
        device=status.st_dev,
    )


def etag_of(status: os.stat_result) -> str:
    """A strong entity tag (RFC 9110, 8.8.3): replaced, grown or rewritten files get another one."""
    version = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    return f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 UTC with a `Z`, the form JavaScript peers write."""
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(seconds: float) -> datetime:
    """File systems hold times no calendar has (a wild mtime must not hide the file): cut to fit."""
    return datetime.fromtimestamp(min(max(int(seconds), 0), _LAST_SECOND), timezone.utc)


def _open_plain(roots: Sequence[str], path: str, own: frozenset[Inode]) -> int | None:
    """For nearly all: `path` is below a root as it is written, and no link is on the way."""
    for root in roots:
        below = path.removeprefix(root.rstrip("/") + "/")
        parts = below.split("/")
        if below != path and not _NO_NAMES.intersection(parts):
            with contextlib.suppress(OSError):
                return _walk(root, parts, own)
    return None


def _open_resolved(roots: Sequence[str], path: str, own: frozenset[Inode]) -> int:
    """Follow links as long as they end at a media file below a root, and not at jack's own state or
    at half a download: a component that is swapped for a link after that makes the open fail
    instead of escaping.
    """
    for root in roots:
        real_root = os.path.realpath(root)
        inside = os.path.relpath(os.path.realpath(os.path.join(real_root, path)), real_root)
        parts = inside.split("/")
        if not _NO_NAMES.intersection(parts) and is_media(inside):
            return _walk(real_root, parts, own)
    raise FileNotFoundError(errno.ENOENT, "in none of the shared folders")


def _walk(root: str, parts: Sequence[str], own: frozenset[Inode]) -> int:
    """Open `parts`, one below the other, without following a link.

    A hard link of jack's database is recognised before it is opened: closing any descriptor of a
    file drops all locks this process has on it (fcntl(2)), those of SQLite too.
    """
    folder = os.open(root, _ROOT_FLAGS)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = below
        status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        if (status.st_dev, status.st_ino) in own:
            raise PermissionError(errno.EACCES, "this is a file of jack's own")
        return os.open(parts[-1], _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
