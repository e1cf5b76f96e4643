"""What a failed attempt means: wait how long, for what, or give up. Pure: values in, a verdict
out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jack.errors import (
    JackError,
    NoSpace,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    ProtocolError,
    Shortage,
    StorageError,
    TooSlow,
    TransientError,
)
from jack.model import WaitReason
from jack.support.pauses import Pauses
from jack.support.waits import (
    SHORTAGE_LOOK_SECONDS,
    SPACE_LOOK_SECONDS,
    STORAGE_LOOK_SECONDS,
)

UNREACHABLE_FACTOR = 24
"""A peer that cannot be reached at all sleeps more often than it is gone. It gets this many times
the whole schedule of `max_attempts` delays (about a day with the defaults) before a download fails
for it.
"""

Jitter = Callable[[], float]
"""Uniform in [0, 1)."""


@dataclass(frozen=True)
class RetryPolicy:
    """The numbers of the config's `downloads` block."""

    pauses: Pauses
    max_attempts: int

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("maxDownloadAttempts must be at least 1")

    @property
    def unreachable_patience_seconds(self) -> float:
        """How long a peer may be unreachable before its downloads fail for good."""
        return UNREACHABLE_FACTOR * sum(
            self.pauses.after(failures) for failures in range(1, self.max_attempts)
        )


@dataclass(frozen=True)
class Trial:
    """What is known of the attempt that just failed.

    `brought_bytes`: it got further than any attempt before, or further than it started without
    starting over. `fruitless`: attempts in a row before this one that did not.
    `was_protocol_error`: the one before ended in nonsense too. `peer_pause_seconds`: how long the
    peer is left alone because of this error, None when it is not. `unreachable_seconds`: for how
    long nobody could reach it.
    """

    brought_bytes: bool = False
    fruitless: int = 0
    was_protocol_error: bool = False
    peer_pause_seconds: float | None = None
    unreachable_seconds: float = 0.0


@dataclass(frozen=True)
class Wait:
    """Try again in `delay_seconds`; `counts` is False when the attempt is not to be counted."""

    reason: WaitReason
    delay_seconds: float
    fruitless: int
    counts: bool = True


@dataclass(frozen=True)
class GiveUp:
    """Failed for good."""

    sentence: str


def judge(policy: RetryPolicy, trial: Trial, error: JackError, jitter: Jitter) -> Wait | GiveUp:
    """The rules of retrying, in the order in which they apply."""
    pause = trial.peer_pause_seconds or 0.0
    if isinstance(error, NoSpace):
        return Wait(WaitReason.SPACE, SPACE_LOOK_SECONDS, trial.fruitless, counts=False)
    if isinstance(error, Shortage):
        return Wait(WaitReason.STORAGE, SHORTAGE_LOOK_SECONDS, trial.fruitless, counts=False)
    if isinstance(error, StorageError):
        return Wait(WaitReason.STORAGE, STORAGE_LOOK_SECONDS, trial.fruitless, counts=False)
    if isinstance(error, PeerRefused):
        return Wait(WaitReason.REFUSED, pause, trial.fruitless, counts=False)
    if isinstance(error, PeerUnreachable):
        if trial.unreachable_seconds < policy.unreachable_patience_seconds:
            return Wait(WaitReason.UNREACHABLE, pause, trial.fruitless)
        return GiveUp(f"{error}; it has been like that for {trial.unreachable_seconds:.0f} s")
    if isinstance(error, PermanentError) or not isinstance(error, TransientError):
        return GiveUp(str(error))
    if isinstance(error, ProtocolError) and trial.was_protocol_error and not trial.brought_bytes:
        return GiveUp(f"{error}; it was the second answer in a row that makes no sense")
    return _transient(policy, trial, error, jitter)


def _transient(
    policy: RetryPolicy, trial: Trial, error: TransientError, jitter: Jitter
) -> Wait | GiveUp:
    progressed = trial.brought_bytes and not isinstance(error, TooSlow)
    fruitless = 0 if progressed else trial.fruitless + 1
    if fruitless >= policy.max_attempts:
        return GiveUp(f"{error}; {fruitless} attempts in a row brought next to nothing")
    if error.retry_after_seconds is not None:
        return Wait(WaitReason.COOLDOWN, error.retry_after_seconds, fruitless)
    reason = WaitReason.PROTOCOL if isinstance(error, ProtocolError) else WaitReason.RETRY
    return Wait(reason, policy.pauses.spread(max(1, fruitless), jitter), fruitless)
