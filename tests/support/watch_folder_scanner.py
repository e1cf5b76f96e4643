"""The look of Radarr and Sonarr into their watch folder (`ScanWatchFolder`), as a thread.

    with WatchFolderScanner(completed) as scanner:
        scanner.pass_by()                  # waits for a few looks
        scanner.importable                 # what it would have imported, with the sha256 it had
        scanner.sightings                  # every file it took for a video, with every size seen

An entry that stayed as it was (path, mtime, size) for 30 s is Completed. The clock here is not
real: it is put forward with each look, so that two looks that find the same are enough, as between
the scheduled ones. So a write that stands still for a moment is already "complete".
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support.waiting import eventually

VIDEO = frozenset(
    ".webm .m4v .3gp .nsv .ty .strm .rm .rmvb .m3u .ifo .mov .qt .divx .xvid .bivx .nrg .pva .wmv"
    " .asf .asx .ogm .ogv .m2v .avi .bin .dat .dvr-ms .mpg .mpeg .mp4 .avc .vp3 .svq3 .nuv .viv .dv"
    " .fli .flv .wpl .img .iso .vob .mkv .mk3d .ts .wtv .m2ts".split()
)
_SKIPPED = re.compile(
    r"^\._|^\.unmanic|-(trailer|other|behindthescenes|deleted|featurette|interview|scene|short)\.\w+$",
    re.IGNORECASE,
)
QUIET_SECONDS = 30.0
LOOK_STEP_SECONDS = 60.0
"""The scheduled task runs once a minute."""
PAUSE_SECONDS = 0.01
"""Of real time between two looks."""
PASSES = 5
PATIENCE_SECONDS = 40.0


@dataclass(frozen=True)
class Importable:
    """A file that was taken for complete."""

    path: Path
    sha256: str


@dataclass
class _Item:
    """What one look at a file found, and since when it is so."""

    hash: tuple[int, int]
    changed_at_seconds: float


class WatchFolderScanner:
    """Looks until `close`; `take` gets each file that counts as complete (once per state of it)."""

    def __init__(self, folder: Path, take: Callable[[Path], None] = lambda path: None) -> None:
        self.looks = 0
        self.importable: list[Importable] = []
        self.sightings: dict[str, set[int]] = {}
        self.ignored: set[str] = set()
        self._folder = folder
        self._take = take
        self._now_seconds = 0.0
        self._items: dict[Path, _Item] = {}
        self._taken: set[tuple[Path, tuple[int, int]]] = set()
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-folder-scanner")

    def __enter__(self) -> WatchFolderScanner:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def pass_by(self, count: int = PASSES) -> None:
        """Return after `count` more looks, enough to take whatever stood still meanwhile."""
        wanted = self.looks + count
        eventually(
            lambda: self.looks >= wanted or self._error, PATIENCE_SECONDS, f"{count} more looks"
        )
        if self._error is not None:
            raise self._error

    def look(self) -> None:
        """One look. PermissionError when a file may not be read, which stops the whole folder."""
        self._now_seconds += LOOK_STEP_SECONDS
        present: dict[Path, _Item] = {}
        for path in self._videos():
            with contextlib.suppress(FileNotFoundError):  # moved or removed between two calls
                present[path] = self._judged(path)
        self._items = present
        self.looks += 1

    def _run(self) -> None:
        try:
            while not self._stop.wait(PAUSE_SECONDS):
                self.look()
        except Exception as error:
            self._error = error

    def _videos(self) -> list[Path]:
        """Files directly in the folder, and those below each folder in it, hidden ones too."""
        found = []
        for path in sorted(self._folder.rglob("*")):
            is_video = path.suffix.lower() in VIDEO and not _SKIPPED.search(path.name)
            if is_video and not path.is_dir():
                found.append(path)
            else:
                self.ignored.add(path.name)
        return found

    def _judged(self, path: Path) -> _Item:
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        self.sightings.setdefault(path.name, set()).add(status.st_size)
        before = self._items.get(path)
        if before is None or before.hash != state:
            return _Item(state, self._now_seconds)
        is_quiet = self._now_seconds - before.changed_at_seconds >= QUIET_SECONDS
        if is_quiet and (path, state) not in self._taken:
            self._complete(path, state)
        return before

    def _complete(self, path: Path, state: tuple[int, int]) -> None:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # "locked": still Downloading
            digest = hashlib.sha256(file.read()).hexdigest()
        self._taken.add((path, state))
        self.importable.append(Importable(path, digest))
        self._take(path)
