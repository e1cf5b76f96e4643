"""The size of a video's picture, read from the file itself. A process of its own: it runs at idle
priority beside the threads that serve, a damaged file can neither hold nor crash jack, and its
memory is given back.

    python -m jack.library.headers      < a path (a JSON string) a line    > [width, height] a line

`[0, 0]` says that the file tells no size, `null` that it cannot be read now.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

Size = tuple[int, int]

NOTHING: Size = (0, 0)
FFPROBE_SECONDS = 60.0
MAX_MEMORY_BYTES = 1024**3
"""Of this process. A header that is read well takes a hundredth of that."""


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints is no answer
    _step_back()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(path: str) -> Size | None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError:
        return None
    size = _by_hachoir(path)
    return size if size != NOTHING else _by_ffprobe(path)


def _step_back() -> None:
    """Leave processor and disk to everybody else. Linux: who is scheduled as idle reads as idle."""
    with contextlib.suppress(OSError):
        os.nice(19)
    idle = getattr(os, "SCHED_IDLE", None)
    if idle is not None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, idle, os.sched_param(0))
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _by_hachoir(path: str) -> Size:
    """Matroska, MP4, AVI, ASF and their like; a few blocks at the file's head or end are read."""
    try:
        from hachoir.core import config
        from hachoir.metadata import extractMetadata
        from hachoir.parser import createParser

        config.quiet = True
        parser = createParser(path)
        if not parser:
            return NOTHING
        with parser:
            metadata = extractMetadata(parser, quality=0.1)
        return max(_sizes(metadata), key=lambda size: size[0] * size[1], default=NOTHING)
    except Exception:  # noqa: BLE001  (hachoir raises whatever a damaged file makes of it)
        return NOTHING


def _sizes(metadata: Any) -> Iterator[Size]:
    """Of every stream that has one."""
    if metadata is None:
        return
    for part in (metadata, *getattr(metadata, "iterGroups", tuple)()):
        if part.has("width") and part.has("height"):
            yield _size(part.get("width"), part.get("height"))


def _by_ffprobe(path: str) -> Size:
    """For what hachoir does not know (MPEG transport streams), where the program is there."""
    program = shutil.which("ffprobe")
    if program is None:
        return NOTHING
    command = [program, "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=width,height", f"file:{path}"]
    try:
        told = subprocess.run(  # noqa: S603  (a program of the owner's, on a file of the owner's)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=FFPROBE_SECONDS
        )
        width, height = told.stdout.split(b"\n")[0].rstrip(b",\r").split(b",")
        return _size(int(width), int(height))
    except (OSError, ValueError, subprocess.SubprocessError):
        return NOTHING


def _size(width: object, height: object) -> Size:
    fits = isinstance(width, int) and isinstance(height, int)
    return (int(width), int(height)) if fits else NOTHING  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
