"""Why the watch folder is looked into: file events, and what the owner of the stubs says of them.

Left by any thread, and taken by intake's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from jack.blackhole.drops import Note

MAX_HINTS: Final = 1000
"""Of more names the oldest are dropped, for the scan to find: a flood of one peer's stubs must not
keep a single one of another peer's waiting."""


@dataclass
class Left:
    """What was left since the last look."""

    hints: list[str] = field(default_factory=list)
    """Names that file events told; a scan is wanted when there are any."""
    forgotten: list[str] = field(default_factory=list)
    put_off: list[tuple[str, float, Note]] = field(default_factory=list)
    """Name, seconds, note."""
    peers_with_room: list[str] = field(default_factory=list)


class Reasons:
    """Every method but `take` may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hints: OrderedDict[str, None] = OrderedDict()
        self._left = Left()
        self._awake = False

    def notice(self, name: str) -> None:
        """The folder has changed: scan it, and look at `name` first."""
        with self._changed:
            self._hints[name] = None
            if len(self._hints) > MAX_HINTS:
                self._hints.popitem(last=False)
            self._wake()

    def forget(self, name: str) -> None:
        """Look at `name` as if it had never been seen: its owner let go of it."""
        with self._changed:
            self._left.forgotten.append(name)
            self._wake()

    def again(self, name: str, seconds: float, note: Note) -> None:
        """Hand `name` on once more in `seconds`, with `note` if it still says the same: its owner
        let go of it.
        """
        with self._changed:
            self._left.put_off.append((name, seconds, note))
            self._wake()

    def room(self, peer_id: str) -> None:
        """There is room for stubs of that peer, or it has become known."""
        with self._changed:
            self._left.peers_with_room.append(peer_id)
            self._wake()

    def wake(self) -> None:
        """Make `take` return now, with nothing if there is nothing: for a stop."""
        with self._changed:
            self._wake()

    def take(self, timeout_seconds: float, max_hints: int) -> Left:
        """What was left, with the first `max_hints` of the hints; waits up to `timeout_seconds`
        for something.
        """
        with self._changed:
            if not self._awake:
                self._changed.wait(max(0.0, timeout_seconds))
            left, self._left = self._left, Left()
            while self._hints and len(left.hints) < max_hints:
                left.hints.append(self._hints.popitem(last=False)[0])
            self._awake = bool(self._hints)
            return left

    def _wake(self) -> None:
        self._awake = True
        self._changed.notify()
