"""Our own copy of a file that is in a library: when it may go."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection
from pathlib import Path

from jack.errors import StorageError
from jack.model import Download
from jack.support.files import fsync_directory, is_listed, printable

log = logging.getLogger(__name__)


def remove_own_copy(
    download: Download, folder: Path, libraries: Collection[Path | None], needed: bool
) -> bool:
    """Remove the file of an imported download, if it still stands; whether it went.

    Only the very file that was finished goes (inode and size), only from `folder` itself, not when
    it is `needed` by another download, and never the last name of what is in a library: `libraries`
    is where the servers have put it, in our view; None where one did not say.
    """
    path = download.dest_path
    if not os.path.lexists(path):
        return False
    reason = _why_it_stays(download, folder, libraries, needed)
    if reason is not None:
        log.warning("download %d: %s stays: %s", download.id, printable(str(path)), reason)
        return False
    try:
        os.unlink(path)
        fsync_directory(path.parent)
    except (OSError, StorageError) as error:
        log.warning("download %d: removing our copy failed: %s", download.id, error)
        return False
    log.info("download %d: imported, our copy %s is removed", download.id, printable(str(path)))
    return True


def _why_it_stays(
    download: Download, folder: Path, libraries: Collection[Path | None], needed: bool
) -> str | None:
    path = download.dest_path
    if path.parent != folder:
        return "it does not lie in completedPath"
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    found = (stat.S_ISREG(status.st_mode), status.st_ino, status.st_size)
    if found != (True, download.finished_inode, download.expected_bytes):
        return "it is not the file that jack finished"
    if not is_listed(path):
        return "its name is spelled another way on the disk"
    if needed:
        return "another download of the same file is not imported yet"
    reasons = (_why_only_copy(path, status, library) for library in libraries)
    return next(filter(None, reasons), None)


def _why_only_copy(path: Path, status: os.stat_result, library: Path | None) -> str | None:
    """Why the file at `path` may be all there is of what `library` names; None when that is a file,
    or at least a name, of its own, or where we cannot see.
    """
    if library is None:
        return None
    if library == path:
        return "it is the file of the library itself"
    try:
        theirs = os.lstat(library)
    except FileNotFoundError:
        if library.parent.is_dir():
            return f"the library has nothing at {printable(str(library))} (any more)"
        return None  # a folder that only the server can see
    except OSError:
        return None
    if not stat.S_ISREG(theirs.st_mode):
        return f"{printable(str(library))} in the library is no file of its own"
    if (theirs.st_dev, theirs.st_ino) == (status.st_dev, status.st_ino) and theirs.st_nlink < 2:
        return "it is the file of the library itself, by another way"
    return None
