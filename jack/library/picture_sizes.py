"""Looking into shared files whose names do not say their resolution: one after the other, in the
background, each version of a file once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jack.errors import JackError
from jack.store.pictures import Picture, Pictures
from jack.support.files import printable, shown
from jack.support.release_title import lines_of
from jack.support.waits import FIRST_PICTURES_SECONDS, PICTURE_SECONDS, PICTURES_TOLD_SECONDS

log = logging.getLogger(__name__)

BATCH_FILES = 200
"""Remembered in one transaction."""
MAX_DEATHS = 3
"""In a row, before nothing is looked into until the next start."""
FILES_PER_PROCESS = 2000
"""Then another one goes on: what parsers keep of files they have read is given back."""
MAX_WANTED = 1_000_000
FORGOTTEN_FILES = 1000
"""So many rows of files that are gone are kept: a disk that was away is not read anew."""


@dataclass(frozen=True)
class Unread:
    """A version of a file: where it is, its size in bytes and its mtime."""

    path: str
    size: int
    modified_ns: int


class Looks:
    """What is known during one scan of a folder, and what is not."""

    def __init__(self, known: Mapping[str, Picture]) -> None:
        self.known = known
        self.asked: set[str] = set()
        self.unread: dict[str, Unread] = {}

    def lines(self, relative: str, path: str, status: os.stat_result) -> int | None:
        """The lines of the picture; None when the file does not tell or was not read yet."""
        self.asked.add(relative)
        picture = self.known.get(relative)
        if picture and picture.is_of(status.st_size, status.st_mtime_ns):
            return lines_of(picture.width, picture.height)
        self.unread[relative] = Unread(path, status.st_size, status.st_mtime_ns)
        return None


class Rescanned(Protocol):
    """Whose names change with what is read."""

    def look_again(self) -> None:
        """Never raises."""


class PictureReader:
    """`looks` and `take_over` belong to a scan, in any thread; the rest happens in one of its own.

    Nothing is read before `start`, and nothing when everything is known: then the disks sleep.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._wanted: dict[tuple[str, str], Unread] = {}
        self._given_up: set[Unread] = set()
        self._process = HeaderProcess()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def looks(self, source: str) -> Looks:
        return Looks(self._pictures.of(source))

    def take_over(self, source: str, looks: Looks) -> None:
        """A scan has ended: read what it did not know."""
        with self._lock:
            for relative, unread in looks.unread.items():
                if unread not in self._given_up and len(self._wanted) < MAX_WANTED:
                    self._wanted[source, relative] = unread
        if len(looks.known) > 2 * len(looks.asked) + FORGOTTEN_FILES:
            self._pictures.forget(source, looks.known.keys() - looks.asked)
        if looks.unread:
            self._wake.set()

    # -- the thread ------------------------------------------------------------------------------

    def start(self, rescanned: Rescanned) -> None:
        self._thread = threading.Thread(target=self._run, args=(rescanned,), name="pictures")
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End the thread and the process; False when it still hangs."""
        self._stopping.set()
        self._wake.set()
        self._process.stop()
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self, rescanned: Rescanned) -> None:
        if not self._wake.wait(FIRST_PICTURES_SECONDS):
            rescanned.look_again()
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._read_wanted(rescanned)
            except JackError as error:
                log.warning("resolutions of shared files are not known yet: %s", error)
            except Exception:
                log.exception("shared files could not be looked into because of a bug in jack")
            finally:
                self._process.close()

    def _read_wanted(self, rescanned: Rescanned) -> None:
        told = time.monotonic()
        count = 0
        while not self._stopping.is_set() and (batch := self._batch()):
            count += self._read(batch)
            if time.monotonic() - told >= PICTURES_TOLD_SECONDS:
                rescanned.look_again()
                told = time.monotonic()
        if count and not self._stopping.is_set():
            log.info("looked into %d shared files whose names do not say their resolution", count)
            rescanned.look_again()

    def _batch(self) -> dict[tuple[str, str], Unread]:
        with self._lock:
            keys = list(self._wanted)[:BATCH_FILES]
            return {key: self._wanted.pop(key) for key in keys}

    def _read(self, batch: Mapping[tuple[str, str], Unread]) -> int:
        """Read and remember; the number of files that could be read."""
        found: dict[str, dict[str, Picture]] = {}
        for (source, relative), unread in batch.items():
            size = None if self._stopping.is_set() else self._process.size_of(unread.path)
            if size is not None:
                picture = Picture(unread.size, unread.modified_ns, *size)
                found.setdefault(source, {})[relative] = picture
                continue
            if self._stopping.is_set():
                break
            log.debug("%s cannot be looked into now", shown(printable(unread.path)))
            self._given_up.add(unread)
        for source, pictures in found.items():
            self._pictures.put(source, pictures)
        return sum(map(len, found.values()))


class HeaderProcess:
    """`jack.library.headers` as long as there is work; asked by one thread, stopped by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._deaths = 0
        self._answers = 0

    def size_of(self, path: str) -> tuple[int, int] | None:
        """Width and height, 0 when the file has none; None when it cannot be told now."""
        process = self._running()
        if process is None:
            return None
        answer = _asked(process, path)
        if answer is None:
            self.close()
            self._deaths += 1
            return None
        self._deaths = 0
        self._answers += 1
        if self._answers % FILES_PER_PROCESS == 0:
            self.close()
        return answer if len(answer) == 2 else None

    def stop(self) -> None:
        """For good: who waits for an answer gets none."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process that runs; the next question starts another one."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)

    def _running(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_stopped or self._deaths >= MAX_DEATHS:
                return None
            if self._process is None:
                self._process = _start()
            return self._process


def _start() -> subprocess.Popen[bytes] | None:
    """With the packages of this process, wherever they come from."""
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "jack.library.headers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={**os.environ, "PYTHONPATH": paths},
        )
    except (OSError, ValueError) as error:
        log.warning("shared files cannot be looked into: %s", error)
        return None


def _asked(process: subprocess.Popen[bytes], path: str) -> tuple[int, ...] | None:
    """`()` when the file cannot be read now; None when the process does not answer any more."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        process.stdin.write(json.dumps(path).encode() + b"\n")
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(PICTURE_SECONDS):
                    return None
                received = os.read(process.stdout.fileno(), 4096)
                if not received:
                    return None
                line += received
        return tuple(json.loads(line) or ())
    except (OSError, ValueError):
        return None
