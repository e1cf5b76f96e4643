"""What becomes of a stub whose download has settled: removed, or parked in `failed/`.

The name alone proves nothing: Radarr and Sonarr write a newer grab of the same title over the old
stub. So the content is read again each time, and only a stub that still says the same is touched.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jack.blackhole.names import for_log
from jack.blackhole.reading import fingerprint, snapshot
from jack.blackhole.stub import read_stub
from jack.errors import StorageError
from jack.model import Stub
from jack.support.files import NAME_MAX_BYTES, fsync_directory, same_file

log = logging.getLogger(__name__)

FAILED_FOLDER: Final = "failed"
_MAX_COPIES: Final = 1000
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def remove_stub(path: Path, stub: Stub, *, is_news: bool = True) -> bool:
    """Remove `path` if it still holds `stub`. True when it holds it no longer, for whatever reason.

    False when it could not be removed, with a warning if that `is_news`. Not synced: a power cut
    may bring the stub back until the folder is.
    """
    try:
        if _still_holds(path, stub):
            os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "stub %s is done with but cannot be removed (%s): jack's user has to be able to"
            " delete in the watch folder",
            for_log(path.name),
            error.strerror,
        )
        return False
    return True


def park_failed_stub(path: Path, stub: Stub, *, is_news: bool = True) -> Path | None:
    """Move `path` to `failed/` beside it if it still holds `stub`, and return where it is now.

    Another file of that name is never replaced: the stub gets a number. None when the stub is not
    there (any more), or, with a warning, when it cannot be moved.
    """
    try:
        if not _still_holds(path, stub):
            return None
        return _move(path, stub, _failed_folder(path.parent))
    except FileNotFoundError:
        return None
    except OSError as error:
        log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "stub %s cannot be moved to %s/ (%s); it stays where it is",
            for_log(path.name),
            FAILED_FOLDER,
            error.strerror,
        )
        return None


def _failed_folder(watch: Path) -> Path:
    """`failed/`, made when there is none; a power cut must not take it with the stubs in it.

    A link of that name is not followed: it could lead anywhere.
    """
    folder = watch / FAILED_FOLDER
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(StorageError):
            fsync_directory(watch)
    return folder


def _move(path: Path, stub: Stub, folder: Path) -> Path:
    """One rename, not a link and an unlink: whoever sees the stub in `folder` may drop it again at
    once, and moving it onto its own second name would do nothing. Only jack writes to `folder`.
    """
    for target in _candidates(folder, path.name):
        if os.path.lexists(target) and not _still_holds(target, stub):
            continue
        if same_file(path, target):
            os.unlink(path)  # rename(2) does nothing between two links of one file
        else:
            os.replace(path, target)
        with contextlib.suppress(StorageError):  # undone by a power cut it is only moved again
            fsync_directory(folder)
        return target
    raise OSError(errno.EEXIST, "too many files of that name")


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    stem, suffix = os.path.splitext(name)
    yield folder / name
    for number in itertools.islice(itertools.count(2), _MAX_COPIES):
        ending = f" ({number}){suffix}"
        while len(os.fsencode(stem + ending)) > NAME_MAX_BYTES:
            stem = stem[:-1]
        yield folder / (stem + ending)


def _still_holds(path: Path, stub: Stub) -> bool:
    """Whether `path` says `stub`, and did not change since that was read. Raises OSError when
    unknown."""
    try:
        content = snapshot(path)
        if content is None or content.too_large or not content.steady:
            return False
        if read_stub(content.data) != stub:
            return False
        return fingerprint(os.stat(path)) == content.fingerprint
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
