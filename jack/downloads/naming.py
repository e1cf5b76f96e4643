"""Under which name a download arrives: the friend's own, or a second one when that is taken.

Nobody waits for a name: two releases that are called `movie.mkv` both arrive at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from jack.model import FINISHED, Download, Stub
from jack.store.downloads import Downloads
from jack.support.files import NAME_MAX_BYTES, PART_SUFFIX
from jack.support.own import Maker
from jack.transfer.ranges import is_strong

MOST_NAMES: Final = 10
"""The same item again and again, while all earlier copies still stand there."""


def names(filename: str, stub: Stub) -> Iterator[str]:
    """`movie.mkv`, `movie.0123abcd.mkv` after friend and item, then that with a number."""
    yield filename
    stem, extension = os.path.splitext(filename)
    text = f"{stub.peer_id}:{stub.item_id}".encode("utf-8", "surrogateescape")
    mark = hashlib.sha256(text).hexdigest()[:8]
    for number in range(1, MOST_NAMES):
        ending = f".{mark}{extension}" if number == 1 else f".{mark}.{number}{extension}"
        while len(os.fsencode(stem + ending + PART_SUFFIX)) > NAME_MAX_BYTES:
            stem = stem[:-1]
        yield stem + ending


def maker_of(download: Download) -> Maker:
    """What tells the `.part` of a download from all other files."""
    return Maker(download.part_inode, download.downloaded_bytes)


def may_share_a_name(download: Download, owner: Download) -> bool:
    """Whether both can go on, one of them under another name: not of one item, which is fetched
    once, nor when nothing tells whose the `.part` of that name is."""
    is_nobodys = download.downloaded_bytes > 0 and download.part_inode is None
    return owner.stub != download.stub and not is_nobodys


class Naming:
    """Chooses names, by what the disk and the rows have."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    def look(self, folder: Path, filename: str, stub: Stub) -> Mapping[Path, bool]:
        """Each name, and whether a new download of `stub` may have it as far as the disk says: it
        is free, or an earlier download of the very same has brought the file. At least the first
        two, and not more than is needed: the second one is nobody else's."""
        looked: dict[Path, bool] = {}
        for name in names(filename, stub):
            looked[folder / name] = self._is_free(folder / name, stub)
            if len(looked) > 1 and any(looked.values()):
                break
        return looked

    def choose(self, looked: Mapping[Path, bool], stub: Stub) -> tuple[Path, int | None]:
        """The first name to be had, and the download of the same item that is bringing this file
        already. To be run in the transaction that takes the name.

        When all are taken it is the last one: the download then says so.
        """
        owners = {dest: self._downloads.owned(dest) for dest in looked}
        for dest, owner in owners.items():
            if owner is not None and owner.stub == stub:
                return dest, owner.id
        free = [dest for dest, owner in owners.items() if owner is None]
        return next((dest for dest in free if looked[dest]), free[-1]), None

    def make_way(self, download: Download) -> bool:
        """Before a download that has ended goes on: it leaves its name to another one that has it
        now. False when it cannot. To be run in a transaction."""
        owner = self._downloads.owned(download.dest_path)
        if owner is None or owner.id == download.id:
            return True
        return may_share_a_name(download, owner) and self.move(download)

    def move(self, download: Download) -> bool:
        """Give a download another name, because something else has the one it wanted. Its own
        `.part` stays where it is and goes on growing; without one it starts at byte 0. False when
        there is no name left. To be run in a transaction."""
        keeps = maker_of(download).finds(download.part_path)
        folder = download.dest_path.parent
        for name in names(download.filename, download.stub):
            dest = folder / name
            is_free = dest != download.dest_path and not _is_there(dest)
            if is_free and self._downloads.move(download, dest, keeps):
                return True
        return False

    def _is_free(self, dest: Path, stub: Stub) -> bool:
        if not _is_there(dest):
            return True
        before = self._downloads.latest_for_destination(dest)
        return before is not None and before.stub == stub and may_be_adopted(before)


def may_be_adopted(before: Download) -> bool:
    """Whether the file that a finished download brought still stands, and its friend has named its
    version well enough to be asked about it."""
    if before.status not in FINISHED or not is_strong(before.validator.etag):
        return False
    brought = Maker(before.finished_inode, before.downloaded_bytes)
    with contextlib.suppress(OSError):
        status = os.lstat(before.dest_path)
        return brought.delivered(before.dest_path, status, before.downloaded_bytes)
    return False


def _is_there(dest: Path) -> bool:
    part = dest.with_name(dest.name + PART_SUFFIX)
    return os.path.lexists(dest) or os.path.lexists(part)
