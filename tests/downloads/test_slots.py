"""Never more transfers than slots, and peers in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from jack.downloads.slots import Slots
from tests.support.waiting import eventually


class Stage:
    """Work that waits at a gate, so that a test decides when each download ends."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.started: list[int] = []
        self.running = 0
        self.most = 0
        self.gates: dict[int, threading.Event] = {}
        self.free = threading.Event()

    def attempt(self, download_id: int) -> None:
        with self.lock:
            self.started.append(download_id)
            self.running += 1
            self.most = max(self.most, self.running)
            gate = self.gates.setdefault(download_id, threading.Event())
        while not gate.wait(0.005) and not self.free.is_set():
            pass
        with self.lock:
            self.running -= 1

    def end(self, download_id: int) -> None:
        with self.lock:
            gate = self.gates.setdefault(download_id, threading.Event())
        gate.set()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.free.set()


@pytest.fixture
def slots_of(stage: Stage) -> Iterator[Callable[[int], Slots]]:
    made: list[Slots] = []

    def make(size: int) -> Slots:
        made.append(Slots(size, stage))
        return made[-1]

    yield make
    stage.free.set()
    for slots in made:
        slots.close()
        assert slots.join(20)


def test_never_more_at_once_than_slots(stage: Stage, slots_of: Callable[[int], Slots]) -> None:
    slots = slots_of(3)
    for number in range(20):
        slots.submit("p", number)
    eventually(lambda: stage.running == 3)
    stage.free.set()
    eventually(lambda: len(stage.started) == 20 and stage.running == 0)
    assert stage.most == 3


@pytest.mark.fault("R13")
def test_peers_take_turns(stage: Stage, slots_of: Callable[[int], Slots]) -> None:
    slots = slots_of(1)
    for number in range(5):
        slots.submit("many", number)
    slots.submit("one", 100)
    eventually(lambda: stage.started == [0])
    stage.free.set()
    eventually(lambda: len(stage.started) == 6)
    assert stage.started.index(100) <= 2


def test_one_that_waits_is_not_put_in_line_twice(
    stage: Stage, slots_of: Callable[[int], Slots]
) -> None:
    slots = slots_of(1)
    slots.submit("p", 1)
    eventually(lambda: stage.started == [1])
    slots.submit("p", 2)
    slots.submit("p", 2)
    stage.free.set()
    eventually(lambda: len(stage.started) == 2 and stage.running == 0)
    slots.submit("p", 3)
    eventually(lambda: stage.started == [1, 2, 3])


@pytest.mark.fault("R4")
def test_one_that_runs_and_is_submitted_again_runs_once_more_afterwards(
    stage: Stage, slots_of: Callable[[int], Slots]
) -> None:
    """An attempt that puts its download into the timer's hands ends a moment later."""
    slots = slots_of(2)
    slots.submit("p", 1)
    eventually(lambda: stage.started == [1])
    slots.submit("p", 1)
    assert stage.started == [1]
    stage.end(1)
    eventually(lambda: stage.started == [1, 1])


def test_a_withdrawn_download_never_starts(stage: Stage, slots_of: Callable[[int], Slots]) -> None:
    slots = slots_of(1)
    slots.submit("p", 1)
    slots.submit("p", 2)
    slots.submit("p", 3)
    slots.withdraw(2)
    stage.free.set()
    eventually(lambda: stage.started == [1, 3])


def test_a_bug_in_a_download_leaves_the_slot_usable(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    class Worker:
        def attempt(self, download_id: int) -> None:
            if download_id == 1:
                raise ZeroDivisionError("bug")
            done.set()

    slots = Slots(1, Worker())
    slots.submit("p", 1)
    slots.submit("p", 2)
    assert done.wait(20)
    slots.close()
    assert slots.join(20)
    assert "ZeroDivisionError" in caplog.text


def test_who_stops_waits_for_what_still_runs_and_no_longer_than_told(
    stage: Stage, slots_of: Callable[[int], Slots]
) -> None:
    slots = slots_of(1)
    slots.submit("p", 1)
    slots.submit("p", 2)
    eventually(lambda: stage.started == [1])
    slots.close()
    assert not slots.join(0.01)
    stage.end(1)
    assert slots.join(20)
    slots.submit("p", 3)
    assert stage.started == [1]
