"""Lane: one server's line, stepped by hand with a clock that only the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from jack.arr.client import ArrClient, ArrServer
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
DAY = 86400.0


class ScriptedClient(ArrClient):
    """Answers by `script(path)`: an exception is raised, None is success."""

    def __init__(self) -> None:
        super().__init__(ArrServer("Radarr", "radarr", "http://nas.local:7878", "k"))
        self.asked: list[int] = []
        self.script: Callable[[int], Exception | None] = lambda number: None

    def scan_path(self, path: str, wire: Wire) -> int:
        number = int(path.rsplit(" ", 1)[1].removesuffix(".mkv"))
        self.asked.append(number)
        error = self.script(number)
        wire.check()
        if error is not None:
            raise error
        return 1000 + number


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def lane(client: ScriptedClient, journal: MemoryJournal, clock: SteppedClock) -> Lane:
    return Lane(client, journal, clock, Pauses(FIRST, LONGEST))


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
        lane.submit(file(number))


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
