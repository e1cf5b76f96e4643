"""Which part of a file a Range header asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.http import parse_range_header


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

    A server may ignore any Range (RFC 9110, 14.2): several ranges, other units and malformed ones
    are ignored, as other peers do.
    """
    wanted = parse_range_header(header)
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    first, end = wanted.ranges[0]
    if first < 0:
        first = max(0, size + first)
    length = (size if end is None else min(end, size)) - first
    if length <= 0:
        raise UnsatisfiableRange(header)
    return Span(first, length)
