"""How long an address that sends wrong keys waits for the answer. Bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from jack.support.clock import Clock
from jack.support.waits import WRONG_KEY_PAUSES, WRONG_KEYS_FORGOTTEN_SECONDS

FREE = 10
"""So many wrong keys are answered at once: a key that was changed is no guess."""
MOST_ADDRESSES = 1024
_MOST_COUNTED = FREE + 10


class Guesses:
    """Counts wrong keys per address; each doubles the wait of the next. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wrong(self, home: str) -> float:
        """One more from there; after how many seconds it is answered."""
        now = self._clock.monotonic()
        with self._lock:
            count, last_seconds = self._counts.pop(home, (0, now))
            if now - last_seconds > WRONG_KEYS_FORGOTTEN_SECONDS:
                count = 0
            self._counts[home] = (min(count + 1, _MOST_COUNTED), now)
            while len(self._counts) > MOST_ADDRESSES:
                self._counts.popitem(last=False)
        return WRONG_KEY_PAUSES.after(count - FREE + 1) if count >= FREE else 0.0
