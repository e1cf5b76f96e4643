"""FailureReport: the server that grabbed a release hears once that it came to nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from jack.arr.client import ArrClient, ArrServer
from jack.arr.failure import FailureReport
from jack.arr.handover import Failure
from jack.arr.manual import ImportApi
from jack.errors import PeerUnreachable, TransientError
from jack.support.http import Wire
from tests.arr.conftest import START, MemoryJournal, SteppedClock
from tests.support.fake_arr import FakeArr
from tests.support.fake_arr_imports import ImportingArr

HASH = "0123456789abcdef0123456789abcdef01234567"
Report = Callable[[FakeArr], FailureReport]


@pytest.fixture
def sonarr(clock: SteppedClock) -> Iterator[ImportingArr]:
    with ImportingArr("sonarr", now=clock.now) as fake:
        yield fake


@pytest.fixture
def report_to(journal: MemoryJournal, clock: SteppedClock) -> Iterator[Report]:
    """Makes the errand of one failure for a server; its connections are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(arr: FakeArr) -> FailureReport:
            client = ArrClient(ArrServer("Arr", arr.kind, arr.url, arr.api_key))
            stack.callback(client.close)
            failure = Failure(4, 1, HASH, None, START)
            return FailureReport(failure, ImportApi(client), journal, clock)

        yield make


def finish(errand: FailureReport, clock: SteppedClock) -> None:
    for _ in range(20):
        pause = errand.step(Wire())
        if pause is None:
            return
        clock.seconds += pause
    raise AssertionError("never done")


@pytest.mark.fault("A10")
def test_every_record_of_the_newest_grab_is_reported_once(
    report_to: Report, sonarr: ImportingArr, journal: MemoryJournal, clock: SteppedClock
) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH, age_seconds=7200)
    of_two = [sonarr.grab(series_id=3, episode_id=each, info_hash=HASH) for each in (31, 32)]
    sonarr.grab(series_id=3, episode_id=33, info_hash="f" * 40)
    finish(report_to(sonarr), clock)
    assert sorted(sonarr.failed_records) == of_two
    assert journal.words == [("report settled", 4, "")]
    finish(report_to(sonarr), clock)
    assert sorted(sonarr.failed_records) == of_two


@pytest.mark.fault("A10")
def test_a_server_that_never_grabbed_it_is_told_nothing(
    report_to: Report, sonarr: ImportingArr, journal: MemoryJournal, clock: SteppedClock
) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash="f" * 40)
    finish(report_to(sonarr), clock)
    assert sonarr.failed_records == []
    assert journal.words == [("report settled", 4, "")]


@pytest.mark.fault("A10")
def test_a_record_that_is_gone_or_a_missing_history_is_given_up_quietly(
    report_to: Report,
    sonarr: ImportingArr,
    journal: MemoryJournal,
    clock: SteppedClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    (record,) = sonarr.grabs
    shown = dict(record)
    record["id"] = 99  # deleted there between the look and the report
    page = {"records": [shown]}
    errand = report_to(sonarr)
    with sonarr.answering(200, page):
        grab = errand._api.history.grab(HASH, None, Wire())
    assert grab is not None
    errand._report(grab, Wire())
    assert sonarr.failed_records == []
    with FakeArr("sonarr") as plain:
        finish(report_to(plain), clock)
    assert [r for r in caplog.records if r.levelname in {"WARNING", "ERROR"}] == []
    assert journal.words == [("report settled", 4, "")]


@pytest.mark.fault("A10")
def test_it_is_noted_before_the_call_and_a_cut_answer_is_not_asked_twice(
    report_to: Report, sonarr: ImportingArr, journal: MemoryJournal, clock: SteppedClock
) -> None:
    number = sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    errand = report_to(sonarr)
    grab = errand._api.history.grab(HASH, None, Wire())
    assert grab is not None
    with sonarr.answering(502, "<html>"):
        errand._report(grab, Wire())
    assert journal.reported == [number]
    finish(report_to(sonarr), clock)
    assert sonarr.failed_records == []


def test_a_server_that_is_down_is_told_when_it_is_back(
    report_to: Report, sonarr: ImportingArr, journal: MemoryJournal, clock: SteppedClock
) -> None:
    number = sonarr.grab(series_id=3, episode_id=30, info_hash=HASH)
    errand = report_to(sonarr)
    sonarr.go_down()
    with pytest.raises(TransientError):
        errand.step(Wire())
    sonarr.come_back()
    grab = errand._api.history.grab(HASH, None, Wire())
    assert grab is not None
    sonarr.go_down()
    with pytest.raises(PeerUnreachable):
        errand._report(grab, Wire())
    assert journal.reported == []
    sonarr.come_back()
    finish(errand, clock)
    assert sonarr.failed_records == [number]
