"""What is due when, by monotonic time."""

from __future__ import annotations

import threading

import pytest

from jack.downloads.agenda import Agenda
from tests.support.clock import FakeClock
from tests.support.waiting import eventually


def test_actions_run_in_the_order_of_their_time(clock: FakeClock) -> None:
    agenda, done = Agenda(clock), list[str]()
    agenda.after(20, "b", lambda: done.append("b"))
    agenda.after(10, "a", lambda: done.append("a"))
    assert agenda.run_due() == 10
    clock.advance(30)
    assert agenda.run_due() is None
    assert done == ["a", "b"]


def test_a_new_entry_for_a_key_replaces_the_old_one(clock: FakeClock) -> None:
    agenda, done = Agenda(clock), list[str]()
    agenda.after(10, "row", lambda: done.append("old"))
    agenda.after(20, "row", lambda: done.append("new"))
    clock.advance(15)
    assert agenda.run_due() == 5
    clock.advance(5)
    agenda.run_due()
    assert done == ["new"]


def test_a_cancelled_action_never_runs(clock: FakeClock) -> None:
    agenda, done = Agenda(clock), list[str]()
    agenda.after(0, "row", lambda: done.append("x"))
    agenda.cancel("row")
    assert agenda.run_due() is None
    assert done == []


@pytest.mark.fault("C16", "T2")
def test_a_wall_clock_that_jumps_changes_nothing(clock: FakeClock) -> None:
    agenda = Agenda(clock)
    agenda.after(10, "row", lambda: None)
    clock.jump_wall(-3600)
    assert agenda.run_due() == 10
    clock.jump_wall(+7200)
    assert agenda.run_due() == 10


@pytest.mark.fault("C14")
def test_a_bug_in_one_action_is_logged_and_the_next_one_runs(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    agenda, done = Agenda(clock), list[str]()
    agenda.after(0, "bad", lambda: 1 / 0)
    agenda.after(0, "good", lambda: done.append("good"))
    agenda.run_due()
    assert done == ["good"]
    assert "ZeroDivisionError" in caplog.text


def test_the_thread_runs_what_is_added_while_it_waits(clock: FakeClock) -> None:
    agenda, stop, done = Agenda(clock), threading.Event(), threading.Event()
    thread = threading.Thread(target=agenda.run, args=(stop,))
    thread.start()
    agenda.after(0, "now", done.set)
    assert done.wait(10)
    stop.set()
    agenda.wake()
    thread.join(10)
    assert not thread.is_alive()


def test_an_action_may_put_itself_back(clock: FakeClock) -> None:
    agenda, times = Agenda(clock), list[float]()

    def tick() -> None:
        times.append(clock.monotonic())
        agenda.after(5, "tick", tick)

    tick()
    for _ in range(3):
        clock.advance(5)
        agenda.run_due()
    assert [later - times[0] for later in times] == [0, 5, 10, 15]
    assert eventually(lambda: len(times) == 4)
