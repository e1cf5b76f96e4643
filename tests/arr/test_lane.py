"""Lane: one server's line, stepped by hand with a clock that only the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import pytest

from jack.arr.handover import Handover, Pauses
from jack.arr.lane import Lane
from jack.errors import (
    Interrupted,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    StorageError,
    TransientError,
)
from jack.support.http import Wire
from tests.arr.conftest import START, MemoryJournal, SteppedClock

FIRST, LONGEST = 5.0, 900.0
CLIENTS: WeakKeyDictionary[Lane, ScriptedClient] = WeakKeyDictionary()
"""Which server a lane of these tests leads to."""
DAY = 86400.0


class ScriptedClient:
    """Answers by `script(path)`: an exception is raised, None is success."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.asked: list[int] = []
        self.script: Callable[[int], Exception | None] = lambda number: None

    def scan(self, number: int, wire: Wire) -> int:
        self.asked.append(number)
        error = self.script(number)
        wire.check()
        if error is not None:
            raise error
        return 1000 + number


class ScriptedErrand:
    """The shortest errand there is: one command, and the record of it."""

    def __init__(self, handover: Handover, client: ScriptedClient) -> None:
        self.handover = handover
        self.key: Hashable = handover.download_id
        self.client = client
        self.command_id: int | None = None

    def __str__(self) -> str:
        return str(self.handover)

    def step(self, wire: Wire) -> float | None:
        number = self.handover.download_id
        if self.command_id is None:
            self.command_id = self.client.scan(number, wire)
        self.client.journal.accepted(number, "Radarr", self.command_id)
        return None

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        number = self.handover.download_id
        self.client.journal.postponed(number, "Radarr", sentence, next_attempt_at)


@pytest.fixture
def client(journal: MemoryJournal) -> ScriptedClient:
    return ScriptedClient(journal)


@pytest.fixture
def lane(client: ScriptedClient, clock: SteppedClock) -> Lane:
    lane = Lane("Radarr", clock, Pauses(FIRST, LONGEST))
    CLIENTS[lane] = client
    return lane


def settle(lane: Lane) -> float | None:
    """Step until the lane would wait; return for how long."""
    for _ in range(10_000):
        pause = lane.step()
        if pause != 0.0:
            return pause
    raise AssertionError("the lane never comes to rest")


def down(_: int) -> Exception:
    return PeerUnreachable("Radarr cannot be reached (Connection refused)")


