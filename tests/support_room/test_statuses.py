"""What a status code means for a retry, and Retry-After as headers write it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jack.errors import JackError, PeerRefused, PermanentError, ProtocolError, TransientError
from jack.support.statuses import error_for_status

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def error(status: int, **headers: str) -> JackError:
    return error_for_status("ann", "the file", status, headers, NOW)


@pytest.mark.fault("H26")
@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (PeerRefused, [401, 403]),
        (TransientError, [408, 425, 429, 500, 502, 503, 504, 599, 999]),
        (PermanentError, [400, 402, 404, 405, 406, 410, 413, 416, 422, 451, 499]),
        (ProtocolError, [100, 101, 200, 201, 204, 206, 226, 300, 301, 302, 304, 308, 399]),
    ],
)
def test_every_status_has_a_class_of_error_and_says_its_number(
    kind: type[JackError], statuses: list[int]
) -> None:
    assert {type(error(status)) for status in statuses} == {kind}
    assert all(str(status) in str(error(status)) for status in statuses)


def test_retry_after_counts_where_another_try_makes_sense() -> None:
    busy = error(503, **{"Retry-After": "120"})
    assert isinstance(busy, TransientError)
    assert busy.retry_after_seconds == 120
    assert error(503).retry_after_seconds is None  # type: ignore[attr-defined]
    dated = error(429, **{"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"})
    assert dated.retry_after_seconds == 60  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://elsewhere.example:8443/a?key=secret", "'https://elsewhere.example:8443'"),
        ("/login?next=secret", "nowhere"),
        ("http://[broken/secret", "nowhere"),
        ("http://me:secret@host.example/", "'http://host.example'"),
        ("", "nowhere"),
    ],
)
def test_a_redirect_is_named_by_its_origin_only(location: str, named: str) -> None:
    text = str(error(302, Location=location))
    assert f"to {named};" in text
    assert "secret" not in text
