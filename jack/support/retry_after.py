"""Dates and waits as HTTP writes them (RFC 9110 sections 5.6.7 and 10.2.3). Pure, and never an
exception."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from jack.support.waits import MAX_WAIT_SECONDS as MAX_WAIT_SECONDS

_DIGITS = re.compile(r"[0-9]+")
_SURELY_TOO_LONG_DIGITS = 10
_LONGEST_VALUE = 10_000
"""Characters. No honest header comes near; behind them it is not looked at."""
_DAYS = "day mon tue wed thu fri sat sun".split()
_JOINT = re.compile("".join(f"(?<!{day})" for day in _DAYS) + ",", re.IGNORECASE)
"""The comma between two values that a client library has joined; not the one within a date."""


def parse_http_date(text: str) -> datetime | None:
    """`text` in any of the three forms of RFC 9110 section 5.6.7 as aware UTC, or None.

    HTTP dates are always GMT, so one without a zone is too.
    """
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_retry_after(values: list[str], now: datetime) -> float | None:
    """How many seconds the peer asked us to wait, at most MAX_WAIT_SECONDS.

    `values` are all Retry-After headers of the answer, joined by commas or not; of several that
    make sense the longest counts. None when nothing was asked for: no header, garbage, zero, or a
    moment gone by.
    """
    items = [item for value in values for item in _JOINT.split(value[:_LONGEST_VALUE])]
    longest = max((_wait(item.strip(" \t"), now) for item in items), default=0.0)
    return min(longest, MAX_WAIT_SECONDS) if longest > 0 else None


def _wait(item: str, now: datetime) -> float:
    """Seconds; 0 for what asks for no wait. Only ASCII digits count (`int` takes any script's)."""
    if _DIGITS.fullmatch(item):
        digits = item.lstrip("0") or "0"
        return MAX_WAIT_SECONDS if len(digits) > _SURELY_TOO_LONG_DIGITS else float(digits)
    moment = parse_http_date(item)
    return (moment - now).total_seconds() if moment is not None else 0.0
