"""Intake: looks at what lies in the watch folder and hands each whole stub of jack's on, once.

The scan is the truth; names from the inbox (file events) only make it faster. Everything here
happens in the one thread that calls `run` or `step`, except `forget`. Nothing in the folder is
ever changed.
"""

from __future__ import annotations

import enum
import errno
import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jack.blackhole.folder import Folder
from jack.blackhole.inbox import Inbox
from jack.blackhole.names import MAGNET_SUFFIX, concerns_intake, for_log
from jack.blackhole.reading import Snapshot, fingerprint, snapshot
from jack.blackhole.stub import MAX_STUB_BYTES, NoStub, info_hash, read_stub
from jack.errors import UserError
from jack.model import Stub
from jack.support.clock import Clock

log = logging.getLogger(__name__)

UNREADABLE_SAID_AFTER_SECONDS: Final = 60.0
"""A file nobody has changed for this long is not just half written."""
REREAD_FOR_SECONDS: Final = 600.0
"""So long an unreadable file is read at every scan: a coarse mtime may hide its end."""
SOON_SECONDS: Final = 1.0
"""When a file that is being written is looked at again without waiting for an event or a scan."""
RACY_SECONDS: Final = 2.0
"""A file read so soon after its mtime may change again under the same mtime (FAT keeps 2 s)."""
LOOP_SECONDS: Final = 1.0
"""The longest the loop sleeps, so that a stop is noticed without a wake-up."""

_GONE = {errno.ENOENT, errno.ELOOP, errno.ENXIO}
"""Removed meanwhile, a dangling or circular link, a socket: nothing anybody has to hear of."""


@dataclass(frozen=True)
class Drop:
    """A whole stub found in the folder. `name` is the file name as os.fsdecode gives it."""

    name: str
    path: Path
    fingerprint: str
    stub: Stub
    info_hash: str = ""
    """Lower-case hex: by it the *arr's history knows what the stub was grabbed for."""


class Verdict(enum.Enum):
    """What the owner of the drops answers."""

    TAKEN = "taken"
    UNKNOWN_PEER = "unknown peer"


class _Judgement(enum.Enum):
    PENDING = "not judged yet"
    SETTLED = "nothing more to do with this content"
    UNREADABLE = "may be half written"


@dataclass(slots=True)
class _Seen:
    """What is known of one name, as long as it is in the folder."""

    fingerprint: str = ""
    since_seconds: float = 0.0
    """clock.monotonic() when this fingerprint was first seen."""
    judgement: _Judgement = _Judgement.PENDING
    stub: Stub | None = None
    racy: bool = False
    said: tuple[str, ...] = ()
    """What was logged about this name: each topic once, however often it is looked at."""


