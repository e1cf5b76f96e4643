"""One file of the watch folder: is it worth reading, is it whole, is it a stub, is it wanted?"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jack.blackhole.drops import Accept, Drop, Verdict
from jack.blackhole.known import Known, Outcome, Seen, mark_of
from jack.blackhole.names import MAGNET_SUFFIX, for_log
from jack.blackhole.reading import Snapshot, fingerprint, snapshot
from jack.blackhole.stub import MAX_STUB_BYTES, NoStub, announced_bytes, read_torrent
from jack.support.clock import Clock

log = logging.getLogger(__name__)

UNREADABLE_SAID_AFTER_SECONDS: Final = 60.0
"""A file nobody has changed for this long is not just half written."""
REREAD_FOR_SECONDS: Final = 600.0
"""So long an unreadable file is read at every scan: a coarse mtime may hide its end."""
RACY_SECONDS: Final = 2.0
"""A file read so soon after its mtime may change again under the same mtime (FAT keeps 2 s)."""

_GONE = {errno.ENOENT, errno.ELOOP, errno.ENXIO}
"""Removed meanwhile, a dangling or circular link, a socket: nothing anybody has to hear of."""
_OUTCOMES = {
    Verdict.TAKEN: Outcome.TAKEN,
    Verdict.LATER: Outcome.LATER,
    Verdict.UNKNOWN_PEER: Outcome.UNKNOWN_PEER,
}


class Judge:
    """Looks at one name at a time and hands whole stubs to `accept`, once per content.

    `soon` is told a name that is being written right now; `later` a name and its peer when the
    owner has no room for it.
    """

    def __init__(
        self,
        folder: Path,
        known: Known,
        accept: Accept,
        clock: Clock,
        soon: Callable[[str], None],
        later: Callable[[str, str], None],
    ) -> None:
        self._folder = folder
        self._path = os.path.join(folder, "")  # joining pathlib paths costs as much as a stat
        self._known = known
        self._accept = accept
        self._clock = clock
        self._soon = soon
        self._later = later
        self._notes: dict[str, tuple[int, object]] = {}

    def is_news(self, name: str, status: os.stat_result | OSError) -> bool:
        """Whether a name with that stat has to be looked at."""
        if isinstance(status, OSError) or not stat.S_ISREG(status.st_mode):
            return True
        return not self._known.is_settled(name, mark_of(fingerprint(status)))

    def look_at(self, name: str) -> None:
        """Nothing happens when there is nothing (any more)."""
        try:
            status = os.stat(self._path + name)
        except OSError as error:
            self._cannot_read(name, error)
            return
        if not stat.S_ISREG(status.st_mode):
            self.forget(name)
        elif name.lower().endswith(MAGNET_SUFFIX):
            self._say_magnet(name)
        elif self._is_worth_reading(name, status):
            self._read(name)

    def leave_note(self, name: str, note: object) -> None:
        """For the owner of the stub, when it is handed on again with the content it has now."""
        self._notes[name] = (self._known.open(name).mark, note)
        self._known.close(name)

    def forget(self, name: str) -> None:
        """Treat the name as never seen."""
        self._known.forget(name)
        self._notes.pop(name, None)

    def _is_worth_reading(self, name: str, status: os.stat_result) -> bool:
        mark = mark_of(fingerprint(status))
        if self._known.is_settled(name, mark):
            return False
        seen = self._known.seen(name)
        if seen is None or seen.mark != mark:
            return True
        if seen.outcome is Outcome.UNREADABLE:
            return self._clock.monotonic() - seen.since_seconds < REREAD_FOR_SECONDS
        return not seen.is_settled or seen.racy

    def _read(self, name: str) -> None:
        try:
            content = snapshot(self._path + name)
        except OSError as error:
            self._cannot_read(name, error)
            return
        if content is not None:
            self._judge(name, content)
            self._known.close(name)

    def _judge(self, name: str, content: Snapshot) -> None:
        seen, mark = self._known.open(name), mark_of(content.fingerprint)
        changed = seen.mark != mark
        if changed:
            seen.mark = mark
            seen.since_seconds = self._clock.monotonic()
            seen.outcome = Outcome.OPEN
        age_seconds = self._clock.now().timestamp() - content.modified_seconds
        seen.racy = abs(age_seconds) < RACY_SECONDS
        if not content.steady:
            seen.outcome = Outcome.UNREADABLE
            self._soon(name)
            return
        result, info_hash = (
            (NoStub.FOREIGN, "") if content.too_large else read_torrent(content.data)
        )
        if result is NoStub.UNREADABLE:
            self._unreadable(name, seen, changed)
        elif result is NoStub.FOREIGN:
            self._foreign(name, seen, content.too_large)
        elif seen.stub_mark != mark_of(result) or not seen.is_settled:
            drop = Drop(
                name,
                self._folder / name,
                content.fingerprint,
                result,
                info_hash,
                announced_bytes(content.data),
                self._note(name, mark),
            )
            self._hand_on(drop, seen)

    def _note(self, name: str, mark: int) -> object:
        marked, note = self._notes.pop(name, (mark, None))
        return note if marked == mark else None

    def _hand_on(self, drop: Drop, seen: Seen) -> None:
        name, stub = drop.name, drop.stub
        try:
            verdict = self._accept(drop)
        except Exception:
            seen.outcome = Outcome.OPEN
            if seen.first_time(f"bug {seen.mark}"):
                log.exception(
                    "%s could not be taken: a bug in jack; the stub stays and is tried again at"
                    " each scan",
                    for_log(name),
                )
            return
        seen.stub_mark = mark_of(stub)
        seen.outcome = _OUTCOMES[verdict]
        if verdict is Verdict.LATER:
            if drop.note is not None:
                self._notes[name] = (seen.mark, drop.note)
            self._later(name, stub.peer_id)
        elif verdict is Verdict.UNKNOWN_PEER and seen.first_time(Outcome.UNKNOWN_PEER.name):
            log.warning(
                "%s names friend %s, who is not in the config (a friend's id changes with the url):"
                " add the peer, or remove the stub; it stays where it is",
                for_log(name),
                stub.peer_id,
            )

    def _foreign(self, name: str, seen: Seen, too_large: bool) -> None:
        seen.outcome = Outcome.FOREIGN
        seen.stub_mark = -1
        if seen.first_time(Outcome.FOREIGN.name):
            log.info(
                "%s is not jack's stub: %s; left alone",
                for_log(name),
                f"it is larger than {MAX_STUB_BYTES} bytes"
                if too_large
                else "it belongs to a torrent client",
            )

    def _unreadable(self, name: str, seen: Seen, changed: bool) -> None:
        seen.outcome = Outcome.UNREADABLE
        if changed:
            self._soon(name)
        unchanged_seconds = self._clock.monotonic() - seen.since_seconds
        if unchanged_seconds >= UNREADABLE_SAID_AFTER_SECONDS and seen.first_time("torn"):
            log.warning("%s is not a readable torrent (yet); it stays where it is", for_log(name))

    def _cannot_read(self, name: str, error: OSError) -> None:
        if error.errno in _GONE:
            self.forget(name)
        elif self._known.open(name).first_time("unreachable"):
            log.warning(
                "%s cannot be read (%s): jack's user has to be able to read and delete in the watch"
                " folder; it is tried again at each scan",
                for_log(name),
                error.strerror,
            )

    def _say_magnet(self, name: str) -> None:
        if self._known.open(name).first_time("magnet"):
            log.warning(
                "%s is a magnet link, which jack cannot download; left alone. Turn off Save"
                " Magnet Files in the Torrent Blackhole client of Radarr or Sonarr",
                for_log(name),
            )
