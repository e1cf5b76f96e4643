"""One file of the watch folder: is it worth reading, is it whole, is it one of jack's stubs?"""

from __future__ import annotations

import errno
import logging
import math
import os
import stat
from pathlib import Path
from typing import Final

from jack.blackhole.drops import Drop
from jack.blackhole.names import MAGNET_SUFFIX, for_log
from jack.blackhole.reading import Snapshot, mark_of, snapshot
from jack.blackhole.seen import Record, SeenNames, State
from jack.blackhole.stub import MAX_STUB_BYTES, NoStub, announced_bytes, read_torrent
from jack.model import Stub
from jack.support.clock import Clock
from jack.support.waits import REREAD_FOR_SECONDS, SOON_SECONDS, UNREADABLE_SAID_AFTER_SECONDS

log = logging.getLogger(__name__)

RACY_SECONDS: Final = 2.0
"""A file read so soon after its mtime may change again under the same mtime (FAT keeps 2 s)."""

_GONE = {errno.ENOENT, errno.ELOOP, errno.ENXIO}
"""Removed meanwhile, a dangling or circular link, a socket: nothing anybody has to hear of."""


class Judge:
    """Looks at one name at a time, and keeps its record."""

    def __init__(self, folder: Path, records: SeenNames, clock: Clock) -> None:
        self._folder = folder
        self._path = os.path.join(folder, "")  # joining pathlib paths costs as much as a stat
        self._records = records
        self._clock = clock

    def is_news(self, name: str, status: os.stat_result | OSError, scan: int) -> bool:
        """Whether a name that this scan has seen is to be looked at."""
        record = self._records.get(name)
        if record is not None:
            record.scan = scan
        if isinstance(status, OSError) or not stat.S_ISREG(status.st_mode):
            return True
        return record is None or not self._is_to_be_left(record, mark_of(status))

    def look_at(self, name: str) -> Drop | None:
        """A whole stub that is to be handed on now; each content is once."""
        try:
            status = os.stat(self._path + name)
            if not stat.S_ISREG(status.st_mode):
                self._records.forget(name)
                return None
            record = self._records.open(name)
            if self._is_to_be_left(record, mark_of(status)):
                return None
            if name.lower().endswith(MAGNET_SUFFIX):
                self._magnet(name, record, mark_of(status))
                return None
            content = snapshot(self._path + name)
        except OSError as error:
            self._cannot_read(name, error)
            return None
        return self._judge(name, record, content) if content is not None else None

    def _is_to_be_left(self, record: Record, mark: int) -> bool:
        return record.mark == mark and self._clock.monotonic() < record.until

    def _judge(self, name: str, record: Record, content: Snapshot) -> Drop | None:
        result, info_hash = (
            (NoStub.FOREIGN, "") if content.too_large else read_torrent(content.data)
        )
        if not content.steady or result is NoStub.UNREADABLE:
            self._unreadable(name, record, content)
            return None
        racy_mark = mark_of((content.mark, result))  # fits no stat: every scan reads it again
        is_known = record.mark in (content.mark, racy_mark)
        age_seconds = self._clock.now().timestamp() - content.modified_seconds
        record.mark = racy_mark if abs(age_seconds) < RACY_SECONDS else content.mark
        if is_known and self._clock.monotonic() < record.until:
            return None
        note = self._records.notes.pop(name, None)
        if not isinstance(result, Stub):
            self._foreign(name, record, content.too_large)
            return None
        return Drop(
            name,
            self._folder / name,
            content.fingerprint,
            result,
            info_hash,
            announced_bytes(content.data),
            note if is_known else None,
        )

    def _foreign(self, name: str, record: Record, too_large: bool) -> None:
        record.state, record.until = State.FOREIGN, math.inf
        if record.first_time(State.FOREIGN):
            log.info(
                "%s is not jack's stub: %s; left alone",
                for_log(name),
                f"it is larger than {MAX_STUB_BYTES} bytes"
                if too_large
                else "it belongs to a torrent client",
            )

    def _magnet(self, name: str, record: Record, mark: int) -> None:
        record.state, record.until, record.mark = State.MAGNET, math.inf, mark
        if record.first_time(State.MAGNET):
            log.warning(
                "%s is a magnet link, which jack cannot download; left alone. Turn off Save"
                " Magnet Files in the Torrent Blackhole client of Radarr or Sonarr",
                for_log(name),
            )

    def _unreadable(self, name: str, record: Record, content: Snapshot) -> None:
        now = self._clock.monotonic()
        is_same = record.state is State.UNREADABLE and record.mark == content.mark
        if not content.steady or not is_same:
            record.state, record.mark, record.since = State.UNREADABLE, content.mark, now
            self._records.put_off(name, now + SOON_SECONDS)
            return
        record.until = now if now - record.since < REREAD_FOR_SECONDS else math.inf
        if now - record.since >= UNREADABLE_SAID_AFTER_SECONDS and record.first_time(record.state):
            log.warning("%s is not a readable torrent (yet); it stays where it is", for_log(name))

    def _cannot_read(self, name: str, error: OSError) -> None:
        if error.errno in _GONE:
            self._records.forget(name)
        elif self._records.open(name).first_time(State.UNREACHABLE):
            log.warning(
                "%s cannot be read (%s): jack's user has to be able to read and delete in the watch"
                " folder; it is tried again at each scan",
                for_log(name),
                error.strerror,
            )
