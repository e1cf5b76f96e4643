"""Log lines for people (text) or machines (JSON), to stderr, with every configured secret blacked
out.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import queue
import select
import sys
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timezone

from jack.support.redaction import Redactor as Redactor

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


class BackgroundHandler(logging.Handler):
    """Writes lines to a descriptor from a thread of its own.

    A reader that stops reading fills the pipe, and a write to it then waits for ever. Only this
    thread waits with it: what everybody else logs is kept, and counted once that gets too much.
    Lines that the descriptor refuses (full disk, closed pipe) are lost, and nothing else is.
    """

    def __init__(self, descriptor: int, max_waiting: int = MAX_WAITING_LINES) -> None:
        super().__init__()
        # Not sys.stderr itself: its buffer has a lock, which the interpreter needs at its end.
        self._file = io.FileIO(descriptor, "w", closefd=False)
        self._lines: queue.Queue[str] = queue.Queue(max_waiting)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Raises RuntimeError when the machine has no thread to give."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  (whatever a `__str__` raises, as in logging's own)
            self.handleError(record)
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        end = time.monotonic() + LAST_LINES_SECONDS
        done = self._lines.all_tasks_done
        with done:
            while self._lines.unfinished_tasks and (left := end - time.monotonic()) > 0:
                done.wait(left)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            self._write(f"{line}\n")
            if self._lines.empty() and self._lost:
                lost, self._lost = self._lost, 0
                self._write(f"{lost} log lines were lost: nobody took them in time\n")
            self._lines.task_done()

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):
            while data:
                written = self._file.write(data)
                if written is None:  # somebody made the shared descriptor non-blocking
                    select.select([], [self._file], [], 1.0)
                    continue
                data = data[written:]


def write_logs_in_background() -> None:
    """From now on no thread waits for stderr. Without a descriptor behind it, or a thread to spare,
    all stays as it is.
    """
    root = logging.getLogger()
    present = root.handlers[0] if root.handlers else None
    try:
        handler = BackgroundHandler(sys.stderr.fileno())
        handler.start()
    except (AttributeError, OSError, ValueError, RuntimeError):
        return
    if present is not None:
        handler.setFormatter(present.formatter)
        root.removeHandler(present)
    root.addHandler(handler)
