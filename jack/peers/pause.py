"""For how long somebody who failed is left alone, and why."""

from __future__ import annotations

from jack.support.clock import Clock


class Pause:
    """Until an answer comes it is counted what failed. Its owner holds the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_seconds = 0.0
        self._failures = 0
        self._failing_since: float | None = None
        self._said = False
        self.why = ""

    @property
    def seconds_left(self) -> float:
        """How long it still lasts; 0 when it is over."""
        return max(0.0, self._until_seconds - self._clock.monotonic())

    @property
    def failing_seconds(self) -> float:
        """Since the first failure after the last answer; 0 when there was none."""
        since = self._failing_since
        return 0.0 if since is None else self._clock.monotonic() - since

    def failed(self) -> int:
        """One more failure; how often in a row that is. Failures during a pause are those of
        requests begun before it, and count as one.
        """
        if not self.seconds_left:
            self._failures += 1
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        return max(1, self._failures)

    def begin(self, seconds: float, why: str, *, until_answer: bool = True) -> bool:
        """Pause for `seconds`, or for longer if it did already. Returns whether this is news: the
        moment to say so once, `until_answer` or else until the pause is over.
        """
        first = not self._said and not self.seconds_left
        self._until_seconds = max(self._until_seconds, self._clock.monotonic() + seconds)
        self._said = self._said or until_answer
        self.why = why
        return first

    def cut_short(self) -> None:
        self._until_seconds = 0.0

    def answered(self) -> bool:
        """Forget the failures, but not what is left of the pause. Returns whether there were
        any.
        """
        was_failing = self._failing_since is not None
        self._failures, self._failing_since, self._said = 0, None, False
        return was_failing
