from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jack.errors import ProtocolError
from jack.model import Validator
from jack.transfer.ranges import (
    ContentRange,
    Headers,
    body_length,
    changed,
    content_range,
    is_chunked,
    refuse_foreign_content,
    request_headers,
    validator_of,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
OLD = "Wed, 01 Jan 2020 10:00:00 GMT"


def headers(**lines: str | list[str]) -> Headers:
    return Headers(
        {
            name.replace("_", "-").lower(): value if isinstance(value, list) else [value]
            for name, value in lines.items()
        }
    )


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("bytes 0-9/10", ContentRange(0, 9, 10)),
        ("Bytes 5-9/10", ContentRange(5, 9, 10)),
        ("bytes 5-9/*", ContentRange(5, 9, None)),
        ("bytes */10", ContentRange(None, None, 10)),
        ("bytes 5-9/9", None),
        ("bytes 9-5/10", None),
        ("bytes 5-/10", None),
        ("bytes -5/10", None),
        ("bytes 5-9", None),
        ("bytes=5-9/10", None),
        ("items 5-9/10", None),
        ("bytes \uff15-9/10", None),
        ("byte\u017f 5-9/10", None),
        ("bytes 5-9/10 ", ContentRange(5, 9, 10)),
        ("bytes 5-9/10, bytes 5-9/10", None),
        (f"bytes 5-9/{'9' * 20}", None),
        ("bytes +5-9/10", None),
        ("", None),
    ],
)
def test_a_content_range_is_read_strictly(value: str, parsed: ContentRange | None) -> None:
    assert content_range(headers(content_range=value)) == parsed


def test_two_content_ranges_are_none() -> None:
    assert content_range(headers(content_range=["bytes 0-9/10", "bytes 0-9/10"])) is None


@pytest.mark.parametrize(
    "values", ["-1", "1.0", "\uff11\uff12", "", "5, 5", "9" * 20, ["5", "6"], ["5", "5"]]
)
def test_a_senseless_or_repeated_content_length_is_refused(values: str | list[str]) -> None:
    with pytest.raises(ProtocolError, match="Content-Length"):
        body_length(headers(content_length=values))


@pytest.mark.fault("H17")
def test_a_content_length_beside_chunks_means_nothing() -> None:
    both = headers(content_length="5", transfer_encoding="Chunked")
    assert is_chunked(both)
    assert body_length(both) is None


@pytest.mark.parametrize("values", ["gzip, chunked", "gzip", "chunked, chunked", ["chunked"] * 2])
def test_a_transfer_coding_that_would_end_up_in_the_file_is_refused(
    values: str | list[str],
) -> None:
    with pytest.raises(ProtocolError, match="Transfer-Encoding"):
        is_chunked(headers(transfer_encoding=values))


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "X-GZIP"])
def test_a_compressed_answer_is_refused(coding: str) -> None:
    with pytest.raises(ProtocolError, match="compressed"):
        refuse_foreign_content(headers(content_encoding=coding))


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "Text/HTML; charset=utf-8",
        "application/xhtml+xml",
        "application/json",
        "application/problem+json",
        "text/xml",
    ],
)
def test_a_page_about_the_file_is_never_a_film(kind: str) -> None:
    with pytest.raises(ProtocolError, match="never a film"):
        refuse_foreign_content(headers(content_type=kind))


@pytest.mark.parametrize("kind", ["video/x-matroska", "application/octet-stream", "text/plain", ""])
def test_other_types_and_identity_are_taken(kind: str) -> None:
    refuse_foreign_content(headers(content_type=kind, content_encoding="identity"))


@pytest.mark.fault("H9")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', 'W/"abc"'),
        ('""', '""'),
        ("abc", None),
        ('w/"abc"', None),
        ('"a b"', None),
        ('"a"b"', None),
        ('"' + "x" * 2000 + '"', None),
        (['"a"', '"b"'], None),
    ],
)
def test_a_malformed_or_endless_etag_is_ignored(sent: str | list[str], kept: str | None) -> None:
    assert validator_of(headers(etag=sent)).etag == kept


@pytest.mark.fault("H10")
@pytest.mark.parametrize(
    ("date", "counts"),
    [
        ("Wed, 01 Jan 2020 10:01:00 GMT", True),
        ("Wed, 01 Jan 2020 10:00:59 GMT", False),
        (OLD, False),
        ("Wed, 01 Jan 2020 09:00:00 GMT", False),
        ("yesterday", True),
    ],
)
def test_last_modified_counts_only_when_a_minute_older_than_date(date: str, counts: bool) -> None:
    found = validator_of(headers(last_modified=OLD, date=date)).last_modified
    assert found == (OLD if counts else None)


def test_last_modified_without_a_date_beside_it_counts_and_garbage_does_not() -> None:
    assert validator_of(headers(last_modified=OLD)).last_modified == OLD
    assert validator_of(headers(last_modified="long ago")).last_modified is None


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        (Validator('"a"'), Validator('"a"'), False),
        (Validator('"a"'), Validator('"b"'), True),
        (Validator('"a"'), Validator('W/"a"'), True),
        (Validator('W/"a"'), Validator('W/"a"'), False),
        (Validator('"a"'), Validator(), False),
        (Validator(), Validator('"a"'), False),
        (Validator(None, OLD), Validator(None, "Wed Jan  1 10:00:00 2020"), False),
        (Validator(None, OLD), Validator(None, "Wed, 01 Jan 2020 10:00:01 GMT"), True),
        (Validator('"a"', OLD), Validator('"a"', "Wed, 01 Jan 2020 10:00:01 GMT"), True),
    ],
)
def test_what_both_sides_know_must_be_unchanged(
    before: Validator, after: Validator, differs: bool
) -> None:
    assert (changed(before, after) is not None) is differs


@pytest.mark.fault("H9")
@pytest.mark.parametrize("etag", ['W/"a"', None, "a", '"' + "x" * 1024 + '"'])
def test_only_a_strong_etag_of_sane_length_goes_into_if_range(etag: str | None) -> None:
    assert "If-Range" not in request_headers(5, Validator(etag), True)


def test_a_request_asks_for_the_rest_uncompressed() -> None:
    assert request_headers(5, Validator('"a"'), True) == {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Range": "bytes=5-",
        "If-Range": '"a"',
    }
    assert "If-Range" not in request_headers(5, Validator('"a"'), False)
    assert set(request_headers(0, Validator('"a"'), True)) == {"Accept", "Accept-Encoding"}
