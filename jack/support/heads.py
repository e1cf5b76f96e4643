"""The head of an answer and the frames of a chunked body, read strictly (RFC 9112).

http.client takes what it can get: a head that was cut counts as whole, what stands behind a broken
header line is not seen, and a chunk may be -1 bytes long. Each of these could put wrong bytes into
a file or throw right ones away.
"""

from __future__ import annotations

import http.client
import re
from typing import Any

MAX_HEAD_LINES = 500
"""Of the answer and of interim ones before it; http.client takes 100 of a single head."""
MAX_HEAD_BYTES = 512 * 1024
MAX_TRAILER_LINES = 100
_MAX_LINE_BYTES = 65536

_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] [1-9][0-9]{2}(?: [^\r\n]*)?\r?\n")
_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r?\n")
_FOLDED_LINE = re.compile(rb"[ \t][^\r\n]*\r?\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_COOKIES = ("Set-Cookie", "Set-Cookie2")
_TLS_ALERT = b"\x15\x03"
_END = (b"\r\n", b"\n")


class NotHTTP(http.client.HTTPException):
    """What came is no answer that could be understood in one way only."""


class TLSInstead(NotHTTP):
    """The other side speaks TLS where plain HTTP was expected."""


class BrokenChunks(http.client.HTTPException):
    """The frames of a chunked body do not fit together: which bytes are the body is unknown."""


class StrictResponse(http.client.HTTPResponse):
    """http.client's response; what is ambiguous raises NotHTTP, a head that was cut short
    RemoteDisconnected, and broken chunks BrokenChunks. Interim answers (1xx) are passed over (RFC
    9110 section 15.2)."""

    def begin(self) -> None:
        if self.headers is not None:
            return
        reader: Any = self.fp
        lines: Any = _HeadLines(reader)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = reader
        for name in _COOKIES:  # refused anyway, and http.cookiejar takes seconds for hostile ones
            del self.headers[name]
        codings = self.headers.get_all("Transfer-Encoding") or []
        if not self.chunked and any("chunked" in coding.lower() for coding in codings):
            raise NotHTTP("a chunked body in other codings")
        self._settle_length()

    def _settle_length(self) -> None:
        """What urllib3 would complain of later, when nobody closes the connection any more."""
        values = self.headers.get_all("Content-Length") or []
        if self.chunked:
            del self.headers["Content-Length"]  # it means nothing (RFC 9112 section 6.3)
        elif len({length.strip() for value in values for length in value.split(",")}) > 1:
            raise NotHTTP("several lengths")

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(_MAX_LINE_BYTES + 1) not in _END:
                pass

    def _get_chunk_left(self) -> int | None:
        """Called by http.client before each piece of a chunked body: the bytes left of the current
        chunk, None behind the last one."""
        left: int | None = self.chunk_left
        if left:
            return left
        if left is not None:
            self._end_chunk()
        left = self._next_chunk_bytes()
        if left == 0:
            self._pass_trailers()
            self._close_conn()  # type: ignore[attr-defined]
        self.chunk_left = left or None
        return self.chunk_left

    def _end_chunk(self) -> None:
        end = self.fp.read(2)
        if len(end) < 2:
            raise http.client.IncompleteRead(b"")
        if end != b"\r\n":
            raise BrokenChunks("a chunk does not end where it said")

    def _next_chunk_bytes(self) -> int:
        """What is no size ends the body: the chunk before it was whole, and what it held is
        right."""
        match = _CHUNK_LINE.fullmatch(self.fp.readline(_MAX_LINE_BYTES + 1))
        if match is None:
            raise http.client.IncompleteRead(b"")
        return int(match[1], 16)

    def _pass_trailers(self) -> None:
        for _ in range(MAX_TRAILER_LINES):
            line = self.fp.readline(_MAX_LINE_BYTES + 1)
            if not line or line in _END:
                return
        raise NotHTTP("too many trailers")


class _HeadLines:
    """Stands before the connection's reader while a head is read, and looks at every line."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._count = 0
        self._bytes = 0
        self._at_start = True
        self._can_fold = False

    def readline(self, limit: int) -> bytes:
        line: bytes = self._reader.readline(limit)
        self._count += 1
        self._bytes += len(line)
        if self._count > MAX_HEAD_LINES or self._bytes > MAX_HEAD_BYTES:
            raise NotHTTP("too much before the body")
        if len(line) >= limit:
            return line  # refused by http.client
        self._check(line)
        self._can_fold = not self._at_start
        self._at_start, is_status = line in _END, self._at_start  # the end may be an interim one's
        if is_status or self._at_start or _FOLDED_LINE.fullmatch(line):
            return line
        # http.client would not know "chunked " with the space that it may have.
        return line.rstrip(b" \t\r\n") + b"\r\n"

    def _check(self, line: bytes) -> None:
        if not self._at_start and _HEADER_LINE.fullmatch(line):
            return  # as nearly all are
        if line.startswith(_TLS_ALERT) and self._at_start:
            raise TLSInstead("a TLS alert")
        begun = b"HTTP/".startswith(line[:5]) or not self._at_start
        if begun and not line.endswith(b"\n"):
            raise http.client.RemoteDisconnected("the connection ended within the head")
        forms = [_STATUS_LINE] if self._at_start else [_HEADER_LINE]
        forms += [_FOLDED_LINE] if self._can_fold else []
        foreign = self._at_start and not line.startswith(b"HTTP/")  # http.client says so
        if line not in _END and not foreign and not any(form.fullmatch(line) for form in forms):
            raise NotHTTP("a line of the head that makes no sense")

    def close(self) -> None:
        self._reader.close()
