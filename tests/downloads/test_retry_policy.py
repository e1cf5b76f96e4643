"""What a failed attempt means, as tables."""

from __future__ import annotations

import pytest

from jack.downloads.retry import GiveUp, RetryPolicy, Trial, Wait, judge
from jack.errors import (
    JackError,
    NoSpace,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    ProtocolError,
    StorageError,
    TooSlow,
    TransientError,
)
from jack.model import WaitReason
from jack.support.pauses import Pauses

POLICY = RetryPolicy(Pauses(1.0, 1800.0), max_attempts=13)


def half() -> float:
    return 0.5


def wait_for(error: JackError, trial: Trial | None = None) -> Wait:
    verdict = judge(POLICY, trial or Trial(), error, half)
    assert isinstance(verdict, Wait), verdict
    return verdict


def gives_up(error: JackError, trial: Trial | None = None) -> str:
    verdict = judge(POLICY, trial or Trial(), error, half)
    assert isinstance(verdict, GiveUp), verdict
    return verdict.sentence


def test_fewer_than_one_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RetryPolicy(Pauses(1.0, 2.0), 0)


@pytest.mark.parametrize(
    ("failures", "lowest", "highest"),
    [(1, 1.0, 2.0), (2, 1.0, 4.0), (5, 1.0, 32.0), (11, 1.0, 1800.0), (5000, 1.0, 1800.0)],
)
def test_backoff_is_exponential_with_full_jitter_between_base_and_maximum(
    failures: int, lowest: float, highest: float
) -> None:
    assert POLICY.pauses.spread(failures, lambda: 0.0) == lowest
    assert POLICY.pauses.spread(failures, lambda: 1.0) == highest


@pytest.mark.fault("N12")
def test_two_downloads_that_fail_together_do_not_come_back_together() -> None:
    jitters = iter([0.1, 0.9])
    first, second = (POLICY.pauses.spread(4, lambda: next(jitters)) for _ in range(2))
    assert first != second


def test_retry_after_is_honoured_exactly_and_without_jitter() -> None:
    verdict = wait_for(TransientError("busy", retry_after_seconds=7.0))
    assert (verdict.delay_seconds, verdict.reason) == (7.0, WaitReason.COOLDOWN)


def test_the_thirteenth_fruitless_try_in_a_row_is_the_last() -> None:
    error = TransientError("broke")
    assert wait_for(error, Trial(fruitless=11)).fruitless == 12
    assert "13 attempts in a row" in gives_up(error, Trial(fruitless=12))


@pytest.mark.fault("N6")
def test_progress_resets_the_count() -> None:
    verdict = wait_for(TransientError("broke"), Trial(brought_bytes=True, fruitless=12))
    assert verdict.fruitless == 0


def test_a_trickle_counts_as_no_progress() -> None:
    assert wait_for(TooSlow("slow"), Trial(brought_bytes=True, fruitless=3)).fruitless == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoSpace("full"), WaitReason.SPACE),
        (StorageError("EIO"), WaitReason.STORAGE),
        (PeerRefused("401"), WaitReason.REFUSED),
    ],
)
def test_what_is_not_the_fault_of_the_file_costs_no_attempt(
    error: JackError, reason: WaitReason
) -> None:
    verdict = wait_for(error, Trial(fruitless=12, peer_pause_seconds=60.0))
    assert (verdict.reason, verdict.fruitless, verdict.counts) == (reason, 12, False)


def test_a_permanent_error_ends_the_download_at_once() -> None:
    assert gives_up(PermanentError("gone")) == "gone"


def test_nonsense_is_an_accident_once_and_final_twice_in_a_row() -> None:
    error = ProtocolError("nonsense")
    assert wait_for(error).reason is WaitReason.PROTOCOL
    assert "second answer in a row" in gives_up(error, Trial(was_protocol_error=True))
    assert wait_for(error, Trial(was_protocol_error=True, brought_bytes=True))


def test_a_sleeping_peer_outlives_the_attempts_but_not_for_ever() -> None:
    patience = POLICY.unreachable_patience_seconds
    assert 12 * 3600 < patience < 48 * 3600
    asleep = Trial(fruitless=500, peer_pause_seconds=9.0, unreachable_seconds=patience - 1)
    verdict = wait_for(PeerUnreachable("asleep"), asleep)
    assert (verdict.delay_seconds, verdict.fruitless) == (9.0, 500)
    assert "asleep" in gives_up(PeerUnreachable("asleep"), Trial(unreachable_seconds=patience))
