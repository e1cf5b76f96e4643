"""What the end of a download does to the files around it: its stub, and after a cancel its
`.part`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from pathlib import Path

from jack.blackhole.disposal import (
    FAILED_FOLDER,
    park_failed_stub,
    recover_stubs,
    remove_stub,
)
from jack.downloads.naming import maker_of
from jack.errors import StorageError
from jack.model import FINISHED, Download, Stub
from jack.store.downloads import Downloads
from jack.support.aside import aside_of, put_back
from jack.support.files import fsync_directory, printable
from jack.support.own import remove_own

log = logging.getLogger(__name__)


class Settling:
    """Moves and removes files for rows that have settled. Without a watch folder (no `downloads`
    block) the stubs are not touched.
    """

    def __init__(self, downloads: Downloads, watch_path: Path | None) -> None:
        self._downloads = downloads
        self._watch_path = watch_path
        self._lock = threading.Lock()
        self._gone: list[int] = []
        self._stuck: set[int] = set()
        """Whose stubs could not be moved or removed: said once, tried again."""

    def recover_stubs(self) -> None:
        """At the start: a crash may have come in the middle of a removal."""
        if self._watch_path is not None:
            recover_stubs(self._watch_path, self._is_done)

    def _is_done(self, name: str, stub: Stub) -> bool:
        download = self._downloads.latest_for_stub(name, stub.peer_id, stub.item_id)
        return download is not None and download.status in FINISHED

    def remove_stub(self, download: Download) -> None:
        """The download is complete and recorded: its stub goes, also a copy parked by an earlier
        failure.
        """
        if self._watch_path is None:
            return
        parked = self._watch_path / FAILED_FOLDER / download.torrent_filename
        if os.path.lexists(parked) and remove_stub(parked, download.stub):
            with contextlib.suppress(StorageError):
                fsync_directory(parked.parent)
        path = self._watch_path / download.torrent_filename
        if remove_stub(path, download.stub, is_news=download.id not in self._stuck):
            with self._lock:
                self._gone.append(download.id)
        else:
            self._stuck.add(download.id)

    def park_stub(self, download: Download) -> None:
        """Failed or cancelled: the stub moves to `failed/`, from where it can be dropped again."""
        if self._watch_path is None:
            return
        path = self._watch_path / download.torrent_filename
        is_news = download.id not in self._stuck
        parked = park_failed_stub(path, download.stub, is_news=is_news)
        if parked is not None or not os.path.lexists(path):
            self._downloads.stubs_gone([download.id])
        else:
            self._stuck.add(download.id)

    def flush(self) -> bool:
        """Record which stubs of finished downloads have gone, many in one transaction, when that is
        certain: a stub that a power cut brings back must still be known, or it is a new grab.

        A crash before that costs nothing: the next start looks for those stubs once more. False
        when it has to be tried again.
        """
        with self._lock:
            gone, self._gone = self._gone, []
        if not gone or self._watch_path is None:
            return True
        try:
            fsync_directory(self._watch_path)
            self._downloads.stubs_gone(gone)
        except StorageError as error:
            with self._lock:
                self._gone += gone
            log.debug("stubs that have gone are not recorded as gone yet: %s", error)
            return False
        return True

    def remove_part(self, download: Download) -> bool:
        """Remove the `.part` of a cancelled download when it is this download's own."""
        path, maker = download.part_path, maker_of(download)
        with contextlib.suppress(OSError):
            put_back(aside_of(path), path)  # a crash came in the middle
        if not maker.finds(path):
            return False
        if maker.inode is None and self._is_anothers(download):
            return False
        reason = remove_own(path, maker)
        if reason is not None:
            name = printable(str(path))
            log.warning("download %d: %s is left alone: %s", download.id, name, reason)
        return reason is None

    def _is_anothers(self, download: Download) -> bool:
        """Of the `.part` of a row that kept no inode: whether it is that of another row."""
        if self._downloads.live_at(download.dest_path, but=download.id) is not None:
            return True
        inode = inode_of(download.part_path)
        return inode is not None and self._downloads.is_recorded_for_another(inode, download.id)

    def cancel(self, download: Download, sentence: str) -> bool:
        """Row `cancelled`, `.part` removed, stub parked. False when the row was not in a state to
        cancel.
        """
        if not self._downloads.cancel(download.id, sentence):
            return False
        self.finish_cancel(download, sentence)
        return True

    def finish_cancel(self, download: Download, sentence: str) -> None:
        """What a cancel does to files. Again at the next start when a crash came between: the stub
        goes last, and until it does, the row says that it is still there.
        """
        self.remove_part(download)
        self._downloads.forget_part(download.id, sentence)
        self.park_stub(download)


def inode_of(path: Path) -> int | None:
    """What tells the file of that name from a later one; None when there is no regular file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino if stat.S_ISREG(status.st_mode) else None
