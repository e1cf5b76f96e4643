"""Downloads whose disk is not mounted: they wait instead of starting again in an empty folder."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from jack.model import Download, DownloadStatus, WaitReason
from jack.store.downloads import Downloads
from jack.store.volumes import Volumes
from jack.support.files import printable

log = logging.getLogger(__name__)


class AbsentDisks:
    """Asks before every attempt whether the folder is still the one it was. Any thread."""

    def __init__(self, volumes: Volumes, downloads: Downloads) -> None:
        self._volumes = volumes
        self._downloads = downloads
        self._lock = threading.Lock()
        self._absent: set[Path] = set()

    def keeps_waiting(self, download: Download) -> bool:
        """Whether the download has to wait for its disk; the row then says so, and what helps."""
        folder = download.dest_path.parent
        absence = self._volumes.check(folder)
        self._say(folder, absence)
        if absence is None:
            return False
        sentence = (
            f"{absence}: once the disk is mounted this goes on by itself; if the folder was emptied"
            f" or moved on purpose, `jack retry {download.id}` starts anew in it"
        )
        if (download.status, download.error) != (DownloadStatus.WAITING, sentence):
            self._downloads.wait(
                download.id, WaitReason.STORAGE, sentence, None, download.fruitless_attempts
            )
        return True

    def accept(self, download: Download) -> None:
        """A person asks for a download that was told to wait: its folder is right as it is."""
        if download.wait_reason is WaitReason.STORAGE:
            self._volumes.accept(download.dest_path.parent)

    def _say(self, folder: Path, absence: str | None) -> None:
        """One line when it begins and one when it ends, however many downloads wait."""
        with self._lock:
            known = folder in self._absent
            if absence is None:
                self._absent.discard(folder)
            else:
                self._absent.add(folder)
        if absence is not None and not known:
            log.error("%s: its downloads wait; `jack why` says what can be done", absence)
        elif absence is None and known:
            log.info("%s is as it was: its downloads go on", printable(str(folder)))
