"""Dates and waits as HTTP writes them (RFC 9110 sections 5.6.7 and 10.2.3). Pure, and never an
exception."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

MAX_WAIT_SECONDS = 6 * 3600.0
"""A peer that asks for more is asked again after this long."""

_DIGITS = re.compile(r"[0-9]+")
_SURELY_TOO_LONG_DIGITS = 10
_LONGEST_VALUE = 10_000
"""Characters. No honest header comes near; behind them it is not looked at."""
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = r"(?P<month>[a-z]{3})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_ZONE = r"(?: (?:GMT|UTC))?"
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        # IMF-fixdate, RFC 850 and asctime, in the order of RFC 9110 section 5.6.7.
        rf"[a-z]{{3}}, (?P<day>[0-9]{{1,2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME}{_ZONE}",
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME}{_ZONE}",
        rf"[a-z]{{3}} {_MONTH} (?P<day>[0-9 ]?[0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*", re.ASCII | re.IGNORECASE)


def parse_http_date(text: str, now: datetime) -> datetime | None:
    """`text` in any of the three forms of RFC 9110 section 5.6.7 as aware UTC, or None.

    HTTP dates are always GMT, so one without a zone is too. `now` places a year of two digits: one
    that would lie more than 50 years ahead means the century before. A leap second is the second
    after :59.
    """
    match = next((m for m in (form.fullmatch(text.strip(" \t")) for form in _FORMS) if m), None)
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    year, second = int(match["year"]), int(match["second"])
    if len(match["year"]) == 2:
        year = _full_year(year, now.year)
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if second == 60 else second,
            tzinfo=timezone.utc,
        )
        return moment + timedelta(seconds=1 if second == 60 else 0)
    except (ValueError, OverflowError):
        return None


def _full_year(two_digits: int, this_year: int) -> int:
    year = this_year - this_year % 100 + two_digits
    return year - 100 if year > this_year + 50 else year


def parse_retry_after(values: list[str], now: datetime) -> float | None:
    """How many seconds the peer asked us to wait, at most MAX_WAIT_SECONDS.

    `values` are all Retry-After headers of the answer, joined by commas or not; of several that
    make sense the longest counts. None when nothing was asked for: no header, garbage, zero, or a
    moment gone by.
    """
    waits = [wait for value in values for item in _items(value) if (wait := _wait(item, now)) > 0]
    return min(max(waits), MAX_WAIT_SECONDS) if waits else None


def _items(value: str) -> list[str]:
    """The members of a header that a client library has joined; the comma within a date is no
    joint."""
    items: list[str] = []
    day = ""
    for piece in (piece.strip(" \t") for piece in value[:_LONGEST_VALUE].split(",")):
        if _WEEKDAY.fullmatch(piece):
            day = piece + ", "
        else:
            items.append(day + piece)
            day = ""
    return items


def _wait(item: str, now: datetime) -> float:
    """Seconds; 0 for what asks for no wait. Only ASCII digits count (`int` takes any script's)."""
    if _DIGITS.fullmatch(item):
        digits = item.lstrip("0") or "0"
        return MAX_WAIT_SECONDS if len(digits) > _SURELY_TOO_LONG_DIGITS else float(int(digits))
    moment = parse_http_date(item, now)
    return (moment - now).total_seconds() if moment is not None else 0.0
