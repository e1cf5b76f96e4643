"""Downloads on a terminal: two lines each, once or kept up to date. What is drawn is the JSON of
`jack status --json`, wherever it came from.
"""

from __future__ import annotations

import contextlib
import select
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.text import Text

from jack.support.text import size_text
from jack.support.waits import REFRESH_SECONDS

BAR_CELLS = 14
_INDENT = 6
_ENDED = frozenset({"completed", "import_queued", "imported", "failed", "cancelled"})
_COLOURS = {
    "downloading": "cyan",
    "waiting": "yellow",
    "failed": "red",
    "cancelled": "dim",
    "completed": "green",
    "import_queued": "green",
    "imported": "green",
}

Row = Mapping[str, Any]
View = Mapping[str, Any]
"""`downloads` and `stubs` as in the JSON; `more` that have ended are left out; `freeBytes` of the
disk of completedPath, None where that is not known."""


def show(view: View) -> None:
    """Print it once."""
    console = Console()
    _write(console, "".join(line + "\n" for line in _drawn(console, view)))


def watch(look: Callable[[], View]) -> None:
    """Keep the picture up to date until Ctrl-C. Where there is no terminal every new picture is
    printed, until the reader goes.
    """
    pause = threading.Event()
    console = Console()
    last: list[str] = []
    with contextlib.suppress(KeyboardInterrupt):
        while console.is_terminal or not _reader_has_gone():
            picture = _drawn(console, look())
            if console.is_terminal:
                picture = picture[: console.height - 1]
                _write(console, redrawn(last, picture))
            elif picture != last:
                _write(console, "".join(line + "\n" for line in picture))
            last = picture
            pause.wait(REFRESH_SECONDS)


def redrawn(before: Sequence[str], after: Sequence[str]) -> str:
    """What has to be written to turn one picture into the next, with the cursor below it: of lines
    that stay as they are nothing but a line feed."""
    out = []
    if before:
        out.append(str(Control.move(0, -len(before))))
    for number, line in enumerate(after):
        is_same = number < len(before) and before[number] == line
        out.append("\n" if is_same else f"\r\x1b[2K{line}\n")
    left = len(before) - len(after)
    if left > 0:
        out.append("\r\x1b[J")
    return "".join(out)


def lines(view: View, width: int) -> list[Text]:
    """The whole picture: live ones first, then stubs, what has ended, and the totals."""
    live = [row for row in view["downloads"] if row["status"] not in _ENDED]
    ended = [row for row in view["downloads"] if row["status"] in _ENDED]
    result: list[Text] = []
    for row in live:
        result += _download(row, width)
    for stub in view["stubs"]:
        result += _stub(stub, width)
    for row in ended:
        result += _download(row, width)
    if not result:
        result.append(Text("No downloads yet."))
    elif view.get("more"):
        result.append(Text(f"{view['more']} more have ended; --all shows them.", style="dim"))
    return [*result, _totals(view, live)]


def _download(row: Row, width: int) -> list[Text]:
    status = "paused" if row.get("paused") else row["status"]
    total = row["expectedBytes"] or row["releaseSize"]
    received = row["receivedBytes"]
    head = Text(f"{row['id']:>4}  ")
    head.append(f"{status:<13}  ", style=_COLOURS.get(row["status"], ""))
    head.append_text(_bar(row["downloadedBytes"], received, total))
    head.append(f"  {_share(received, total):>4}  {size_text(total) if total else '?':>9}")
    speed, left = row["bytesPerSecond"], row["etaSeconds"]
    if speed is not None:
        head.append(f"  {size_text(speed)}/s")
    if left is not None:
        head.append(f"  {duration_text(left)} left")
    return [head, *_wrapped(row["filename"], row["why"], width)]


def _stub(stub: Row, width: int) -> list[Text]:
    head = Text(" " * _INDENT)
    head.append(f"{'stub':<13}  ", style="yellow")
    head.append_text(_bar(0, 0, 1))
    size = size_text(stub["size"]) if stub["size"] else "?"
    head.append(f"  {'0 %':>4}  {size:>9}")
    return [head, *_wrapped(stub["title"] or stub["torrentFilename"], stub["why"], width)]


def _wrapped(name: str, why: str, width: int) -> list[Text]:
    # Text, not markup: names come from a friend.
    said = Text.assemble((name, "bold"), "  ", why)
    room = max(20, width - _INDENT)
    console = Console(width=room)
    return [Text(" " * _INDENT) + line for line in said.wrap(console, room)]


def _bar(safe: int, received: int, total: int) -> Text:
    """What is safe on disk in one tone, what has arrived beyond that in another."""
    whole = max(total, 1)
    safe_cells = min(BAR_CELLS, BAR_CELLS * safe // whole)
    cells = max(safe_cells, min(BAR_CELLS, BAR_CELLS * received // whole))
    return Text.assemble(
        ("\u2588" * safe_cells, "green"),
        ("\u2593" * (cells - safe_cells), "cyan"),
        ("\u2591" * (BAR_CELLS - cells), "dim"),
    )


def _share(received: int, total: int) -> str:
    return f"{min(100, 100 * received // total)} %" if total else ""


def _totals(view: View, live: Sequence[Row]) -> Text:
    speed = sum(row["bytesPerSecond"] or 0 for row in live)
    running = sum(row["status"] == "downloading" for row in live)
    parts = [f"{running} running, {size_text(speed)}/s", f"{len(live) - running} waiting"]
    if view["stubs"]:
        parts.append(f"{len(view['stubs'])} stubs")
    if view.get("freeBytes") is not None:
        parts.append(f"{size_text(view['freeBytes'])} free")
    return Text("; ".join(parts), style="dim")


def duration_text(seconds: float) -> str:
    """A length of time as a clock shows it, from a day on in days and hours."""
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _drawn(console: Console, view: View) -> list[str]:
    picture = lines(view, console.width)
    drawn = []
    for line in picture:
        line.truncate(console.width)
        with console.capture() as capture:
            console.print(line, end="", no_wrap=True, crop=True, soft_wrap=True)
        drawn.append(capture.get())
    return drawn


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
