"""What a running transfer has received, and its speed over the last ten seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jack.downloads.live import Live, Moving
from jack.support.timer import Timer
from jack.transfer.terms import Progress
from tests.support.clock import FakeClock

MIB = 1024 * 1024


class Running:
    """Download 1, with 5 MiB of an earlier attempt."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.timer = Timer(clock)
        self.live = Live(clock, self.timer)
        self.attempt = Progress(received_offset=5 * MIB)

    def pass_seconds(self, seconds: int, bytes_a_second: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.attempt.received_offset += bytes_a_second
            self.timer.run_due()

    def look(self) -> Moving | None:
        return self.live.look(1)


@pytest.fixture
def running(clock: FakeClock) -> Iterator[Running]:
    made = Running(clock)
    with made.live.running(1, made.attempt):
        yield made


def test_what_has_arrived_is_known_at_once_and_its_speed_is_the_mean_of_ten_seconds(
    running: Running,
) -> None:
    assert running.look() == Moving(5 * MIB, None)
    running.pass_seconds(30, 2 * MIB)
    assert running.look() == Moving(65 * MIB, 2 * MIB)
    running.pass_seconds(5, 4 * MIB)
    assert running.look() == Moving(85 * MIB, 3 * MIB)
    running.pass_seconds(10, 4 * MIB)
    assert running.look() == Moving(125 * MIB, 4 * MIB)


def test_a_line_that_stands_still_slows_down_to_nothing(running: Running) -> None:
    running.pass_seconds(10, MIB)
    running.pass_seconds(11, 0)
    assert running.look() == Moving(15 * MIB, 0)


def test_bytes_that_are_given_up_are_no_negative_speed(running: Running) -> None:
    running.pass_seconds(5, MIB)
    running.attempt.received_offset = 0
    assert running.look() == Moving(0, 0)


def test_a_look_between_two_seconds_sees_what_came_since(running: Running) -> None:
    running.pass_seconds(3, MIB)
    running.clock.advance(1)
    running.attempt.received_offset += 5 * MIB
    assert running.look() == Moving(13 * MIB, 2 * MIB)


def test_nothing_is_known_of_what_does_not_run(clock: FakeClock) -> None:
    made = Running(clock)
    assert made.look() is None
    with made.live.running(1, made.attempt):
        assert made.look() is not None
    assert made.look() is None


def test_the_timer_has_nothing_to_do_when_nothing_runs(clock: FakeClock) -> None:
    made = Running(clock)
    assert made.timer.run_due() is None
    for _ in range(2):
        with made.live.running(1, made.attempt), made.live.running(2, Progress()):
            assert made.timer.run_due() == 1.0
        made.pass_seconds(1, 0)
        assert made.timer.run_due() is None
