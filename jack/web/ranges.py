"""Which part of a file a Range header asks for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MAX_SAFE_INTEGER = 2**53 - 1
_MAX_DIGITS = 16


class UnsatisfiableRange(ValueError):
    """No byte of the file lies in the range: the answer is 416."""


@dataclass(frozen=True)
class Span:
    """`length` bytes from `start`."""

    start: int
    length: int

    def content_range(self, total: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{total}"


def requested_span(header: str | None, size: int) -> Span | None:
    """The span to send as 206, or None for the whole file as 200. Raises UnsatisfiableRange.

    A server may ignore any Range (RFC 9110, 14.2): several ranges, other units, malformed ones and
    numbers JavaScript cannot hold are ignored, as other peers do.
    """
    match = _RANGE.fullmatch((header or "").strip(" \t"))
    if not match or match[1] == match[2] == "" or not all(map(_is_safe, match.groups())):
        return None
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
    else:
        first, last = size - min(int(match[2]), size), size - 1
    if first > last:
        raise UnsatisfiableRange(header)
    return Span(first, last - first + 1)


def _is_safe(digits: str) -> bool:
    """Whether JavaScript holds the number exactly; no digits are fine."""
    return len(digits) <= _MAX_DIGITS and int(digits or 0) <= _MAX_SAFE_INTEGER
