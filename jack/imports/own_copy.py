"""Our own copy of a file that is in a library: when it may go."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from jack.errors import StorageError
from jack.model import Download
from jack.support.aside import aside_of, put_back
from jack.support.files import is_listed, printable
from jack.support.own import remove_own

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """What is on record of a file under its final name: no other file is taken for it."""

    inode: int | None
    size: int | None

    def made(self, path: Path, status: os.stat_result) -> bool:
        """See `Made`."""
        is_it = stat.S_ISREG(status.st_mode) and status.st_ino == self.inode
        return is_it and status.st_size == self.size and is_listed(path)


def remove_own_copy(
    download: Download, folder: Path, libraries: Collection[Path | None], needed: bool
) -> bool:
    """Remove the file of an imported download, if it still stands; whether it went.

    Only the very file that was finished goes (inode and size), only from `folder` itself, not when
    it is `needed` by another download, and never the last name of what is in a library: `libraries`
    is where the servers have put it, in our view; None where one did not say.
    """
    path, name = download.dest_path, printable(str(download.dest_path))
    try:
        put_back(aside_of(path), path)  # a crash came in the middle
        if not os.path.lexists(path):
            return False
        reason = _why_it_stays(path, folder, libraries, needed)
        if reason is None:
            finished = Finished(download.finished_inode, download.expected_bytes)
            reason = remove_own(path, finished, may_be_linked=True)
    except (OSError, StorageError) as error:
        log.warning("download %d: removing our copy failed: %s", download.id, error)
        return False
    if reason is not None:
        log.warning("download %d: %s stays: %s", download.id, name, reason)
        return False
    log.info("download %d: imported, our copy %s is removed", download.id, name)
    return True


def _why_it_stays(
    path: Path, folder: Path, libraries: Collection[Path | None], needed: bool
) -> str | None:
    if path.parent != folder:
        return "it does not lie in completedPath"
    if needed:
        return "another download of the same file is not imported yet"
    status = os.lstat(path)
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
