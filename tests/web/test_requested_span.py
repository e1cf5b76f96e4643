"""The Range grammar, as the peers out there use and expect it."""

from __future__ import annotations

import pytest

from jack.web.spans import Span, UnsatisfiableRange, requested_span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "abc",
        "bytes=",
        "bytes=-",
        "bytes=abc",
        "bytes=a-b",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=0-1, bytes=3-4",
        "bytes=-1-",
        "bytes=\u0661-\u0662",
        "bytes=5-2",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_is_not_one_plain_range_is_ignored(header: str | None) -> None:
    assert requested_span(header, 10) is None


@pytest.mark.parametrize(
    ("header", "start", "length"),
    [
        ("bytes=2-4", 2, 3),
        ("bytes=0-0", 0, 1),
        ("Bytes=0-0", 0, 1),
        ("bytes = 0 - 0", 0, 1),
        ("  bytes=2-4\t", 2, 3),
        ("bytes=8-", 8, 2),
        ("bytes=0-", 0, 10),
        ("bytes=8-99", 8, 2),
        ("bytes=0-9007199254740992", 0, 10),
        ("bytes=-9007199254740992", 0, 10),
        ("bytes=-3", 7, 3),
        ("bytes=-10", 0, 10),
        ("bytes=-99", 0, 10),
        ("bytes=007-008", 7, 2),
    ],
)
def test_a_range_is_clamped_to_the_file(header: str, start: int, length: int) -> None:
    assert requested_span(header, 10) == Span(start, length)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=20-30", "bytes=9007199254740992-"])
def test_a_range_without_a_byte_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        requested_span(header, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_every_range_of_an_empty_file_is_unsatisfiable(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        requested_span(header, 0)


def test_content_range_counts_the_last_byte_in() -> None:
    assert Span(2, 3).content_range(10) == "bytes 2-4/10"
