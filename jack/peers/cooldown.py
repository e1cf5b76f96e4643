"""For how long somebody who failed is left alone: longer each time, until an answer comes."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from jack.support.clock import Clock


@dataclass
class _Failing:
    until_seconds: float
    failures: int


class Cooldown:
    """By key, in monotonic seconds: `first_seconds`, twice as long each time, `longest_seconds`.

    Thread-safe.
    """

    def __init__(
        self, clock: Clock, first_seconds: float = 15.0, longest_seconds: float = 300.0
    ) -> None:
        self._clock = clock
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._lock = threading.Lock()
        self._failing: dict[str, _Failing] = {}

    def seconds_left(self, key: str) -> float:
        """How long `key` is still to be left alone; 0 when it may be asked."""
        with self._lock:
            known = self._failing.get(key)
            return max(0.0, known.until_seconds - self._clock.monotonic()) if known else 0.0

    def failed(self, key: str, at_least_seconds: float = 0.0) -> bool:
        """Leave `key` alone for a while, for `at_least_seconds` when it asked for that.

        Returns whether it was fine until now: the moment to say so once. Failures during a
        cool-down do not prolong it: they are of requests begun before.
        """
        with self._lock:
            now = self._clock.monotonic()
            known = self._failing.get(key)
            if known is not None and known.until_seconds > now:
                known.until_seconds = max(known.until_seconds, now + at_least_seconds)
                return False
            failures = known.failures + 1 if known else 1
            grown = self._first_seconds * 2.0 ** min(failures - 1, 30)
            seconds = max(at_least_seconds, min(grown, self._longest_seconds))
            self._failing[key] = _Failing(now + seconds, failures)
            return known is None

    def answered(self, key: str) -> bool:
        """Forget the failures of `key`. Returns whether there were any."""
        with self._lock:
            return self._failing.pop(key, None) is not None
