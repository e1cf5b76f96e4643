from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jack.support.retry_after import MAX_WAIT_SECONDS, parse_http_date, parse_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.fault("H25", "T6")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 120\t", 120.0),
        ("007", 7.0),
        ("21600", 21600.0),
        ("21601", MAX_WAIT_SECONDS),
        ("1" + "0" * 20, MAX_WAIT_SECONDS),
        ("9" * 5000, MAX_WAIT_SECONDS),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun Mar 01 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 12:00:30", 30.0),
        ("Mon, 01 Jan 2029 00:00:00 GMT", MAX_WAIT_SECONDS),
        ("Tue, 19 Jan 2038 03:14:08 GMT", MAX_WAIT_SECONDS),
    ],
)
def test_every_form_of_retry_after_is_understood_and_clamped(value: str, seconds: float) -> None:
    assert parse_retry_after([value], NOW) == seconds


@pytest.mark.fault("H25", "T6")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "-5",
        "-0000",
        "+5",
        "5.5",
        "1e3",
        "\uff10\uff15",
        "\u0663",
        "5 seconds",
        "soon",
        "Sun, 01 Mar 2026 11:59:59 GMT",
        "Sun, 01 Mar 2026 12:00:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 31 Feb 2026 12:00:30 GMT",
        "Sun, 01 Xyz 2026 12:00:30 GMT",
        "Sun, 01 Mar 2026 25:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:60 GMT",
        "Sun, 01 Mar 2026 12:00:61 GMT",
        "Sun, 01 Mar 0000 12:00:00 GMT",
        "2026-03-01T12:00:30Z",
        ",,,",
    ],
)
def test_a_past_or_senseless_retry_after_asks_for_nothing(value: str) -> None:
    assert parse_retry_after([value], NOW) is None


def test_no_header_asks_for_nothing() -> None:
    assert parse_retry_after([], NOW) is None


@pytest.mark.fault("H25")
@pytest.mark.parametrize(
    "values",
    [
        ["5", "60"],
        ["60", "garbage"],
        ["garbage, 60, 5"],
        ["5, Sun, 01 Mar 2026 12:01:00 GMT"],
        ["Sun, 01 Mar 2026 12:01:00 GMT, 5"],
    ],
)
def test_of_several_waits_the_longest_valid_one_counts(values: list[str]) -> None:
    assert parse_retry_after(values, NOW) == 60.0


@pytest.mark.fault("T6")
def test_a_two_digit_year_is_one_of_a_lifetime() -> None:
    assert parse_http_date("Friday, 01-Mar-68 00:00:00 GMT") == datetime(
        2068, 3, 1, tzinfo=timezone.utc
    )
    assert parse_http_date("Friday, 01-Mar-77 00:00:00 GMT") == datetime(
        1977, 3, 1, tzinfo=timezone.utc
    )


@pytest.mark.fault("T6")
def test_the_last_leap_second_of_the_calendar_is_no_exception() -> None:
    assert parse_http_date("Fri, 31 Dec 9999 23:59:60 GMT") is None


def test_a_date_without_a_zone_is_gmt() -> None:
    moment = parse_http_date("Sun Nov  6 08:49:37 1994")
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)
