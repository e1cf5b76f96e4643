"""What becomes of a stub whose download has settled: removed, or parked in `failed/`.

The name alone proves nothing: Radarr and Sonarr write a newer grab of the same title over the old
stub, at any moment. So only a stub that still says the same is touched: it gets a name that nobody
else writes to, is read once more there, and goes, or comes back if it is another one by now.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jack.blackhole.names import for_log
from jack.blackhole.reading import fingerprint, snapshot
from jack.blackhole.stub import read_stub
from jack.errors import StorageError
from jack.model import Stub
from jack.support.aside import ASIDE, aside_of, numbered, put_back
from jack.support.files import fsync_directory
from jack.support.own import hold

log = logging.getLogger(__name__)

FAILED_FOLDER: Final = "failed"
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def remove_stub(path: Path, stub: Stub, *, is_news: bool = True) -> bool:
    """Remove `path` if it still holds `stub`. True when it holds it no longer, for whatever reason.

    False when it could not be removed, with a warning if that `is_news`. Not synced: a power cut
    may bring the stub back until the folder is.
    """
    try:
        if _still_holds(path, stub):
            _remove(path, stub)
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


def _move(path: Path, stub: Stub, folder: Path) -> Path | None:
    """One rename, not a link and an unlink: whoever sees the stub in `folder` may drop it again at
    once. Only jack writes to `folder`. None when it was another stub by then.
    """
    for target in numbered(folder, path.name):
        if os.path.lexists(target):
            if not _still_holds(target, stub):
                continue
            if not _remove(path, stub):
                return None
        else:
            os.rename(path, target)
            if not _is_still(target, stub):
                put_back(target, path)
                return None
        with contextlib.suppress(StorageError):  # undone by a power cut it is only moved again
            fsync_directory(folder)
        return target
    raise OSError(errno.EEXIST, "too many files of that name")


def _remove(path: Path, stub: Stub) -> bool:
    """Aside, a last look, and gone. False when it was another stub by then, which is back."""
    aside = aside_of(path)
    if os.path.lexists(aside):
        put_back(aside, path)
    os.rename(path, aside)
    try:
        if _is_still(aside, stub):
            os.unlink(aside)
            return True
    except OSError:
        put_back(aside, path)
        raise
    put_back(aside, path)
    return False


def _is_still(path: Path, stub: Stub) -> bool:
    """Whether it says `stub`, and nobody is about to write into it: .NET, and so the *arr, locks a
    file before it empties it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system
            if not hold(descriptor):
                return False
        return _still_holds(path, stub)
    finally:
        os.close(descriptor)


def recover_stubs(watch: Path, is_done: Callable[[str, Stub], bool]) -> None:
    """After a crash in the middle of a removal: what lies aside goes if its download is complete,
    and comes back if not."""
    for folder in (watch, watch / FAILED_FOLDER):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(ASIDE):
                    _recover(folder / name, folder / name.removeprefix(ASIDE), is_done)


def _recover(aside: Path, path: Path, is_done: Callable[[str, Stub], bool]) -> None:
    content = snapshot(aside)
    stub = read_stub(content.data) if content is not None else None
    if isinstance(stub, Stub) and is_done(path.name, stub):
        os.unlink(aside)
    else:
        put_back(aside, path)


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
