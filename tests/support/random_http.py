"""Random answers to a request for a file: what a broken proxy or a hostile peer might send.

Everything may be garbled but the bytes of the file themselves: an answer that says "these are the
bytes from 5 on" and holds others, in frames that fit together, no client could see through.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from tests.support.scripted_peer import Answer, Request

_STATUSES = [200] * 8 + [206] * 10 + [416] * 3 + [204, 205, 304, 300, 301, 302, 303, 307, 308]
_STATUSES += [401, 403, 404, 408, 410, 425, 429, 451, 500, 502, 503, 504, 507, 520, 599, 999, 226]
_VERSIONS = ["HTTP/1.1"] * 20 + ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "ICY", "http/1.1"]
_REASONS = [" OK"] * 10 + ["", " ", " \xff\x00", " a\tb", " " + "x" * 70_000, "\x0b", " \x85"]
_INTERIM = [b""] * 10 + [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: <x>\r\n\r\n"]
_TAGS = ['"v1"', '"v1"', '"other"', 'W/"v1"', "v1", '"', '""', '"' + "x" * 5000 + '"', '"\xe9"']
_DATES = [
    "Wed, 01 Jan 2020 10:00:00 GMT",
    "Wednesday, 01-Jan-20 10:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:60 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "yesterday",
    "",
]
_KINDS = ["video/x-matroska", "application/octet-stream", "multipart/byteranges; boundary=x"]
_KINDS += ["text/html", "application/problem+json", "\xff;;=", ""]
_WAITS = ["5", "0", "-5", "\uff15".encode().decode("latin-1"), "1" + "0" * 30, "soon", ""]
_NAMES = ["X-A", "Connection", "Keep-Alive", "Via", "Age", "Warning", "Content-MD5", "Repr-Digest"]
_VALUES = ["b", "close", "keep-alive", "\xff\xfe", "x" * 60_000, "a\x00b", '"', "identity", "0"]


class RandomAnswers:
    """Call it with a request; `elsewhere` is an origin that must never be asked."""

    def __init__(self, pick: random.Random, body: bytes, elsewhere: str) -> None:
        self._pick = pick
        self._body = body
        self._elsewhere = elsewhere

    def __call__(self, request: Request) -> Answer:
        pick, total = self._pick, len(self._body)
        asked = int((request.range or "bytes=0-")[6:].rstrip("-"))
        status = pick.choice(_STATUSES)
        start = pick.choice([asked, asked, asked, 0, pick.randrange(total)])
        start = start if status == 206 else 0
        lines = self._about_the_span(status, start, asked)
        lines += self._about_the_file() + self._noise()
        frames, body = self._framed(status, self._body[start:])
        lines += frames
        pick.shuffle(lines)
        head = self._status_line(status) + self._joined(lines)
        raw = pick.choice(_INTERIM) + head + body
        if pick.random() < 0.3:
            raw = raw[: pick.randrange(len(raw) + 1)]
        elif pick.random() < 0.1:
            raw += pick.choice([b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00" * 5000])
        return replace(Answer(raw=raw), reset=pick.random() < 0.15)

    def _status_line(self, status: int) -> bytes:
        pick = self._pick
        shown = str(status) if pick.random() < 0.97 else pick.choice(["+200", "2_00", "20", "abc"])
        return f"{pick.choice(_VERSIONS)} {shown}{pick.choice(_REASONS)}\r\n".encode("latin-1")

    def _joined(self, lines: Sequence[str]) -> bytes:
        pick = self._pick
        end = pick.choice(["\r\n"] * 12 + ["\n", "\r"])
        lines = [
            line.replace(": ", pick.choice([": "] * 9 + [":", ":\t", " : "])) for line in lines
        ]
        if pick.random() < 0.05:
            lines.insert(
                pick.randrange(len(lines) + 1), pick.choice(["junk", " fold", " ", ": x", "é: x"])
            )
        return "".join(line + end for line in [*lines, ""]).encode("latin-1")

    def _about_the_span(self, status: int, start: int, asked: int) -> list[str]:
        pick, total = self._pick, len(self._body)
        told = pick.choice([start, start, start, pick.randrange(total)])
        if told == asked and start != asked:
            told = start  # not to be seen through
        end = pick.choice([total - 1] * 4 + [pick.randrange(total), total])
        size: object = pick.choice([total] * 5 + [total + 1, total - 1, 0, "*", 2**70])
        usual = f"bytes {told}-{end}/{size}"
        if status == 416:
            usual = f"bytes */{size}"
        spans = [usual] * 8 + [f"bytes={told}-{end}/{size}", f"bytes {told}-/{size}", "bytes */*"]
        spans += [f"Bytes  {told}-{end}/{size}", f"items {told}-{end}/{size}", "x" * 100, ""]
        lines = [f"Content-Range: {pick.choice(spans)}"] if status in (206, 416) else []
        if lines and pick.random() < 0.05:
            lines.append(f"Content-Range: bytes 0-{total - 1}/{total}")
        return lines

    def _about_the_file(self) -> list[str]:
        pick = self._pick
        some = [
            (0.6, "ETag", _TAGS),
            (0.3, "Last-Modified", _DATES),
            (0.3, "Date", _DATES),
            (0.5, "Content-Type", _KINDS[:2] * 6 + _KINDS[2:]),
            (0.1, "Content-Encoding", ["identity", "gzip", "br, gzip", ""]),
            (0.1, "Retry-After", _WAITS),
            (0.05, "ETag", _TAGS),
        ]
        return [
            f"{name}: {pick.choice(values)}" for odds, name, values in some if pick.random() < odds
        ]

    def _noise(self) -> list[str]:
        pick = self._pick
        lines = [f"{pick.choice(_NAMES)}: {pick.choice(_VALUES)}" for _ in range(pick.randrange(4))]
        where = f"{self._elsewhere}/x"
        leads = [f"Location: {where}", f"Refresh: 0; url={where}", f"Content-Location: {where}"]
        leads += [
            f"Link: <{where}>; rel=preload",
            "Set-Cookie: a=b",
            "Location: http://[",
            "Location:",
        ]
        lines += [pick.choice(leads)] if pick.random() < 0.4 else []
        return lines * 40 if pick.random() < 0.02 else lines

    def _framed(self, status: int, rest: bytes) -> tuple[list[str], bytes]:
        """Header lines that say how the body ends, and the body in those frames."""
        pick, size = self._pick, len(rest)
        if pick.random() < 0.3:
            coding = pick.choice(
                ["chunked"] * 6 + ["Chunked ", "chunked, chunked", "gzip, chunked"]
            )
            also = [f"Content-Length: {pick.choice([size, 5])}"] if pick.random() < 0.2 else []
            return [f"Transfer-Encoding: {coding}", *also], self._chunked(
                rest, longer=status == 200
            )
        odd = [f"+{size}", f"-{size}", f"{size}, {size}", f"{size},5", f"{size}.0", "", "9" * 5000]
        odd += [hex(size), "\xb2", f"{size}\r\nContent-Length: {size}", f"{size} {size}"]
        odd += [str(size + 1), str(size // 2)] if status == 206 else []
        lengths = [str(size)] * 12 + [f"  {size} ", f"000{size}", *odd]
        return [f"Content-Length: {pick.choice(lengths)}"] if pick.random() < 0.9 else [], rest

    def _chunked(self, rest: bytes, longer: bool) -> bytes:
        """`longer`: a chunk may claim more bytes than it has; a reader who needs none behind them
        cannot notice."""
        pick = self._pick
        pieces: list[bytes] = []
        while rest:
            size = pick.randrange(1, 4000)
            piece, rest = rest[:size], rest[size:]
            told, end = len(piece), b"\r\n"
            if pick.random() < 0.02 and len(rest) > 8:
                told += pick.choice([-2, -1, 1, 2] if longer else [-2, -1])
            if pick.random() < 0.02:
                end = pick.choice([b"", b"\n", b"xx"]) if rest else end
            extension = pick.choice([b""] * 6 + [b";a=b", b' ; a="\xff"'])
            pieces.append(b"%x%b\r\n%b%b" % (max(told, 1), extension, piece, end))
        if pieces and pick.random() < 0.05:
            wrong = [b"-5\r\n", b"zz\r\n", b"\r\n", b"f" * 30 + b"\r\n", b"0x5\r\n", b"0\r\n\r\n"]
            pieces.insert(pick.randrange(len(pieces)), pick.choice(wrong))
        tail = [b"0\r\n\r\n"] * 6 + [
            b"0;x\r\nX: y\r\n\r\n",
            b"",
            b"0\r\n",
            b"000\r\n" + b"X: y\r\n" * 200,
        ]
        return b"".join(pieces) + pick.choice(tail)
