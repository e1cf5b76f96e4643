"""Log lines for people (text) or machines (JSON), to stderr, with every configured secret blacked
out.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import logging.handlers
import queue
import select
import sys
import time
from collections.abc import Iterable
from datetime import datetime, timezone

from jack.support.redaction import Redactor

TRACE = "trace"
"""The level with everything that jack's packages have to say as well."""
_TALKATIVE = ("urllib3", "watchdog", "waitress", "werkzeug", "peewee")
MAX_WAITING_LINES = 10_000
"""Kept while stderr takes nothing (a stopped pager, a stuck journal); more are counted only."""
LAST_LINES_SECONDS = 1.0


class _TextFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))


class _JsonFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.clean(record.getMessage()),
        }
        if record.exc_info:
            entry["traceback"] = self._redactor.clean(self.formatException(record.exc_info))
        return json.dumps(entry)


def set_up_logging(level: str, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Send everything to stderr. A log that cannot be written (closed pipe, full disk) never stops
    jack.

    `level` is for jack's own lines. What its packages say (SQL, file events, HTTP) is as much as
    that only with "trace", else their warnings.
    """
    logging.raiseExceptions = False
    redactor = Redactor(secrets)
    if sys.stderr is not None and hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter(redactor) if as_json else _TextFormatter(redactor))
    own = logging.DEBUG if level == TRACE else getattr(logging, level.upper())
    logging.basicConfig(level=own, handlers=[handler], force=True)
    for package in _TALKATIVE:
        others = logging.NOTSET if level == TRACE else max(own, logging.WARNING)
        logging.getLogger(package).setLevel(others)


class _Lines(logging.handlers.QueueHandler):
    """Finished lines for the thread that writes them; what finds no room is counted only."""

    lines: queue.Queue[logging.LogRecord]

    def __init__(self, most: int) -> None:
        self.lines = queue.Queue(most)
        super().__init__(self.lines)
        self.lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        end = time.monotonic() + LAST_LINES_SECONDS
        done = self.lines.all_tasks_done
        with done:
            while self.lines.unfinished_tasks and (left := end - time.monotonic()) > 0:
                done.wait(left)


class _Writer:
    """Writes lines to a descriptor, in the one thread that waits when nobody reads them. No
    logging.Handler: the interpreter would wait for its lock at its end.

    Lines that the descriptor refuses (full disk, closed pipe) are lost, and nothing else is.
    """

    def __init__(self, descriptor: int, lines: _Lines) -> None:
        # Not sys.stderr itself: its buffer has a lock, which the interpreter needs at its end.
        self._file = io.FileIO(descriptor, "w", closefd=False)
        self._lines = lines

    def handle(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())
        if self._lines.lines.empty() and self._lines.lost:
            lost, self._lines.lost = self._lines.lost, 0
            self._write(f"{lost} log lines were lost: nobody took them in time")

    def _write(self, line: str) -> None:
        data = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):
            while data:
                written = self._file.write(data)
                if written is None:  # somebody made the shared descriptor non-blocking
                    select.select([], [self._file], [], 1.0)
                    continue
                data = data[written:]


def write_logs_in_background() -> None:
    """From now on no thread waits for stderr: a reader that stops reading fills the pipe, and a
    write to it then waits for ever. Without a descriptor behind it all stays as it is.
    """
    root = logging.getLogger()
    present = root.handlers[0] if root.handlers else None
    lines = _Lines(MAX_WAITING_LINES)
    try:
        writer = _Writer(sys.stderr.fileno(), lines)
    except (AttributeError, OSError, ValueError):
        return
    logging.handlers.QueueListener(lines.lines, writer).start()  # type: ignore[arg-type]
    if present is not None:
        lines.setFormatter(present.formatter)
        root.removeHandler(present)
    root.addHandler(lines)