def submit(lane: Lane, file: Callable[..., Handover], *numbers: int) -> None:
    for number in numbers:
        lane.submit(ScriptedErrand(file(number), CLIENTS[lane]))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_files_are_handed_over_one_after_the_other_and_then_forgotten(
    lane: Lane, client: ScriptedClient, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    submit(lane, file, 1, 2, 3)
    assert settle(lane) is None
    assert client.asked == [1, 2, 3]
    assert journal.taken == [(number, "Radarr", 1000 + number) for number in (1, 2, 3)]
    assert settle(lane) is None
    assert client.asked == [1, 2, 3]


def test_a_file_already_in_the_line_is_not_added_again(
    lane: Lane, client: ScriptedClient, file: Callable[..., Handover]
) -> None:
    submit(lane, file, 1, 1)
    settle(lane)
    assert client.asked == [1]


@pytest.mark.fault("A1")
def test_a_server_that_is_down_is_asked_after_seconds_then_less_often_up_to_15_minutes(
    lane: Lane, client: ScriptedClient, clock: SteppedClock, file: Callable[..., Handover]
) -> None:
    client.script = down
    submit(lane, file, 1)
    pauses = []
    for _ in range(10):
        pause = settle(lane)
        assert pause is not None
        pauses.append(pause)
        clock.seconds += pause - 0.5
        asked = len(client.asked)
        assert settle(lane) == 0.5
        assert len(client.asked) == asked, "asked before its time"
        clock.seconds += 0.5
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


@pytest.mark.fault("A1")
def test_weeks_of_downtime_lose_nothing(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = down
    submit(lane, file, 1, 2, 3)
    while clock.seconds < 30 * DAY:
        clock.seconds += settle(lane) or 0.0
    assert journal.taken == []
    client.script = lambda number: None
    clock.seconds += LONGEST
    assert settle(lane) is None
    assert journal.pairs == {(1, "Radarr"), (2, "Radarr"), (3, "Radarr")}


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    lane: Lane,
    client: ScriptedClient,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client.script = down
    submit(lane, file, 1, 2)
    for _ in range(20):
        clock.seconds += settle(lane) or 0.0
    (line,) = warnings(caplog)
    for part in ("download 1", "File 1.mkv", "cannot be reached", "asked again in 5 s", "900 s"):
        assert part in line
    client.script = lambda number: None
    settle(lane)
    back = [record for record in caplog.records if "answers again" in record.getMessage()]
    assert len(back) == 1
    client.script = down
    submit(lane, file, 3)
    settle(lane)
    assert len(warnings(caplog)) == 2, "the next outage is an event of its own"


def test_another_cause_within_an_outage_is_said_once(
    lane: Lane,
    client: ScriptedClient,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    causes = [down(1), PeerRefused("Radarr refuses the apiKey (401)")] * 3
    client.script = lambda number: causes.pop()
    submit(lane, file, 1)
    for _ in range(6):
        clock.seconds += settle(lane) or 0.0
    assert len(warnings(caplog)) == 2


def test_while_the_server_is_down_nothing_else_is_sent_but_every_row_is_told_why(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = down
    submit(lane, file, 1, 2)
    settle(lane)
    clock.seconds += 1.0
    submit(lane, file, 3)
    assert settle(lane) == 4.0
    assert client.asked == [1]
    due = START + timedelta(seconds=5)
    sentence = str(down(1))
    assert journal.put_off == [(number, "Radarr", sentence, due) for number in (1, 2, 3)]


def test_in_a_long_outage_every_row_learns_the_new_time(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = down
    submit(lane, file, 1, 2, 3)
    pause = settle(lane)
    while pause != LONGEST:
        assert pause is not None
        clock.seconds += pause
        journal.put_off.clear()
        pause = settle(lane)
    due = clock.now() + timedelta(seconds=LONGEST)
    assert {(number, at) for number, _, _, at in journal.put_off} == {(n, due) for n in (1, 2, 3)}


def test_a_file_that_makes_the_server_stumble_does_not_block_the_others(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = lambda number: TransientError("500") if number == 1 else None
    submit(lane, file, 1, 2, 3)
    clock.seconds += settle(lane) or 0.0
    settle(lane)
    assert journal.pairs == {(2, "Radarr"), (3, "Radarr")}


def test_a_refused_file_waits_alone_with_a_backoff_of_its_own(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = PermanentError("Radarr refuses this import (400)")
    client.script = lambda number: refused if number == 1 else None
    submit(lane, file, 1, 2)
    assert settle(lane) == FIRST
    assert journal.pairs == {(2, "Radarr")}
    assert journal.put_off == [(1, "Radarr", str(refused), START + timedelta(seconds=FIRST))]
    clock.seconds += FIRST
    assert settle(lane) == 2 * FIRST
    assert len(warnings(caplog)) == 1
    client.script = lambda number: None
    clock.seconds += 2 * FIRST
    assert settle(lane) is None
    assert (1, "Radarr") in journal.pairs


def test_a_refusal_proves_that_the_server_is_back(
    lane: Lane,
    client: ScriptedClient,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client.script = down
    submit(lane, file, 1)
    clock.seconds += settle(lane) or 0.0
    client.script = lambda number: PermanentError("no")
    settle(lane)
    assert "Radarr answers again after 5 s" in caplog.text


def test_a_journal_that_fails_is_asked_again_but_the_command_is_not_sent_twice(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal.failure = StorageError("disk full")
    submit(lane, file, 1)
    assert settle(lane) == FIRST
    assert "Traceback" in caplog.text
    assert "disk full" in caplog.text
    journal.failure = None
    clock.seconds += FIRST
    assert settle(lane) is None
    assert client.asked == [1]
    assert journal.taken == [(1, "Radarr", 1001)]


def test_a_journal_that_cannot_note_a_delay_does_not_end_the_tries(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    journal.failure = RuntimeError("bug")
    client.script = down
    submit(lane, file, 1, 2)
    clock.seconds += settle(lane) or 0.0
    journal.failure = None
    client.script = lambda number: None
    assert settle(lane) is None
    assert journal.pairs == {(1, "Radarr"), (2, "Radarr")}


def test_a_bug_is_logged_with_its_traceback_and_the_file_tried_later(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client.script = lambda number: KeyError("id") if number == 1 else None
    submit(lane, file, 1, 2)
    assert settle(lane) == FIRST
    assert "Traceback" in caplog.text
    assert journal.pairs == {(2, "Radarr")}
    client.script = lambda number: None
    clock.seconds += FIRST
    settle(lane)
    assert (1, "Radarr") in journal.pairs


def test_a_withdrawn_file_is_not_sent(
    lane: Lane, client: ScriptedClient, file: Callable[..., Handover]
) -> None:
    submit(lane, file, 1, 2)
    lane.withdraw(1)
    lane.withdraw(99)
    settle(lane)
    assert client.asked == [2]


def test_a_file_withdrawn_while_it_is_sent_leaves_no_trace_in_the_journal(
    lane: Lane, client: ScriptedClient, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    def withdraw(number: int) -> None:
        lane.withdraw(number)

    client.script = withdraw
    submit(lane, file, 1)
    assert settle(lane) is None
    assert (journal.taken, journal.put_off) == ([], [])


def test_a_file_withdrawn_during_an_outage_is_neither_told_nor_tried(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = down
    submit(lane, file, 1, 2)
    lane.step()
    lane.withdraw(2)
    clock.seconds += settle(lane) or 0.0
    settle(lane)
    assert client.asked == [1, 1]
    assert {number for number, *_ in journal.put_off} == {1}


def test_after_the_stop_request_nothing_is_sent_and_the_file_stays_in_the_line(
    lane: Lane, client: ScriptedClient, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    submit(lane, file, 1)
    lane.request_stop()
    lane.step()
    assert client.asked == []
    assert (journal.taken, journal.put_off) == ([], [])


def test_a_stop_while_a_command_is_under_way_is_not_a_failure(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(number: int) -> Exception:
        lane.request_stop()
        return Interrupted("unused: the wire speaks first")

    client.script = stop
    submit(lane, file, 1)
    lane.step()
    assert client.asked == [1]
    assert (journal.taken, journal.put_off) == ([], [])
    assert warnings(caplog) == []


def test_a_person_who_asks_again_cuts_the_pauses_of_file_and_server_short(
    lane: Lane,
    client: ScriptedClient,
    journal: MemoryJournal,
    clock: SteppedClock,
    file: Callable[..., Handover],
) -> None:
    client.script = lambda number: PermanentError("not yet") if number == 1 else down(number)
    submit(lane, file, 1, 2)
    settle(lane)
    client.script = lambda number: None
    clock.seconds += 1.0
    lane.hurry(99)
    assert settle(lane) == FIRST - 1.0
    lane.hurry(1)
    settle(lane)
    assert (1, "Radarr") in journal.pairs


def test_an_errand_of_several_steps_lets_the_others_go_on_between_them(
    lane: Lane, client: ScriptedClient, clock: SteppedClock, file: Callable[..., Handover]
) -> None:
    steps: list[int] = []

    class Slow(ScriptedErrand):
        def step(self, wire: Wire) -> float | None:
            steps.append(self.handover.download_id)
            return 30.0 if steps.count(self.handover.download_id) < 3 else None

    for number in (1, 2):
        lane.submit(Slow(file(number), client))
    assert settle(lane) == 30.0
    clock.seconds += 30.0
    assert settle(lane) == 30.0
    clock.seconds += 30.0
    assert settle(lane) is None
    assert steps == [1, 2] * 3
