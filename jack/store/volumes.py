"""Whether a folder of downloads is the one it was, or an empty one in its place.

A disk that is not mounted leaves its empty mount point behind. Taken for the real folder, every
download would start again from byte 0 and fill the system's disk. So jack remembers, per folder,
its inode and the mount point it was found on. Nothing is written into the folder itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from jack.errors import StorageError
from jack.model import Download, DownloadStatus
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.support.files import PART_SUFFIX, printable
from jack.support.mounts import mount_point

Identity = tuple[str, str | None]
"""Inode (text: some need all 64 bits) and mount point."""


class Volumes:
    """Compares folders with what is remembered of them; safe to use from any thread."""

    def __init__(
        self,
        downloads: Downloads,
        facts: Facts,
        mount_of: Callable[[Path], str | None] = mount_point,
    ) -> None:
        self._downloads = downloads
        self._facts = facts
        self._mount_of = mount_of
        self._seen: dict[Path, tuple[int, int]] = {}

    def check(self, folder: Path) -> str | None:
        """What is wrong with `folder`, as a sentence without a remedy; None when it is as it was,
        or may be taken as it is now, which is then remembered.

        One stat as long as nothing changes. Raises StorageError when the database does not answer.
        """
        try:
            status = os.stat(folder)
        except OSError:
            return None  # a folder that is not there at all says so by itself
        here = (status.st_dev, status.st_ino)
        if self._seen.get(folder) == here:
            return None
        problem = self.problem(folder)
        if problem is None:
            self.accept(folder)
        return problem

    def problem(self, folder: Path) -> str | None:
        """The same without remembering anything."""
        known, now = self._remembered(folder), self._identity(folder)
        if known is None or now is None or known[0] == now[0]:
            return None
        where = printable(str(folder))
        if known[1] and now[1] and known[1] != now[1] and not os.path.ismount(known[1]):
            return f"the disk of {where} is not mounted at {printable(known[1])}"
        if self._misses_everything(folder):
            return f"{where} is another folder than before, and what jack had in it is not there"
        return None

    def accept(self, folder: Path) -> None:
        """From now on the folder is right as it is."""
        identity = self._identity(folder)
        if identity is None:
            return
        if identity != self._remembered(folder):
            self._facts.put(_name(folder), json.dumps(identity))
        status = os.stat(folder)
        self._seen[folder] = (status.st_dev, status.st_ino)

    def knows(self, folder: Path) -> bool:
        """Whether downloads have been made in it before."""
        return self._remembered(folder) is not None

    def is_gone(self, path: Path) -> bool:
        """Whether a finished file was moved away, as far as its folder can be trusted to tell."""
        if os.path.lexists(path) or not path.parent.is_dir():
            return False
        try:
            return self.problem(path.parent) is None
        except StorageError:
            return False

    def unknown_parts(self, folder: Path) -> list[str]:
        """Names of `.part` files that belong to no download that could go on with them."""
        try:
            found = {name for name in os.listdir(folder) if name.endswith(PART_SUFFIX)}
        except OSError:
            return []
        return sorted(
            printable(name) for name in found if not self._downloads.may_go_on_with(folder / name)
        )

    def _remembered(self, folder: Path) -> Identity | None:
        text = self._facts.get(_name(folder))
        if text is None:
            return None
        inode, mount = json.loads(text)
        return inode, mount

    def _identity(self, folder: Path) -> Identity | None:
        try:
            return str(os.stat(folder).st_ino), self._mount_of(folder)
        except OSError:
            return None

    def _misses_everything(self, folder: Path) -> bool:
        """Whether files should be there and none is. One of them is proof enough."""
        expected = False
        for row in self._unfinished():
            if row.dest_path.parent == folder:
                if _has_left_something(row):
                    return False
                expected = True
        return expected

    def _unfinished(self) -> Iterator[Download]:
        yield from (row for row in self._downloads.live() if row.downloaded_bytes)
        yield from self._downloads.with_status(DownloadStatus.COMPLETED)


def _has_left_something(row: Download) -> bool:
    return os.path.lexists(row.dest_path) or (row.is_live and os.path.lexists(row.part_path))


def _name(folder: Path) -> str:
    return f"folder {printable(str(folder))}"
