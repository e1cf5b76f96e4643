"""Thousands of stubs at once: the folder is the queue, and nobody's stub is lost in it."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from jack.blackhole import intake as module
from jack.blackhole.drops import Drop, OpenStub, Verdict
from jack.blackhole.reasons import MAX_HINTS
from jack.blackhole.stub import build_stub
from jack.model import Stub
from tests.support.clock import FakeClock
from tests.support.stepped_intake import SteppedIntake

ANN, BEN = "15ee3276", "0c0ffee0"
ROOM = 20


class Owner:
    """Takes at most ROOM of each peer's stubs at a time."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.taken: list[Drop] = []
        self.held: Counter[str] = Counter()

    def accept(self, drop: Drop) -> Verdict:
        self.seen[drop.name] += 1
        if self.held[drop.stub.peer_id] >= ROOM:
            return Verdict.LATER
        self.held[drop.stub.peer_id] += 1
        self.taken.append(drop)
        return Verdict.TAKEN

    def open_stubs(self) -> dict[str, OpenStub]:
        return {}

    def done_with(self, peer_id: str, intake: SteppedIntake) -> None:
        self.held[peer_id] = 0
        intake.reasons.room(peer_id)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def intake(folder: Path, clock: FakeClock, owner: Owner) -> SteppedIntake:
    return SteppedIntake(folder, owner, clock)


@dataclass(frozen=True)
class Remark:
    """What the owner leaves with a stub."""

    why: str


def drop(folder: Path, peer_id: str, number: int) -> str:
    path = folder / f"{peer_id} {number:04}.torrent"
    path.write_bytes(build_stub(Stub(peer_id, f"c:movie:{number}"), "Film", 1000))
    return path.name


def steps(intake: SteppedIntake, number: int) -> None:
    for _ in range(number):
        intake.step(0)


@pytest.mark.fault("W7")
def test_three_thousand_stubs_at_once_are_all_handed_on_a_few_at_a_time(
    intake: SteppedIntake, folder: Path, owner: Owner
) -> None:
    for number in range(3000):
        intake.reasons.notice(drop(folder, ANN, number))
    steps(intake, 3000 // module.SLICE + 2)
    assert len(owner.taken) == ROOM
    while len(owner.taken) < 3000:
        before = len(owner.taken)
        owner.done_with(ANN, intake)
        intake.step(0)
        assert len(owner.taken) > before, "room was not used"
    assert {item.stub.item_id for item in owner.taken} == {f"c:movie:{n}" for n in range(3000)}
    assert sum(owner.seen.values()) < 3 * 3000, "each is looked at a few times, however many wait"


@pytest.mark.fault("W7")
def test_one_friends_flood_does_not_keep_another_ones_single_stub_waiting(
    intake: SteppedIntake, folder: Path, owner: Owner
) -> None:
    for number in range(1000):
        drop(folder, ANN, number)
    intake.step(0)
    intake.reasons.notice(drop(folder, BEN, 1))
    intake.step(0)
    assert [item.stub.peer_id for item in owner.taken].count(BEN) == 1
    assert len(owner.seen) < 1000, "most of the flood has not even been read by then"


def test_what_waits_in_line_is_not_read_at_each_scan(
    intake: SteppedIntake, folder: Path, owner: Owner, clock: FakeClock
) -> None:
    for number in range(100):
        drop(folder, ANN, number)
    clock.advance(3600)  # nothing was changed just now
    steps(intake, 3)
    clock.advance(60)
    steps(intake, 3)
    assert set(owner.seen.values()) == {1}


def test_a_line_keeps_its_order(intake: SteppedIntake, folder: Path, owner: Owner) -> None:
    names = [drop(folder, ANN, number) for number in range(3 * ROOM)]
    steps(intake, 3)
    for _ in range(2):
        owner.done_with(ANN, intake)
        intake.step(0)
    assert [item.name for item in owner.taken] == names


def test_what_has_gone_or_changed_while_it_waited_is_noticed(
    intake: SteppedIntake, folder: Path, owner: Owner
) -> None:
    names = [drop(folder, ANN, number) for number in range(ROOM + 3)]
    steps(intake, 3)
    gone, changed = names[ROOM], names[ROOM + 1]
    (folder / gone).unlink()
    (folder / changed).write_bytes(build_stub(Stub(BEN, "c:movie:other"), "Other film", 1000))
    owner.done_with(ANN, intake)
    steps(intake, 2)
    assert [item.name for item in owner.taken[ROOM:]] == [changed, names[-1]]
    assert owner.taken[ROOM].stub == Stub(BEN, "c:movie:other")


def test_a_stub_put_off_comes_again_in_its_time_with_the_note_left_for_it(
    intake: SteppedIntake, folder: Path, owner: Owner, clock: FakeClock
) -> None:
    first, second = (drop(folder, ANN, number) for number in (1, 2))
    steps(intake, 1)
    intake.reasons.again(first, 10.0, Remark("asked once"))
    intake.reasons.again(second, 10.0, Remark("asked once"))
    steps(intake, 1)
    (folder / second).write_bytes(build_stub(Stub(ANN, "c:movie:other"), "Other film", 1000))
    clock.advance(9)
    intake.look_at(first)
    assert owner.seen[first] == 1
    clock.advance(1)
    steps(intake, 1)
    notes = {item.name: item.note for item in owner.taken[2:]}
    assert notes == {first: Remark("asked once"), second: None}
    assert (owner.seen[first], owner.seen[second]) == (2, 2)


@pytest.mark.fault("W7")
def test_events_that_the_system_dropped_in_a_burst_are_made_up_for_by_a_scan(
    intake: SteppedIntake, folder: Path, owner: Owner, clock: FakeClock
) -> None:
    """Linux keeps 16,384 events and watchdog says nothing when there were more."""
    steps(intake, 1)
    drop(folder, ANN, 1)
    intake.look_at("gone.torrent")
    assert owner.taken == []
    clock.advance(module.SCAN_GAP_SECONDS)
    steps(intake, 1)
    assert len(owner.taken) == 1


def test_a_name_forgotten_in_a_flood_is_handed_on_again(
    intake: SteppedIntake, folder: Path, owner: Owner
) -> None:
    name = drop(folder, ANN, 1)
    steps(intake, 1)
    intake.reasons.forget(name)
    for number in range(MAX_HINTS + 1):
        intake.reasons.notice(f"gone {number}.torrent")
    steps(intake, 2)
    assert owner.seen[name] == 2


@pytest.mark.fault("W7")
def test_a_flood_of_events_does_not_keep_another_ones_single_stub_waiting(
    intake: SteppedIntake, folder: Path, owner: Owner
) -> None:
    for number in range(3 * MAX_HINTS):
        intake.reasons.notice(f"gone {number}.torrent")
    intake.reasons.notice(drop(folder, BEN, 1))
    steps(intake, MAX_HINTS // module.SLICE + 1)
    assert [item.stub.peer_id for item in owner.taken] == [BEN]


@pytest.mark.fault("R6")
def test_a_file_that_lies_there_for_years_costs_little_memory(
    intake: SteppedIntake, folder: Path, foreign: bytes, clock: FakeClock
) -> None:
    for number in range(2000):
        (folder / f"Linux {number}.torrent").write_bytes(foreign)
    gc.collect()
    tracemalloc.start()
    try:
        intake.scan()
        intake.scan()
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2000 * 300
