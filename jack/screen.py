"""Downloads on a terminal: a table with bars, once or live."""

from __future__ import annotations

import contextlib
import select
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jack.downloads.explain import why
from jack.model import Download, DownloadStatus, Overview
from jack.support.clock import Clock
from jack.support.text import size_text
from jack.support.waits import REFRESH_SECONDS

RECENT = 20
"""How many ended downloads are shown without --all."""
_COLOURS = {
    DownloadStatus.DOWNLOADING: "cyan",
    DownloadStatus.WAITING: "yellow",
    DownloadStatus.FAILED: "red",
    DownloadStatus.CANCELLED: "dim",
    DownloadStatus.COMPLETED: "green",
    DownloadStatus.IMPORT_QUEUED: "green",
    DownloadStatus.IMPORTED: "green",
}

Rows = Callable[[], Sequence[Download]]


def show(downloads: Sequence[Download], now: datetime, everything: bool) -> None:
    """Print the table once."""
    console = Console()
    _write(console, _drawn(console, table(downloads, now, everything)))


def watch(rows: Rows, clock: Clock, everything: bool) -> None:
    """Keep the table up to date until Ctrl-C. Where there is no terminal every new picture is
    printed, until the reader goes.
    """
    pause = threading.Event()
    console = Console()
    last = ""
    with contextlib.suppress(KeyboardInterrupt):
        if not console.is_terminal:
            while not _reader_has_gone():
                picture = _drawn(console, table(rows(), clock.now(), everything))
                if picture != last:
                    last = picture
                    _write(console, picture)
                pause.wait(REFRESH_SECONDS)
            return
        with Live(auto_refresh=False, console=console) as live:
            while True:
                live.update(table(rows(), clock.now(), everything), refresh=True)
                pause.wait(REFRESH_SECONDS)


def _drawn(console: Console, picture: Table) -> str:
    with console.capture() as capture:
        console.print(picture)
    return capture.get()


def _write(console: Console, text: str) -> None:
    """Not with `console.print`, which ends the process when the reader of a pipe has gone."""
    console.file.write(text)
    console.file.flush()


def _reader_has_gone() -> bool:
    """Whether stdout is a pipe with nobody at its other end; a write would tell it later."""
    with contextlib.suppress(OSError, ValueError):
        look = select.poll()
        look.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in look.poll(0))
    return False


def table(downloads: Sequence[Download], now: datetime, everything: bool) -> Table:
    """Live downloads, and those that have ended: the last few, or all of them."""
    live = [download for download in downloads if download.is_live]
    ended = [download for download in downloads if not download.is_live]
    shown = [*live, *(ended if everything else ended[:RECENT])]
    result = Table(box=None, pad_edge=False, expand=True)
    result.add_column("id", justify="right", no_wrap=True)
    result.add_column("status", no_wrap=True)
    result.add_column("file", ratio=3, overflow="fold")
    result.add_column("progress", width=16, no_wrap=True)
    result.add_column("size", justify="right", no_wrap=True)
    result.add_column("why", ratio=4, overflow="fold")
    for download in shown:
        result.add_row(*_cells(download, now))
    hidden = len(downloads) - len(shown)
    if isinstance(downloads, Overview):
        hidden += downloads.more
    if not downloads:
        result.caption = "No downloads yet."
    elif hidden:
        result.caption = f"{hidden} more have ended; --all shows them."
    return result


def _cells(download: Download, now: datetime) -> tuple[Text | ProgressBar | str, ...]:
    total = download.expected_bytes or download.release_size
    # Text, not str: names from a friend must not be read as markup.
    return (
        str(download.id),
        Text(download.status.value, style=_COLOURS.get(download.status, "")),
        Text(download.filename),
        ProgressBar(total=total or 1, completed=download.downloaded_bytes, width=16),
        size_text(total) if total else "?",
        Text(why(download, now)),
    )
