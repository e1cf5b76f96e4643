"""`jack demo`: two jacks and a pretend Radarr on this machine, one film, a cut line and a killed
process; from search to library, and equal hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

from jack.demo.cable import Cable
from jack.demo.radarr import PretendRadarr
from jack.demo.stage import MIB, MOVIE, Stage
from jack.downloads.explain import why
from jack.errors import JackError, UserError
from jack.model import Download, DownloadStatus
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock
from jack.support.text import size_text

BYTES_PER_SECOND = 40 * MIB
PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.1
_ENDS = frozenset({DownloadStatus.IMPORTED, DownloadStatus.FAILED, DownloadStatus.CANCELLED})


def run_demo(film_bytes: int) -> int:
    """Play the whole circle in a temporary folder. Returns 0 when the film was imported and both
    hashes are equal, else 1.

    Leaves nothing behind but the film in the pretend library, whose place is printed.
    """
    console = Console(highlight=False)
    root = Path(tempfile.mkdtemp(prefix="jack-demo-"))
    film: Path | None = None
    try:
        stage = Stage(root, film_bytes)
        try:
            film = _Play(stage, console).run()
        finally:
            stage.stop()
    except (JackError, OSError) as error:
        console.print(f"The demo did not work: {error}", style="red", markup=False)
    finally:
        _tidy(root, film)
    return 0 if film is not None else 1


def _tidy(root: Path, film: Path | None) -> None:
    """Remove everything but the film, which is in a folder of the library."""
    if film is None:
        shutil.rmtree(root, ignore_errors=True)
        return
    library = film.parent.parent
    for entry in root.iterdir():
        if entry.is_dir() and entry != library:
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.is_file():
            entry.unlink()


class _Play:
    """The acts of the demo, in order."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._clock = SystemClock()
        self._patience = threading.Event()
        self._end = time.monotonic() + PATIENCE_SECONDS

    def run(self) -> Path | None:
        """The film in the library; None when it is not the one the friend shares.

        Raises UserError when it did not get that far.
        """
        stage = self._stage
        self._say(f"1  A friend's jack shares a film of {size_text(stage.film_bytes)}.")
        wanted = stage.build()
        stage.start_friend()
        with (
            contextlib.closing(Cable(stage.friend_port, BYTES_PER_SECOND)) as cable,
            contextlib.closing(PretendRadarr(stage.library, MOVIE)) as radarr,
        ):
            you = stage.start_you(cable.port, radarr.url, radarr.key)
            self._grab(radarr, you)
            row = self._fetch(cable, radarr, you)
            self._tell_transfer(row, cable)
            return self._compare(radarr, wanted)

    def _grab(self, radarr: PretendRadarr, you: subprocess.Popen[bytes]) -> None:
        while not radarr.registered.is_set():
            self._pause(you)
        while (title := radarr.search_and_grab()) is None:
            self._pause(you)  # the friend's jack may still be reading its folder
        self._say(
            "2  Your jack registers with your Radarr (a pretend one, built in), which searches"
            f'\n   through it, finds "{title}" at the friend, and grabs it.'
        )

    def _fetch(self, cable: Cable, radarr: PretendRadarr, you: subprocess.Popen[bytes]) -> Download:
        size = self._stage.film_bytes
        with self._bar() as bar:
            task = bar.add_task("downloading", total=size)
            self._until(lambda row: row.downloaded_bytes * 2 >= size, you, bar, task)
            cable.cut()
            self._say("3  The line is cut half way; your jack notices and goes on by itself.")
            self._until(lambda row: row.downloaded_bytes * 4 >= size * 3, you, bar, task)
            you.kill()
            you.wait()
            row = self._row()
            safe_bytes = row.downloaded_bytes if row else 0
            self._say(f"4  Your jack is killed (kill -9). Safe on disk: {size_text(safe_bytes)}.")
            you = self._stage.start_you(cable.port, radarr.url, radarr.key)
            self._say("5  It is started again and asks only for the rest.")
            return self._until(lambda row: row.status is DownloadStatus.IMPORTED, you, bar, task)

    def _tell_transfer(self, row: Download, cable: Cable) -> None:
        for asked in cable.ranges:
            self._say(f"   resumed with  Range: {asked}")
        again = max(0, cable.carried - row.downloaded_bytes)
        self._say(
            f"   complete after {row.attempts} connections; {size_text(again)} of"
            f" {size_text(row.downloaded_bytes)} were sent twice, headers included"
        )
        gone = not (self._stage.watch / row.torrent_filename).exists()
        self._say(
            f"6  Status: {row.status.value}. Radarr's history shows the import;"
            f" the stub is {'gone' if gone else 'still there'}."
        )

    def _compare(self, radarr: PretendRadarr, wanted: str) -> Path | None:
        film = radarr.film
        if film is None:
            raise UserError("your jack says imported, but the film is not in the library")
        found = _sha256(film)
        equal = found == wanted
        self._say(f"   sha256 at the friend        {wanted}")
        self._say(f"   sha256 in Radarr's library  {found}  {'equal' if equal else 'DIFFERENT'}")
        if not equal:
            return None
        self._say(f"\nThe film is at {film}")
        self._say(f"  remove it with: rm -r {shlex.quote(str(self._stage.root))}")
        self._say('Next, with your own Radarr and a real friend: README, "Setting it up".')
        return film

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("   {task.description}"),
            BarColumn(40),
            DownloadColumn(binary_units=True),
            SpeedColumn(),
            console=self._console,
        )

    def _row(self) -> Download | None:
        with Database.existing(self._stage.state) as database:
            rows = Downloads(database, self._clock).all() if database else []
        return rows[0] if rows else None

    def _until(
        self,
        reached: Callable[[Download], bool],
        you: subprocess.Popen[bytes],
        bar: Progress,
        task: TaskID,
    ) -> Download:
        while True:
            row = self._row()
            if row is not None:
                bar.update(task, completed=max(_grown(row), row.downloaded_bytes))
                if reached(row):
                    return row
                if row.status in _ENDS or _is_rejected(row):
                    raise UserError(why(row, self._clock.now()))
            self._pause(you)

    def _pause(self, you: subprocess.Popen[bytes]) -> None:
        """Until it is worth looking again. UserError when that is no use any more."""
        if you.poll() is not None:
            raise UserError(f"your jack has ended; its log:\n{self._stage.log_of('you')}")
        if time.monotonic() > self._end:
            raise UserError(f"it took too long; your jack's log:\n{self._stage.log_of('you')}")
        self._patience.wait(LOOK_SECONDS)


def _is_rejected(row: Download) -> bool:
    """Complete, but the import is not tried again by itself."""
    complete = row.status is DownloadStatus.COMPLETED
    return complete and row.error is not None and row.next_attempt_at is None


def _grown(row: Download) -> int:
    try:
        return row.part_path.stat().st_size
    except FileNotFoundError:
        return 0  # not begun, or complete


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as film:
        while block := film.read(MIB):
            digest.update(block)
    return digest.hexdigest()