class Intake:
    """Feeds every whole stub in `folder` to `accept`, exactly once per content.

    `accept` is called in intake's thread and should return at once. `watcher_check` is called
    before each scan, so that what happened while a watch had to be renewed is seen by the scan.
    """

    def __init__(
        self,
        folder: Path,
        inbox: Inbox,
        accept: Callable[[Drop], Verdict],
        clock: Clock,
        rescan_seconds: float,
        watcher_check: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = Folder(folder)
        self._inbox = inbox
        self._accept = accept
        self._clock = clock
        self._rescan_seconds = rescan_seconds
        self._watcher_check = watcher_check
        self._seen: dict[str, _Seen] = {}
        self._again: dict[str, float] = {}
        self._next_scan = clock.monotonic()
        self._forgotten: set[str] = set()
        self._forgotten_lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; `Inbox.wake` makes that immediate."""
        self._stop = stop
        while not stop.is_set():
            try:
                self.step(LOOP_SECONDS)
            except Exception:
                log.exception("intake hit a bug in jack; it goes on")
                stop.wait(LOOP_SECONDS)

    def step(self, timeout_seconds: float) -> None:
        """One round: wait up to `timeout_seconds` for something to do, and do it."""
        due = min((self._next_scan, *self._again.values()))
        mail = self._inbox.take(min(timeout_seconds, due - self._clock.monotonic()))
        now = self._clock.monotonic()
        for name in mail.names:
            self.look_at(name)
        for name in [name for name, when in self._again.items() if when <= now]:
            del self._again[name]
            self.look_at(name)
        if mail.scan or now >= self._next_scan:
            self.scan()

    def forget(self, name: str) -> None:
        """Treat `name` as never seen and look at it again: its owner let go of it. Callable from
        any thread.

        Carried out by intake's own thread, so that a look going on right now cannot undo it.
        """
        with self._forgotten_lock:
            self._forgotten.add(name)
        self._inbox.put(name)

    def scan(self) -> None:
        """Look at the whole folder, oldest file first. Returns early when told to stop."""
        self._next_scan = self._clock.monotonic() + self._rescan_seconds
        try:
            self._watcher_check()
        except Exception:
            log.exception("checking the file events hit a bug in jack; the scan goes on")
        found = self._folder.listing()
        if found is None:
            return
        for name in self._seen.keys() - found.keys():
            del self._seen[name]
        for name, status in sorted(found.items(), key=_age_order):
            if self._stop.is_set():
                return
            self._consider(name, status)

    def look_at(self, name: str) -> None:
        """Look at one name of the folder; nothing happens when there is nothing (any more)."""
        if not concerns_intake(name):
            return
        status: os.stat_result | OSError
        try:
            status = os.stat(self._folder.path / name)
        except OSError as error:
            status = error
        self._consider(name, status)

    # -- one file --------------------------------------------------------------------------------

    def _consider(self, name: str, status: os.stat_result | OSError) -> None:
        """Decide from its stat whether a file has to be read."""
        if self._take_forgotten(name):
            self._seen.pop(name, None)
        if isinstance(status, OSError):
            self._cannot_read(name, status)
        elif not stat.S_ISREG(status.st_mode):
            self._seen.pop(name, None)
        elif name.lower().endswith(MAGNET_SUFFIX):
            self._say_magnet(name)
        elif self._worth_reading(name, status):
            self._read(name)

    def _worth_reading(self, name: str, status: os.stat_result) -> bool:
        seen = self._seen.get(name)
        if seen is None or seen.fingerprint != fingerprint(status):
            return True
        if seen.judgement is _Judgement.UNREADABLE:
            return self._clock.monotonic() - seen.since_seconds < REREAD_FOR_SECONDS
        return seen.judgement is _Judgement.PENDING or seen.racy

    def _read(self, name: str) -> None:
        try:
            content = snapshot(self._folder.path / name)
        except OSError as error:
            self._cannot_read(name, error)
            return
        if content is not None:
            self._judge(name, content)

    def _judge(self, name: str, content: Snapshot) -> None:
        seen = self._seen.setdefault(name, _Seen())
        changed = seen.fingerprint != content.fingerprint
        if changed:
            seen.fingerprint = content.fingerprint
            seen.since_seconds = self._clock.monotonic()
            seen.judgement = _Judgement.PENDING
        age_seconds = self._clock.now().timestamp() - content.modified_seconds
        seen.racy = abs(age_seconds) < RACY_SECONDS
        if not content.steady:
            seen.judgement = _Judgement.UNREADABLE
            self._look_again_soon(name)
            return
        result = NoStub.FOREIGN if content.too_large else read_stub(content.data)
        if result is NoStub.UNREADABLE:
            self._unreadable(name, seen, changed)
        elif result is NoStub.FOREIGN:
            self._foreign(name, seen, content.too_large)
        elif seen.stub != result or seen.judgement is not _Judgement.SETTLED:
            self._hand_on(name, seen, result, hash_of(content.data))

    def _hand_on(self, name: str, seen: _Seen, stub: Stub, info_hash: str) -> None:
        drop = Drop(name, self._folder.path / name, seen.fingerprint, stub, info_hash)
        try:
            verdict = self._accept(drop)
        except Exception:
            seen.judgement = _Judgement.PENDING
            if self._first_time(seen, f"bug {seen.fingerprint}"):
                log.exception(
                    "%s could not be taken: a bug in jack; the stub stays and is tried again at"
                    " each scan",
                    for_log(name),
                )
            return
        seen.stub = stub
        seen.judgement = _Judgement.SETTLED
        if verdict is Verdict.UNKNOWN_PEER and self._first_time(seen, f"peer {stub.peer_id}"):
            log.warning(
                "%s names friend %s, who is not in the config (a friend's id changes with the url):"
                " add the peer, or remove the stub; it stays where it is",
                for_log(name),
                stub.peer_id,
            )

    def _foreign(self, name: str, seen: _Seen, too_large: bool) -> None:
        seen.judgement = _Judgement.SETTLED
        seen.stub = None
        if self._first_time(seen, "foreign"):
            log.info(
                "%s is not jack's stub: %s; left alone",
                for_log(name),
                f"it is larger than {MAX_STUB_BYTES} bytes"
                if too_large
                else "it belongs to a torrent client",
            )

    def _unreadable(self, name: str, seen: _Seen, changed: bool) -> None:
        seen.judgement = _Judgement.UNREADABLE
        if changed:
            self._look_again_soon(name)
        unchanged_seconds = self._clock.monotonic() - seen.since_seconds
        if unchanged_seconds >= UNREADABLE_SAID_AFTER_SECONDS and self._first_time(seen, "torn"):
            log.warning("%s is not a readable torrent (yet); it stays where it is", for_log(name))

    def _cannot_read(self, name: str, error: OSError) -> None:
        if error.errno in _GONE:
            self._seen.pop(name, None)
            return
        seen = self._seen.setdefault(name, _Seen())
        if self._first_time(seen, "unreachable"):
            log.warning(
                "%s cannot be read (%s): jack's user has to be able to read and delete in the watch"
                " folder; it is tried again at each scan",
                for_log(name),
                error.strerror,
            )

    def _say_magnet(self, name: str) -> None:
        if self._first_time(self._seen.setdefault(name, _Seen()), "magnet"):
            log.warning(
                "%s is a magnet link, which jack cannot download; left alone. Turn off Save"
                " Magnet Files in the Torrent Blackhole client of Radarr or Sonarr",
                for_log(name),
            )

    @staticmethod
    def _first_time(seen: _Seen, topic: str) -> bool:
        if topic in seen.said:
            return False
        seen.said += (topic,)
        return True

    def _look_again_soon(self, name: str) -> None:
        self._again[name] = self._clock.monotonic() + SOON_SECONDS

    def _take_forgotten(self, name: str) -> bool:
        with self._forgotten_lock:
            known = name in self._forgotten
            self._forgotten.discard(name)
            return known


def hash_of(data: bytes) -> str:
    """The info hash of a stub; "" for one made by hand without an info dictionary."""
    try:
        return info_hash(data)
    except UserError:
        return ""


def _age_order(item: tuple[str, os.stat_result | OSError]) -> int:
    """Oldest first keeps the order in which stubs were dropped."""
    status = item[1]
    return 0 if isinstance(status, OSError) else status.st_mtime_ns


__all__ = ["Drop", "Inbox", "Intake", "Verdict"]
