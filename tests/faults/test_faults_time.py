"""Clocks that are wrong, stand still, jump, or have run for a very long time."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jack.downloads.explain import record, why
from jack.errors import PeerRefused, TransientError
from jack.model import DownloadStatus, WaitReason
from jack.support.retry_after import MAX_WAIT_SECONDS, parse_http_date, parse_retry_after
from jack.support.text import size_text
from jack.support.timer import Timer
from jack.support.tls import tls_error
from jack.web.pace import UploadPace
from tests.downloads.world import SLOW, World, world
from tests.support.clock import FakeClock

S = DownloadStatus
BODY = b"film" * 250
THIRTY_YEARS = 30 * 365 * 86400.0
EPOCH = datetime(1970, 1, 1, 0, 0, 7, tzinfo=timezone.utc)


@contextmanager
def friendly_world(root: Path, clock: FakeClock) -> Iterator[World]:
    with world(root, clock, **SLOW) as made:
        made.friend("ann").offer("c:movie:1", BODY, filename="film-1.mkv")
        yield made


@pytest.mark.fault("T2")
@pytest.mark.parametrize(("code", "said"), [(9, "not yet valid"), (10, "has expired")])
def test_a_certificate_out_of_its_time_asks_for_the_clock_and_is_tried_again(
    code: int, said: str
) -> None:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code, error.verify_message = code, f"certificate is {said}"
    found = tls_error("ann", error)
    assert isinstance(found, TransientError)
    assert isinstance(found, PeerRefused), "the friend is left alone, and costs no attempt"
    assert said in str(found)
    assert f"is this machine's clock right? It says {datetime.now(timezone.utc).date()}" in str(
        found
    )


@pytest.mark.fault("T2")
def test_a_board_that_wakes_up_in_1970_waits_no_longer_than_it_was_told(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The wait was for five minutes; the clock of this start says that it ends in 2026."""
    with friendly_world(tmp_path, clock) as made:
        row = made.row_of(made.friends[0])
        due = made.now() + timedelta(minutes=5)
        made.downloads.wait(row.id, WaitReason.RETRY, "broke", due, 1)
        clock.jump_wall((EPOCH - made.now()).total_seconds())
        made.start()
        assert "broke" in made.why()
        made.settle()
        made.advance(5 * 60 + 1)
        made.until(S.COMPLETED)


@pytest.mark.fault("T2", "T7")
def test_a_clock_that_stands_still_or_runs_backwards_hinders_no_download(
    tmp_path: Path, clock: FakeClock
) -> None:
    with friendly_world(tmp_path, clock) as made:
        made.start()
        made.drop(made.friends[0])
        row = made.until(S.COMPLETED)
        assert row.dest_path.read_bytes() == BODY
        made.friends[0].offer("c:movie:2", BODY, filename="film-2.mkv")
        clock.jump_wall(-THIRTY_YEARS)
        made.drop(made.friends[0], "c:movie:2", "b")
        assert made.until(S.COMPLETED, 2).dest_path.read_bytes() == BODY


@pytest.mark.fault("T6", "T7")
@pytest.mark.parametrize(
    "now",
    [
        EPOCH,
        datetime(1969, 12, 31, tzinfo=timezone.utc),
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
        datetime(1, 1, 1, tzinfo=timezone.utc),
    ],
)
def test_every_sentence_can_be_said_at_any_time(
    tmp_path: Path, clock: FakeClock, now: datetime
) -> None:
    with friendly_world(tmp_path, clock) as made:
        row = made.row_of(made.friends[0])
        made.downloads.wait(row.id, WaitReason.RETRY, "broke", made.now(), 1)
        assert why(made.row(), now)
        assert record(made.row(), now)["nextAttemptAt"] == "2026-01-01T12:00:00.000Z"
    assert size_text(0) == "0 B"


DATES = ("Sun, 06 Nov 1994 08:49:60 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z")
ODD_DATES = (
    *(
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "Tue, 19 Jan 2038 03:14:08 GMT",
        "Mon, 00 Jan 0000 00:00:00",
    ),
    *(
        "Sat, 30 Feb 2030 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 24:00:00",
    ),
    *("Sunday, 06-Nov-99 99:99:99 GMT", "Sun Nov  6 08:49:37 99999", "", "\x00", "9" * 5000),
)


@pytest.mark.fault("T6")
@pytest.mark.parametrize("text", DATES + ODD_DATES)
@pytest.mark.parametrize("year", [1, 1970, 2026, 2038, 9999])
def test_no_date_of_any_year_is_an_exception(text: str, year: int) -> None:
    now = datetime(year, 6, 1, tzinfo=timezone.utc)
    moment = parse_http_date(text)
    assert moment is None or moment.tzinfo is timezone.utc
    wait = parse_retry_after([text], now)
    assert wait is None or 0 < wait <= MAX_WAIT_SECONDS


@pytest.mark.fault("T8")
@pytest.mark.parametrize("uptime", [2**31 / 1000, 60 * 86400.0, THIRTY_YEARS])
def test_a_long_uptime_changes_no_wait(clock: FakeClock, uptime: float) -> None:
    clock.advance(uptime)
    timer, done = Timer(clock), []
    timer.after(5.0, lambda: done.append("a"), "a")
    assert timer.run_due() == pytest.approx(5.0)
    clock.advance(5.0)
    assert timer.run_due() is None
    assert done == ["a"]


@pytest.mark.fault("T8", "T7")
@pytest.mark.parametrize("uptime", [2**31 / 1000, 60 * 86400.0, THIRTY_YEARS])
def test_a_limit_saves_nothing_up_over_a_long_rest_and_drifts_nowhere(
    clock: FakeClock, uptime: float
) -> None:
    rate = 1_000_000
    pace = UploadPace(rate, clock.monotonic)
    clock.advance(uptime)
    assert pace.take("a", 10 * rate) <= rate // 2, "a burst after a rest"
    sent = 0
    for _ in range(200):
        clock.advance(0.05)
        sent += pace.take("a", rate)
    assert sent == pytest.approx(10 * rate, rel=0.05)
    assert pace.take("a", 0) == 0
    assert pace.wait_seconds(1.0) >= 0
