"""What is due when, by monotonic time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jack.support.clock import SystemClock
from jack.support.timer import Timer
from tests.support.clock import FakeClock
from tests.support.waiting import eventually


def test_actions_run_in_the_order_of_their_time(clock: FakeClock) -> None:
    timer, done = Timer(clock), list[str]()
    timer.after(20, lambda: done.append("b"), "b")
    timer.after(10, lambda: done.append("a"), "a")
    assert timer.run_due() == 10
    clock.advance(30)
    assert timer.run_due() is None
    assert done == ["a", "b"]


def test_a_new_entry_for_a_key_replaces_the_old_one(clock: FakeClock) -> None:
    timer, done = Timer(clock), list[str]()
    timer.after(10, lambda: done.append("old"), "row")
    timer.after(20, lambda: done.append("new"), "row")
    clock.advance(15)
    assert timer.run_due() == 5
    clock.advance(5)
    timer.run_due()
    assert done == ["new"]


def test_a_cancelled_action_never_runs(clock: FakeClock) -> None:
    timer, done = Timer(clock), list[str]()
    timer.after(0, lambda: done.append("x"), "row")
    timer.cancel("row")
    assert timer.run_due() is None
    assert done == []


@pytest.mark.fault("C16", "T2")
def test_a_wall_clock_that_jumps_changes_nothing(clock: FakeClock) -> None:
    timer = Timer(clock)
    timer.after(10, lambda: None, "row")
    clock.jump_wall(-3600)
    assert timer.run_due() == 10
    clock.jump_wall(+7200)
    assert timer.run_due() == 10


@pytest.mark.fault("C14")
def test_a_bug_in_one_action_is_logged_and_the_next_one_runs(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    timer, done = Timer(clock), list[str]()
    timer.after(0, lambda: 1 / 0, "bad")
    timer.after(0, lambda: done.append("good"), "good")
    timer.run_due()
    assert done == ["good"]
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def real() -> Iterator[Timer]:
    """With its thread, by the machine's clock."""
    timer = Timer(SystemClock())
    thread = threading.Thread(target=timer.run)
    thread.start()
    yield timer
    timer.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_the_thread_runs_what_is_added_while_it_waits(real: Timer) -> None:
    done = threading.Event()
    eventually(lambda: real.is_idle)
    real.after(0, done.set)
    assert done.wait(20)


def test_a_shorter_wait_that_comes_later_is_not_kept_by_a_longer_one(real: Timer) -> None:
    first, second = threading.Event(), threading.Event()
    real.after(3600, first.set)
    eventually(lambda: real.is_idle)
    real.after(0.01, second.set)
    assert second.wait(20)
    assert not first.is_set()


def test_of_many_waits_only_what_was_not_cancelled_runs_in_its_order(clock: FakeClock) -> None:
    timer, done = Timer(clock), list[int]()
    for number in range(1000):
        key = timer.after(1000 - number, lambda number=number: done.append(number))  # type: ignore[misc]
        if number % 100:
            timer.cancel(key)
    clock.advance(1000)
    assert timer.run_due() is None
    assert done == list(range(900, -1, -100))


def test_started_twice_it_has_one_thread() -> None:
    def threads() -> int:
        return sum(thread.name == "once" for thread in threading.enumerate())

    timer, up = Timer(SystemClock()), threading.Event()
    timer.started("once").started("once").after(0.01, up.set)
    assert up.wait(20)
    assert threads() == 1
    timer.stop()
    eventually(lambda: threads() == 0)


def test_an_action_may_put_itself_back(clock: FakeClock) -> None:
    timer, times = Timer(clock), list[float]()

    def tick() -> None:
        times.append(clock.monotonic())
        timer.after(5, tick, "tick")

    tick()
    for _ in range(3):
        clock.advance(5)
        timer.run_due()
    assert [later - times[0] for later in times] == [0, 5, 10, 15]
    assert eventually(lambda: len(times) == 4)
