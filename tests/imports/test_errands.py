"""ServerLine: one server's line, stepped by hand with a clock that only the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import pytest

from jack.errors import (
    Interrupted,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    StorageError,
    TransientError,
)
from jack.imports.errands import Errand, ServerLine
from jack.support.http import Wire
from jack.support.pauses import Pauses
from tests.imports.conftest import Room
from tests.support.clock import START, FakeClock

FIRST, LONGEST = 5.0, 900.0
CLIENTS: WeakKeyDictionary[ServerLine, ScriptedClient] = WeakKeyDictionary()
"""Which server a line of these tests leads to."""
DAY = 86400.0


class Journal:
    """Keeps what the errands tell it; raises `failure` instead while one is set."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []
        """(number, command)"""
        self.put_off: list[tuple[int, str, datetime]] = []
        self.failure: Exception | None = None

    def accepted(self, number: int, command_id: int) -> None:
        self._check()
        self.taken.append((number, command_id))

    def postponed(self, number: int, sentence: str, next_attempt_at: datetime) -> None:
        self._check()
        self.put_off.append((number, sentence, next_attempt_at))

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    @property
    def numbers(self) -> set[int]:
        """Whose command was taken."""
        return {number for number, _ in self.taken}


class ScriptedClient:
    """Answers by `script(path)`: an exception is raised, None is success."""

    def __init__(self, journal: Journal) -> None:
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


class ScriptedErrand(Errand):
    """The shortest errand there is: one command, and the record of it."""

    def __init__(self, number: int, client: ScriptedClient) -> None:
        self.key: Hashable = number
        self.number = number
        self.client = client
        self.command_id: int | None = None

    def __str__(self) -> str:
        return f"download {self.number}"

    def step(self, wire: Wire) -> float | None:
        if self.command_id is None:
            self.command_id = self.client.scan(self.number, wire)
        self.client.journal.accepted(self.number, self.command_id)
        return None

    def postponed(self, sentence: str, next_attempt_at: datetime) -> None:
        self.client.journal.postponed(self.number, sentence, next_attempt_at)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def client(journal: Journal) -> ScriptedClient:
    return ScriptedClient(journal)


@pytest.fixture
def line(client: ScriptedClient, clock: FakeClock, room: Room) -> ServerLine:
    line = ServerLine("Radarr", clock, Pauses(FIRST, LONGEST), room.database)
    CLIENTS[line] = client
    return line


def settle(line: ServerLine) -> float | None:
    """Step until the line would wait; return for how long."""
    for _ in range(10_000):
        pause = line.step()
        if pause != 0.0:
            return pause
    raise AssertionError("the line never comes to rest")


def down(_: int) -> Exception:
    return PeerUnreachable("Radarr cannot be reached (Connection refused)")


def submit(line: ServerLine, *numbers: int) -> None:
    for number in numbers:
        line.submit(ScriptedErrand(number, CLIENTS[line]))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_files_are_handed_over_one_after_the_other_and_then_forgotten(
    line: ServerLine, client: ScriptedClient, journal: Journal
) -> None:
    submit(line, 1, 2, 3)
    assert settle(line) is None
    assert client.asked == [1, 2, 3]
    assert journal.taken == [(number, 1000 + number) for number in (1, 2, 3)]
    assert settle(line) is None
    assert client.asked == [1, 2, 3]


def test_a_file_already_in_the_line_is_not_added_again(
    line: ServerLine, client: ScriptedClient
) -> None:
    submit(line, 1, 1)
    settle(line)
    assert client.asked == [1]


@pytest.mark.fault("A1")
def test_a_server_that_is_down_is_asked_after_seconds_then_less_often_up_to_15_minutes(
    line: ServerLine, client: ScriptedClient, clock: FakeClock
) -> None:
    client.script = down
    submit(line, 1)
    pauses = []
    for _ in range(10):
        pause = settle(line)
        assert pause is not None
        pauses.append(pause)
        clock.advance(pause - 0.5)
        asked = len(client.asked)
        assert settle(line) == 0.5
        assert len(client.asked) == asked, "asked before its time"
        clock.advance(0.5)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


