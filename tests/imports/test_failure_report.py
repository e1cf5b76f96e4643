"""FailureReport: the server that grabbed a release hears once that it came to nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jack.arr.client import ArrClient, ArrServer
from jack.arr.history import Grab
from jack.arr.manual import ImportApi
from jack.errors import PeerUnreachable, TransientError
from jack.imports.failure_report import FailureReport
from jack.support.http import Wire
from tests.imports.conftest import Room
from tests.support.clock import FakeClock
from tests.support.fake_arr import FakeArr
from tests.support.fake_arr_imports import ImportingArr

HASH = "0123456789abcdef0123456789abcdef01234567"


class Desk:
    """One failed download, and errands that tell servers of it."""

    def __init__(self, room: Room, clock: FakeClock) -> None:
        self.room, self.clock = room, clock
        self.failures = room.records.failures
        number = self.failures.note("aabbccdd", "c:movie:1", HASH)
        self.failures.plan(number, ["Arr"])
        (self.report,) = self.failures.open()
        self._clients = contextlib.ExitStack()

    def errand(self, arr: FakeArr, between: Callable[[], object] = int) -> FailureReport:
        """`between`: what happens after the look at the history."""
        client = ArrClient(ArrServer("Arr", arr.kind, arr.url, arr.api_key))
        self._clients.callback(client.close)
        api = ImportApi(client)
        look = api.history.grab_to_report

        def looked(*question: Any) -> Grab | None:
            found = look(*question)
            if found is not None:
                between()
            return found

        api.history.grab_to_report = looked  # type: ignore[method-assign]
        return FailureReport(self.report, api, self.failures, self.clock)

    def finish(self, errand: FailureReport) -> None:
        for _ in range(20):
            pause = errand.step(Wire())
            if pause is None:
                return
            self.clock.advance(pause)
        raise AssertionError("never done")

    @property
    def settled(self) -> bool:
        return not self.failures.open()

    def close(self) -> None:
        self._clients.close()


@pytest.fixture
def sonarr(clock: FakeClock) -> Iterator[ImportingArr]:
    with ImportingArr("sonarr", now=clock.now) as fake:
        yield fake


@pytest.fixture
def desk(room: Room, clock: FakeClock) -> Iterator[Desk]:
    made = Desk(room, clock)
    yield made
    made.close()


@pytest.mark.fault("A10")
def test_every_record_of_the_newest_grab_is_reported_once(desk: Desk, sonarr: ImportingArr) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH, age_seconds=7200)
    of_two = [sonarr.grab(series_id=3, episode_id=each, info_hash=HASH) for each in (31, 32)]
    sonarr.grab(series_id=3, episode_id=33, info_hash="f" * 40)
    desk.finish(desk.errand(sonarr))
    assert sorted(sonarr.failed_records) == of_two
    assert desk.settled
    desk.finish(desk.errand(sonarr))
    assert sorted(sonarr.failed_records) == of_two


@pytest.mark.fault("A10")
def test_a_server_that_never_grabbed_it_is_told_nothing(desk: Desk, sonarr: ImportingArr) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash="f" * 40)
    desk.finish(desk.errand(sonarr))
    assert sonarr.failed_records == []
    assert desk.settled


@pytest.mark.fault("A10")
def test_a_record_that_is_gone_or_a_missing_history_is_given_up_quietly(
    desk: Desk, sonarr: ImportingArr, caplog: pytest.LogCaptureFixture
) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    desk.finish(desk.errand(sonarr, between=sonarr.history.clear))
    assert sonarr.failed_records == []
    with FakeArr("sonarr") as plain:
        desk.finish(desk.errand(plain))
    assert [r for r in caplog.records if r.levelname in {"WARNING", "ERROR"}] == []
    assert desk.settled


@pytest.mark.fault("A10")
@pytest.mark.parametrize("has_arrived", [False, True])
def test_a_report_whose_answer_was_cut_off_is_sent_again_unless_the_history_shows_it(
    desk: Desk, sonarr: ImportingArr, has_arrived: bool
) -> None:
    number = sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    with contextlib.ExitStack() as broken:
        page = sonarr.answering(502, "<html>")
        cut_off = desk.errand(sonarr, between=lambda: broken.enter_context(page))
        with pytest.raises(TransientError):
            cut_off.step(Wire())
    assert not desk.settled
    if has_arrived:
        sonarr.call_failed(number)
    desk.finish(desk.errand(sonarr))
    assert desk.settled
    assert sonarr.failed_records == [number]


def test_a_server_that_never_takes_a_report_is_not_asked_for_ever(
    desk: Desk, sonarr: ImportingArr
) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    sonarr.takes_no_failure = True
    with pytest.raises(TransientError):
        desk.errand(sonarr).step(Wire())
    assert not desk.settled
    desk.finish(desk.errand(sonarr))
    assert desk.settled
    assert sonarr.failed_records == []


def test_a_server_that_is_down_is_told_when_it_is_back(desk: Desk, sonarr: ImportingArr) -> None:
    number = sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    errand = desk.errand(sonarr)
    sonarr.go_down()
    with pytest.raises(TransientError):
        errand.step(Wire())
    sonarr.come_back()
    with pytest.raises(PeerUnreachable):
        desk.errand(sonarr, between=sonarr.go_down).step(Wire())
    sonarr.come_back()
    desk.finish(errand)
    assert sonarr.failed_records == [number]
