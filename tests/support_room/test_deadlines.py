"""One thread for many deadlines, and none when there is nothing to watch."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jack.support import deadlines as deadlines_module
from jack.support.deadlines import Deadlines
from tests.support.waiting import eventually


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    made = Deadlines()
    yield made
    made.close()
    eventually(lambda: not _threads(), 5, "the end of the thread")


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "deadlines"]


def test_an_action_runs_when_its_time_is_up(deadlines: Deadlines) -> None:
    up = threading.Event()
    deadlines.add(0.01, up.set)
    assert up.wait(10)


def test_a_shorter_wait_that_comes_later_is_not_kept_by_a_longer_one(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_module, "LINGER_SECONDS", 3600.0)
    first = threading.Event()
    deadlines.add(3600, first.set)
    for _ in range(20):  # the thread has run one and sleeps, or is about to
        later = threading.Event()
        deadlines.add(0.001, later.set)
        assert later.wait(20)
    assert not first.is_set()


def test_what_was_removed_in_time_does_not_run(deadlines: Deadlines) -> None:
    removed, kept = threading.Event(), threading.Event()
    deadlines.remove(deadlines.add(0.05, removed.set))
    deadlines.add(0.1, kept.set)
    assert kept.wait(10)
    assert not removed.is_set()


def test_many_waits_take_one_thread_which_ends_after_the_last(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_module, "LINGER_SECONDS", 0.05)
    tickets = [deadlines.add(3600, threading.Event().set) for _ in range(100)]
    assert len(_threads()) == 1
    for ticket in tickets:
        deadlines.remove(ticket)
    eventually(lambda: not _threads(), 5, "the end of the thread")
    up = threading.Event()
    deadlines.add(0.01, up.set)
    assert up.wait(10), "it starts again"


def test_a_closed_one_runs_nothing_and_starts_again_when_it_is_asked(deadlines: Deadlines) -> None:
    dropped, later = threading.Event(), threading.Event()
    deadlines.add(0.2, dropped.set)
    deadlines.close()
    deadlines.add(0.3, later.set)
    assert later.wait(10)
    assert not dropped.is_set()
