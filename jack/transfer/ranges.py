"""The headers that say which bytes of which version an answer holds (RFC 9110 sections 8 and 14).
Pure.

Strict on purpose: only ASCII digits, at most 19 of them. `int` would take any script's digits, and
a number that is too long is a lie about a file in any case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jack.errors import ProtocolError
from jack.model import Validator
from jack.support.files import shown
from jack.support.retry_after import parse_http_date

MAX_ETAG_CHARACTERS = 1024
WEAK_DATE = timedelta(seconds=60)
"""A Last-Modified younger than this at the time of the answer may name two versions of one file
(RFC 7232 section 2.2.2; RFC 9110 section 8.8.2.2 leaves the margin to us)."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_CONTENT_RANGE = re.compile(
    r"bytes +(?:(?P<start>[0-9]{1,19})-(?P<end>[0-9]{1,19})|\*)/(?P<total>[0-9]{1,19}|\*)",
    re.ASCII | re.IGNORECASE,
)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_NOT_A_FILM = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "application/json",
        "text/json",
        "text/xml",
        "application/xml",
    }
)


@dataclass(frozen=True)
class Headers:
    """An answer's header fields: names in lower case, every line that was sent a value of its
    own."""

    lines: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, raw: Any) -> Headers:
        """Those of urllib3's response: requests joins the lines of one name, which hides
        contradictions."""
        return cls({name.lower(): raw.headers.getlist(name) for name in raw.headers})

    def values(self, name: str) -> list[str]:
        return [value.strip(" \t") for value in self.lines.get(name.lower(), ())]

    def only(self, name: str) -> str | None:
        """The value of a field sent exactly once, else None."""
        values = self.values(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class ContentRange:
    """`bytes start-end/total`. An unsatisfied range (`bytes */total`) has no start and end; `total`
    is None where the peer wrote `*`."""

    start: int | None
    end: int | None
    total: int | None


def content_range(headers: Headers) -> ContentRange | None:
    """The Content-Range of an answer; None when there is none, several, or one that makes no
    sense."""
    match = _CONTENT_RANGE.fullmatch(headers.only("Content-Range") or "")
    if match is None:
        return None
    total = None if match["total"] == "*" else int(match["total"])
    if match["start"] is None:
        return ContentRange(None, None, total)
    start, end = int(match["start"]), int(match["end"])
    if start > end or (total is not None and end >= total):
        return None
    return ContentRange(start, end, total)


def body_length(headers: Headers) -> int | None:
    """The length in bytes that the answer states for its body; None when it states none.

    Raises ProtocolError when it states several or nonsense. Beside Transfer-Encoding a
    Content-Length means nothing (RFC 9112 section 6.3).
    """
    values = headers.values("Content-Length")
    if is_chunked(headers) or not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        raise ProtocolError(f"its Content-Length makes no sense ({shown(', '.join(values), 60)})")
    return int(values[0])


def is_chunked(headers: Headers) -> bool:
    """Whether the body comes in chunks. Raises ProtocolError for any other transfer coding: what
    could not be undone would end up in the file."""
    values = [value.lower() for value in headers.values("Transfer-Encoding")]
    if values not in ([], ["chunked"]):
        raise ProtocolError(f"its Transfer-Encoding is not known ({shown(', '.join(values), 60)})")
    return bool(values)


def refuse_foreign_content(headers: Headers) -> None:
    """Raise ProtocolError for a body that cannot be the file itself: coded, or a page about it."""
    is_chunked(headers)
    for value in headers.values("Content-Encoding"):
        if any(coding.strip().lower() not in {"", "identity"} for coding in value.split(",")):
            raise ProtocolError(f"its answer is compressed ({shown(value, 60)}), unasked for")
    for value in headers.values("Content-Type"):
        kind = value.split(";")[0].strip().lower()
        if kind in _NOT_A_FILM or kind.endswith("+json"):
            raise ProtocolError(f"an answer of type {shown(kind, 60)} is never a film")


def is_multipart(headers: Headers) -> bool:
    """Whether the ranges come wrapped in a multipart body, which jack never asks for."""
    return any(v.lower().startswith("multipart/") for v in headers.values("Content-Type"))


def validator_of(headers: Headers) -> Validator:
    """What identifies the version of the file an answer speaks of, as far as it can be relied
    upon."""
    etag = headers.only("ETag")
    if etag is None or len(etag) > MAX_ETAG_CHARACTERS or not _ETAG.fullmatch(etag):
        etag = None
    return Validator(etag, _last_modified(headers))


def _last_modified(headers: Headers) -> str | None:
    text = headers.only("Last-Modified")
    modified = parse_http_date(text) if text else None
    sent = parse_http_date(headers.only("Date") or "")
    if modified is None or (sent is not None and sent - modified < WEAK_DATE):
        return None
    return text


def changed(before: Validator, after: Validator) -> str | None:
    """Why `after` names another version of the file than `before`, or None. What only one side
    knows proves nothing. Entity tags compare as they are: a weak one never equals a strong one."""
    if before.etag is not None and after.etag is not None and before.etag != after.etag:
        return "the file at the peer has changed (another ETag)"
    if before.last_modified is not None and after.last_modified is not None:
        dates = [parse_http_date(v) for v in (before.last_modified, after.last_modified)]
        if dates[0] != dates[1]:
            return "the file at the peer has changed (another Last-Modified)"
    return None


def merged(before: Validator, after: Validator) -> Validator:
    """Two looks at one version: what the later one did not say still holds."""
    return Validator(after.etag or before.etag, after.last_modified or before.last_modified)


def is_strong(etag: str | None) -> bool:
    """Whether `etag` may stand in If-Range (RFC 9110 section 13.1.5)."""
    return (
        etag is not None
        and etag.startswith('"')
        and len(etag) <= MAX_ETAG_CHARACTERS
        and (_ETAG.fullmatch(etag) is not None)
    )


def request_headers(
    offset: int, validator: Validator, use_if_range: bool, always_ranged: bool = False
) -> dict[str, str]:
    """The headers that ask for everything from byte `offset` on, of the version `validator`
    names. `always_ranged`: also from byte 0 on as a range, whose answer tells the size of all."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if offset > 0 or always_ranged:
        headers["Range"] = f"bytes={offset}-"
        if use_if_range and validator.etag is not None and is_strong(validator.etag):
            headers["If-Range"] = validator.etag
    return headers
