"""Where file events and others leave names for intake: all that a watchdog handler touches."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Final

MAX_PENDING_NAMES: Final = 10_000


@dataclass(frozen=True)
class Mail:
    """What was left: names in the order they came, and whether a full scan is wanted."""

    names: tuple[str, ...]
    scan: bool


class Inbox:
    """A bounded, duplicate-free queue of file names. Every method may be called from any thread."""

    def __init__(self, max_names: int = MAX_PENDING_NAMES) -> None:
        self._max_names = max_names
        self._changed = threading.Condition()
        self._names: dict[str, None] = {}
        self._scan = False
        self._awake = False

    def put(self, name: str) -> None:
        """Ask for a look at one name. Too many names at once become one scan request."""
        with self._changed:
            if len(self._names) >= self._max_names and name not in self._names:
                self._names.clear()
                self._scan = True
            else:
                self._names[name] = None
            self._changed.notify()

    def request_scan(self) -> None:
        """Ask for a look at the whole folder."""
        with self._changed:
            self._scan = True
            self._changed.notify()

    def wake(self) -> None:
        """Make `take` return now, with nothing if there is nothing: for a stop."""
        with self._changed:
            self._awake = True
            self._changed.notify()

    def take(self, timeout_seconds: float, max_names: int | None = None) -> Mail:
        """What was left since the last call, at most `max_names` of the names (the first ones);
        waits up to `timeout_seconds` for something.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._names or self._scan or self._awake, max(0.0, timeout_seconds)
            )
            mail = Mail(tuple(itertools.islice(self._names, max_names)), self._scan)
            for name in mail.names:
                del self._names[name]
            self._scan = self._awake = False
            return mail
