"""The words of this room: a shared file, where shared files come from, and opening one safely."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Protocol

from jack.model import Release
from jack.support.files import shown

log = logging.getLogger(__name__)

_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that was put in a file's place would wait for a writer for ever.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

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

    def close(self) -> None:
        os.close(self.descriptor)


def open_shared(shared: Shared) -> OpenFile | None:
    """Open the file as it is now; None when it is gone, no regular file, or leads out of `root`.

    The resolved path is walked from the root one component at a time without following links, so a
    component swapped for a link after it was resolved makes the open fail instead of escaping.
    """
    try:
        descriptor = _open_beneath(shared.root, shared.relative)
    except (OSError, ValueError) as error:
        log.debug("cannot open %s: %s", shown(str(shared.relative)), error)
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return OpenFile(
        descriptor=descriptor,
        filename=shared.relative.name,
        size=status.st_size,
        etag=etag_of(status),
        modified=_moment(status.st_mtime),
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


def _open_beneath(root: Path, relative: PurePath) -> int:
    real_root = Path(os.path.realpath(root))
    inside = Path(os.path.realpath(real_root / relative)).relative_to(real_root)
    folder = os.open(real_root, _FOLDER_FLAGS)
    try:
        for part in inside.parts[:-1]:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(inside.name, _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
