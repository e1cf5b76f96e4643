"""Lines that are said once until all is over, or at most once in a while; and growing pauses."""

from __future__ import annotations

from jack.support.once import Once, Seldom
from jack.support.pauses import Pauses
from tests.support.clock import FakeClock


def test_each_thing_is_said_once_until_all_is_over() -> None:
    once = Once()
    assert [once.first("a"), once.first("b"), once.first("a")] == [True, True, False]
    assert once.over()
    assert not once.over()
    assert once.first("a")


def test_what_is_not_said_is_counted_into_the_next_line() -> None:
    clock = FakeClock()
    seldom = Seldom(60.0, clock.monotonic)
    assert [seldom.due(), seldom.due(), seldom.due(3)] == [1, 0, 0]
    clock.advance(60.0)
    assert seldom.due() == 5
    assert seldom.due() == 0


def test_a_pause_doubles_with_each_failure_up_to_the_longest() -> None:
    pauses = Pauses(2.0, 10.0)
    assert [pauses.after(failures) for failures in (1, 2, 3, 4, 10_000)] == [2, 4, 8, 10, 10]
