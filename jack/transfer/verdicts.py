"""What an answer to a request for the file means. Pure: headers in, a verdict out, nothing read or
written."""

from __future__ import annotations

from dataclasses import dataclass

from jack.errors import ProtocolError
from jack.model import Validator
from jack.transfer import ranges
from jack.transfer.ranges import ContentRange, Headers


@dataclass(frozen=True)
class Asked:
    """What was asked for: the bytes from `offset` on, of a file that is `expected` bytes long (None
    when no transfer has recorded that yet) and whose version is `validator`.

    `have` bytes of it are on disk; those behind `offset` are asked for to be compared. `ranged`: a
    Range was sent, if only to learn the size."""

    offset: int
    have: int
    expected: int | None
    validator: Validator
    ranged: bool


@dataclass(frozen=True)
class Append:
    """A body that begins exactly where we asked. It holds the bytes up to `end` (not included) of
    `total`; a body that ends before `total` is a short one."""

    end: int
    total: int
    validator: Validator


@dataclass(frozen=True)
class Fresh:
    """The whole file from byte 0; `size` is None where the answer does not state it. `reason` says
    why this is not what was asked for, None when it is."""

    size: int | None
    validator: Validator
    reason: str | None
    if_range_ignored: bool = False


@dataclass(frozen=True)
class Complete:
    """There is nothing behind our offset: the file ends where we stand."""

    total: int
    validator: Validator


@dataclass(frozen=True)
class Anew:
    """Nothing of this answer can be used: give up what we have and ask again from byte 0."""

    reason: str


Verdict = Append | Fresh | Complete | Anew


def judge(question: Asked, status: int, headers: Headers) -> Verdict | None:
    """The verdict on an answer; None for a status that holds no file at all, whatever was asked.

    Raises ProtocolError for a body that cannot be the file: then nothing on disk may be touched.
    """
    if status == 200:
        return _whole(question, headers)
    if status == 206:
        return _part(question, headers)
    if status == 416 and question.ranged:
        return _unsatisfied(question, headers)
    if status == 416:
        raise ProtocolError("it refused a range (HTTP 416) that was not asked for")
    return None


def _whole(question: Asked, headers: Headers) -> Fresh:
    ranges.refuse_foreign_content(headers)
    size = ranges.body_length(headers)
    validator = ranges.validator_of(headers)
    known = question.validator
    reason = ranges.changed(known, validator) if question.have else None
    if question.offset == 0:
        if question.have and size is not None and question.expected not in (None, size):
            reason = reason or _another_size(size, question.expected)
        return Fresh(size, validator, reason)
    unchanged = validator.etag is not None and validator.etag == known.etag
    return Fresh(
        size,
        validator,
        reason or "the peer answered with the whole file instead of the rest",
        if_range_ignored=unchanged and ranges.is_strong(known.etag),
    )


def _part(question: Asked, headers: Headers) -> Append | Anew:
    ranges.refuse_foreign_content(headers)
    if not question.ranged:
        raise ProtocolError("it sent a part (HTTP 206) of a file that was asked for as a whole")
    if ranges.is_multipart(headers):
        return Anew("the peer sent several ranges in one body")
    span = ranges.content_range(headers)
    if span is None or span.start is None or span.end is None or span.total is None:
        return Anew("the peer sent a part of the file without saying which")
    validator = ranges.validator_of(headers)
    reason = _other_file(question, span, validator) or _other_span(question, span, headers)
    return Anew(reason) if reason else Append(span.end + 1, span.total, validator)


def _other_file(question: Asked, span: ContentRange, validator: Validator) -> str | None:
    if question.expected is not None and span.total != question.expected:
        return _another_size(span.total, question.expected)
    if span.total is not None and span.total < question.have:
        return _another_size(span.total, None)
    return ranges.changed(question.validator, validator)


def _another_size(now: int | None, before: int | None) -> str:
    known = "" if before is None else f", {before} before"
    return f"the file at the peer has changed (it has {now} bytes now{known})"


def _other_span(question: Asked, span: ContentRange, headers: Headers) -> str | None:
    if span.start != question.offset:
        return f"the peer sent the bytes from {span.start} on instead of from {question.offset} on"
    try:
        length = ranges.body_length(headers)
    except ProtocolError as error:
        return f"the peer contradicts itself: {error}"
    if length is not None and span.end is not None and length != span.end - question.offset + 1:
        return "the peer contradicts itself: Content-Length and Content-Range disagree"
    return None


def _unsatisfied(question: Asked, headers: Headers) -> Complete | Anew:
    span = ranges.content_range(headers)
    if span is None or span.start is not None or span.total is None:
        return Anew("the peer refused the range without saying how long the file is")
    agrees = question.expected in (None, span.total) and question.have == span.total
    if not agrees or question.offset != span.total:
        return Anew(_another_size(span.total, None))
    validator = ranges.validator_of(headers)
    reason = ranges.changed(question.validator, validator)
    return Anew(reason) if reason else Complete(span.total, validator)
