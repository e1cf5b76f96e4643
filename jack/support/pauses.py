"""The growing pauses between tries: the one formula of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_MOST_DOUBLINGS = 40


@dataclass(frozen=True)
class Pauses:
    """`first` seconds, doubled with each failure, never above `longest`."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """The pause after so many failures in a row, counted from 1."""
        return min(self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest)

    def spread(self, failures: int, jitter: Callable[[], float]) -> float:
        """As `after`, with full jitter: `jitter`, in [0, 1), chooses between the first pause and
        the next one, so that those who failed together do not come back together.
        """
        return self.first + jitter() * (self.after(failures + 1) - self.first)
