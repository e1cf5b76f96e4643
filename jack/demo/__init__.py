"""`jack demo`: two jacks on this machine, one film, a cut line and a killed process, and equal
hashes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from jack.demo.cable import Cable
from jack.demo.stage import MIB, Stage
from jack.downloads.explain import size_text
from jack.errors import JackError, UserError
from jack.model import Download, DownloadStatus
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.support.clock import SystemClock

BYTES_PER_SECOND = 40 * MIB
PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.1


def run_demo(film_bytes: int) -> int:
    """Play the whole loop in a temporary folder. Returns 0 when both hashes are equal, else 1.

    Leaves nothing behind but the finished file, whose place is printed.
    """
    console = Console(highlight=False)
    root = Path(tempfile.mkdtemp(prefix="jack-demo-"))
    stage = Stage(root, film_bytes)
    try:
        return _Play(stage, console).run()
    except JackError as error:
        console.print(f"The demo did not work: {error}", style="red")
        return 1
    finally:
        stage.stop()
        _tidy(stage)


def _tidy(stage: Stage) -> None:
    """Remove everything but a finished film."""
    kept = list(stage.completed.glob("*.mkv")) if stage.completed.is_dir() else []
    for film in kept:
        film.rename(stage.root / film.name)
    for entry in stage.root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.suffix != ".mkv":
            entry.unlink()
    if not kept:
        shutil.rmtree(stage.root, ignore_errors=True)


class _Play:
    """The acts of the demo, in order."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._clock = SystemClock()
        self._patience = threading.Event()
        self._end = time.monotonic() + PATIENCE_SECONDS

    def run(self) -> int:
        self._say(f"1  A friend shares a film of {size_text(self._stage.film_bytes)}.")
        wanted = self._stage.build()
        self._stage.start_friend()
        cable = Cable(self._stage.friend_port, BYTES_PER_SECOND)
        try:
            return self._fetch(cable, wanted)
        finally:
            cable.close()

    def _fetch(self, cable: Cable, wanted: str) -> int:
        you = self._stage.start_you(cable.port)
        release = self._stage.release()
        self._say(
            f'2  You search, find "{release.title}" and grab it: a stub appears in the blackhole.'
        )
        stub = self._stage.drop_stub(release, cable.port)
        with self._bar() as bar:
            task = bar.add_task("downloading", total=release.size)
            self._until(lambda row: row.downloaded_bytes * 2 >= release.size, bar, task)
            cable.cut()
            self._say("3  The line is cut half way; jack notices and goes on by itself.")
            self._until(lambda row: row.downloaded_bytes * 4 >= release.size * 3, bar, task)
            you.kill()
            you.wait()
            safe = self._row()
            safe_bytes = safe.downloaded_bytes if safe else 0
            self._say(f"4  Your jack is killed (kill -9). Safe on disk: {size_text(safe_bytes)}.")
            self._stage.start_you(cable.port)
            self._say("5  It is started again and asks only for the rest.")
            row = self._until(lambda row: not row.is_live, bar, task)
        return self._compare(row, stub, cable, wanted)

    def _compare(self, row: Download, stub: Path, cable: Cable, wanted: str) -> int:
        if row.status is DownloadStatus.FAILED:
            raise UserError(row.error or "the download failed")
        for asked in cable.ranges:
            self._say(f"   resumed with  Range: {asked}")
        again = max(0, cable.carried - row.downloaded_bytes)
        self._say(
            f"6  Complete after {row.attempts} connections; {size_text(again)} of"
            f" {size_text(row.downloaded_bytes)} were sent twice, headers included."
        )
        with row.dest_path.open("rb") as film:
            found = (
                hashlib.file_digest(film, "sha256").hexdigest()
                if hasattr(hashlib, "file_digest")
                else hashlib.sha256(film.read()).hexdigest()
            )
        self._say(f"   sha256 at the friend  {wanted}")
        self._say(
            f"   sha256 at yours       {found}  {'equal' if found == wanted else 'DIFFERENT'}"
        )
        self._say(f"   the stub is {'still there' if stub.exists() else 'gone, its work is done'}")
        self._say(f"\nThe film is at {self._stage.root / row.filename}")
        self._say(f"  (remove it with: rm -r {self._stage.root})")
        self._say(
            "With a Radarr in the config, jack would now have posted DownloadedMoviesScan with this"
            " path,\n"
            'and Radarr would have moved the file into its library. Next: README, "Setting it up".'
        )
        return 0 if found == wanted else 1

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("   {task.description}"),
            BarColumn(40),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=self._console,
        )

    def _row(self) -> Download | None:
        with Database.existing(self._stage.state) as database:
            rows = Downloads(database, self._clock).all() if database else []
        return rows[0] if rows else None

    def _until(self, reached: Callable[[Download], bool], bar: Progress, task: object) -> Download:
        while time.monotonic() < self._end:
            row = self._row()
            if row is not None:
                grown = row.part_path.stat().st_size if row.part_path.exists() else 0
                bar.update(task, completed=max(grown, row.downloaded_bytes))  # type: ignore[arg-type]
                if reached(row) or row.status is DownloadStatus.FAILED:
                    return row
            self._patience.wait(LOOK_SECONDS)
        raise UserError(f"it took too long; your jack's log:\n{self._stage.log_of('you')}")
