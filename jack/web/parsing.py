"""A stricter reading of requests than waitress's own: whatever two programs on the way (a proxy and
jack) could understand in two ways is refused, and so cannot hide a second request.
"""

from __future__ import annotations

import re
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

_REQUEST_LINE = re.compile(rb"[A-Z]+ (/[!-~\x80-\xff]*|\*) HTTP/(1\.[01])")
"""The absolute form is for proxies, which jack is none; the others are HTTP nobody speaks."""
_HOST = re.compile(rb"[A-Za-z0-9._~%:\[\]-]*")
_ONCE = (b"host", b"content-length", b"transfer-encoding")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MAX_LENGTH_DIGITS = 19


class StrictParser(HTTPRequestParser):  # type: ignore[misc]  # waitress carries no types
    """Refuses with 400 what RFC 9112 lets a server refuse."""

    completed: bool
    empty: bool
    headers: dict[str, str]
    error: BadRequest | None

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        # waitress would wait for an end that never comes: to it, the lines are one.
        if not self.completed and self.body_rcv is None and _BARE_LF.search(self.header_plus):
            self.error = BadRequest("Bare LF found in HTTP message")
            self.completed = True
        if self.completed:
            # Else waitress asks for the body that is too large or complete, and forgets the rest.
            self.expect_continue = False
        if self.completed and not self.empty and consumed < len(data):
            # Answers that queue up behind one that nobody reads would cost a thread or memory. RFC
            # 9112, 9.3.2 lets a server close instead; what was not answered the client sends again.
            self.headers["CONNECTION"] = "close"
            return len(data)
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError, which waitress answers with 400."""
        line, *lines = header_plus.split(b"\r\n")
        match = _REQUEST_LINE.fullmatch(line)
        if match is None or (match[1] == b"*") != line.startswith(b"OPTIONS *"):
            raise ParsingError("Start line is invalid")
        _check_fields(_fields(lines), match[2])
        super().parse_header(header_plus)


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """The values of each field; the form of the lines is checked by waitress."""
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line.startswith((b" ", b"\t")):
            # RFC 9112, 5.2: folded lines are obsolete.
            raise ParsingError("Folded header line")
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return fields


def _check_fields(fields: dict[bytes, list[bytes]], version: bytes) -> None:
    found: dict[bytes, Any] = {}
    for name in _ONCE:
        values = fields.get(name, [])
        if len(values) > 1:
            raise ParsingError(f"More than one {name.decode()}")
        found[name] = values[0] if values else None
    host, length, coding = found.values()
    if (host is None and version == b"1.1") or not _HOST.fullmatch(host or b""):
        raise ParsingError("Host is missing or invalid")  # RFC 9112, 3.2
    if coding is not None:
        # Nothing that jack is asked for needs a body, least of all one of unknown length.
        raise ParsingError("Transfer-Encoding is not supported")
    if length is not None and len(length) > _MAX_LENGTH_DIGITS:
        raise ParsingError("Content-Length is invalid")
