from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from jack.blackhole.reasons import MAX_HINTS, Left, Reasons


@dataclass(frozen=True)
class Remark:
    why: str = "a reason"


def test_hints_come_out_in_order_and_once(reasons: Reasons) -> None:
    for name in ("b", "a", "b"):
        reasons.notice(name)
    assert reasons.take(0, 10).hints == ["b", "a"]
    assert reasons.take(0, 10) == Left()


def test_hints_that_are_not_taken_at_once_end_the_next_wait(reasons: Reasons) -> None:
    for name in ("a", "b", "c"):
        reasons.notice(name)
    assert reasons.take(600, 2).hints == ["a", "b"]
    assert reasons.take(600, 2).hints == ["c"]


@pytest.mark.fault("W7")
def test_of_too_many_hints_the_newest_are_kept(reasons: Reasons) -> None:
    for number in range(MAX_HINTS + 2):
        reasons.notice(str(number))
    hints = reasons.take(0, 2 * MAX_HINTS).hints
    assert (hints[0], hints[-1], len(hints)) == ("2", str(MAX_HINTS + 1), MAX_HINTS)


def test_what_the_owner_says_comes_out_once(reasons: Reasons) -> None:
    reasons.forget("a")
    reasons.again("b", 10.0, Remark())
    reasons.room("15ee3276")
    assert reasons.take(600, 10) == Left([], ["a"], [("b", 10.0, Remark())], ["15ee3276"])
    assert reasons.take(0, 10) == Left()


@pytest.mark.parametrize(
    "act",
    [
        lambda reasons: reasons.notice("a"),
        lambda reasons: reasons.forget("a"),
        lambda reasons: reasons.again("a", 10.0, Remark()),
        lambda reasons: reasons.room("15ee3276"),
        Reasons.wake,
    ],
)
def test_whatever_is_left_ends_the_wait(reasons: Reasons, act: Callable[[Reasons], None]) -> None:
    done = threading.Event()

    def wait() -> None:
        reasons.take(600, 10)
        done.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    act(reasons)
    assert done.wait(20)
    thread.join(20)


def test_a_wake_up_ends_one_wait_only(reasons: Reasons) -> None:
    reasons.wake()
    started = time.monotonic()
    reasons.take(600, 10)
    reasons.take(0.05, 10)
    assert time.monotonic() - started >= 0.05