@pytest.mark.fault("A1")
def test_weeks_of_downtime_lose_nothing(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = down
    submit(line, 1, 2, 3)
    while clock.monotonic() < 30 * DAY:
        clock.advance(settle(line) or 0.0)
    assert journal.taken == []
    client.script = lambda number: None
    clock.advance(LONGEST)
    assert settle(line) is None
    assert journal.numbers == {1, 2, 3}


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    line: ServerLine,
    client: ScriptedClient,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client.script = down
    submit(line, 1, 2)
    for _ in range(20):
        clock.advance(settle(line) or 0.0)
    (said,) = warnings(caplog)
    for part in ("download 1", "cannot be reached", "asked again in 5 s", "900 s"):
        assert part in said
    client.script = lambda number: None
    settle(line)
    back = [record for record in caplog.records if "answers again" in record.getMessage()]
    assert len(back) == 1
    client.script = down
    submit(line, 3)
    settle(line)
    assert len(warnings(caplog)) == 2, "the next outage is an event of its own"


def test_another_cause_within_an_outage_is_said_once(
    line: ServerLine,
    client: ScriptedClient,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    causes = [down(1), PeerRefused("Radarr refuses the apiKey (401)")] * 3
    client.script = lambda number: causes.pop()
    submit(line, 1)
    for _ in range(6):
        clock.advance(settle(line) or 0.0)
    assert len(warnings(caplog)) == 2


def test_while_the_server_is_down_nothing_else_is_sent_but_every_row_is_told_why(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = down
    submit(line, 1, 2)
    settle(line)
    clock.advance(1.0)
    submit(line, 3)
    assert settle(line) == 4.0
    assert client.asked == [1]
    due = START + timedelta(seconds=5)
    sentence = str(down(1))
    assert journal.put_off == [(number, sentence, due) for number in (1, 2, 3)]


def test_in_a_long_outage_every_row_learns_the_new_time(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = down
    submit(line, 1, 2, 3)
    pause = settle(line)
    while pause != LONGEST:
        assert pause is not None
        clock.advance(pause)
        journal.put_off.clear()
        pause = settle(line)
    due = clock.now() + timedelta(seconds=LONGEST)
    assert {(number, at) for number, _, at in journal.put_off} == {(n, due) for n in (1, 2, 3)}


def test_a_file_that_makes_the_server_stumble_does_not_block_the_others(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = lambda number: TransientError("500") if number == 1 else None
    submit(line, 1, 2, 3)
    clock.advance(settle(line) or 0.0)
    settle(line)
    assert journal.numbers == {2, 3}


def test_a_refused_file_waits_alone_with_a_backoff_of_its_own(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = PermanentError("Radarr refuses this import (400)")
    client.script = lambda number: refused if number == 1 else None
    submit(line, 1, 2)
    assert settle(line) == FIRST
    assert journal.numbers == {2}
    assert journal.put_off == [(1, str(refused), START + timedelta(seconds=FIRST))]
    clock.advance(FIRST)
    assert settle(line) == 2 * FIRST
    assert len(warnings(caplog)) == 1
    client.script = lambda number: None
    clock.advance(2 * FIRST)
    assert settle(line) is None
    assert 1 in journal.numbers


def test_a_refusal_proves_that_the_server_is_back(
    line: ServerLine,
    client: ScriptedClient,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client.script = down
    submit(line, 1)
    clock.advance(settle(line) or 0.0)
    client.script = lambda number: PermanentError("no")
    settle(line)
    assert "Radarr answers again after 5 s" in caplog.text


def test_a_journal_that_fails_is_asked_again_but_the_command_is_not_sent_twice(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal.failure = StorageError("disk full")
    submit(line, 1)
    assert settle(line) == FIRST
    assert "Traceback" in caplog.text
    assert "disk full" in caplog.text
    journal.failure = None
    clock.advance(FIRST)
    assert settle(line) is None
    assert client.asked == [1]
    assert journal.taken == [(1, 1001)]


def test_a_journal_that_cannot_note_a_delay_does_not_end_the_tries(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    journal.failure = RuntimeError("bug")
    client.script = down
    submit(line, 1, 2)
    clock.advance(settle(line) or 0.0)
    journal.failure = None
    client.script = lambda number: None
    assert settle(line) is None
    assert journal.numbers == {1, 2}


def test_a_bug_is_logged_with_its_traceback_and_the_file_tried_later(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client.script = lambda number: KeyError("id") if number == 1 else None
    submit(line, 1, 2)
    assert settle(line) == FIRST
    assert "Traceback" in caplog.text
    assert journal.numbers == {2}
    client.script = lambda number: None
    clock.advance(FIRST)
    settle(line)
    assert 1 in journal.numbers


def test_a_withdrawn_file_is_not_sent(line: ServerLine, client: ScriptedClient) -> None:
    submit(line, 1, 2)
    line.withdraw(1)
    line.withdraw(99)
    settle(line)
    assert client.asked == [2]


def test_a_file_withdrawn_while_it_is_sent_leaves_no_trace_in_the_journal(
    line: ServerLine, client: ScriptedClient, journal: Journal
) -> None:
    def withdraw(number: int) -> None:
        line.withdraw(number)

    client.script = withdraw
    submit(line, 1)
    assert settle(line) is None
    assert (journal.taken, journal.put_off) == ([], [])


def test_a_file_withdrawn_during_an_outage_is_neither_told_nor_tried(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = down
    submit(line, 1, 2)
    line.step()
    line.withdraw(2)
    clock.advance(settle(line) or 0.0)
    settle(line)
    assert client.asked == [1, 1]
    assert {number for number, *_ in journal.put_off} == {1}


def test_after_the_stop_request_nothing_is_sent_and_the_file_stays_in_the_line(
    line: ServerLine, client: ScriptedClient, journal: Journal
) -> None:
    submit(line, 1)
    line.request_stop()
    line.step()
    assert client.asked == []
    assert (journal.taken, journal.put_off) == ([], [])


def test_a_stop_while_a_command_is_under_way_is_not_a_failure(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(number: int) -> Exception:
        line.request_stop()
        return Interrupted("unused: the wire speaks first")

    client.script = stop
    submit(line, 1)
    line.step()
    assert client.asked == [1]
    assert (journal.taken, journal.put_off) == ([], [])
    assert warnings(caplog) == []


def test_a_person_who_asks_again_cuts_the_pauses_of_file_and_server_short(
    line: ServerLine,
    client: ScriptedClient,
    journal: Journal,
    clock: FakeClock,
) -> None:
    client.script = lambda number: PermanentError("not yet") if number == 1 else down(number)
    submit(line, 1, 2)
    settle(line)
    client.script = lambda number: None
    clock.advance(1.0)
    line.hurry(99)
    assert settle(line) == FIRST - 1.0
    line.hurry(1)
    settle(line)
    assert 1 in journal.numbers


def test_an_errand_of_several_steps_lets_the_others_go_on_between_them(
    line: ServerLine, client: ScriptedClient, clock: FakeClock
) -> None:
    steps: list[int] = []

    class Slow(ScriptedErrand):
        def step(self, wire: Wire) -> float | None:
            steps.append(self.number)
            return 30.0 if steps.count(self.number) < 3 else None

    for number in (1, 2):
        line.submit(Slow(number, client))
    assert settle(line) == 30.0
    clock.advance(30.0)
    assert settle(line) == 30.0
    clock.advance(30.0)
    assert settle(line) is None
    assert steps == [1, 2] * 3
