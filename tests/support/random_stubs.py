"""Seeded random `.torrent` files, and an independent reader that says which are jack's stubs.

`RandomStubs(pick).bytes()` is anything between a real stub and noise; `expected(data)` is the Stub
a file of these bytes must be taken for, or None.
"""

from __future__ import annotations

import random
import re
import unicodedata
from typing import Any

from jack.blackhole.stub import build_stub
from jack.model import Stub

PEER = "15ee3276"
LIMIT = 1024 * 1024
_TITLES = ["Big Buck Bunny (2008)", "Ä ö 電影", "x" * 200, "a:b:c", "d4:evil", "i1e"]
_ITEMS = ["33cf6f5d:movie:1", "a:b:c:d", "é", "x" * 512, "e", "1", " ", "d8:comment"]
_COMMENTS = [
    "jack:15ee3276:33cf6f5d:movie:9",
    "jack:15EE3276:x",
    "jack:15ee327:x",
    "jack:15ee3276:",
    "jack:15ee3276",
    "Jack:15ee3276:x",
    " jack:15ee3276:x",
    "jack:15ee3276:a\nb",
    "jack:15ee3276:" + "y" * 513,
    "jack:15ee3276:\u202ex",
    "jack:deadbeef:x",
    "",
]


class RandomStubs:
    """Everything comes from `pick`, so one seed always gives the same files."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick

    def bytes(self) -> bytes:
        make = self._pick.choices(
            [self.real, self._mutated, self._torrent, self._noise, self._nested, self._huge],
            weights=[3, 8, 6, 3, 1, 1],
        )[0]
        return make()

    def real(self) -> bytes:
        pick = self._pick
        stub = Stub(PEER, pick.choice(_ITEMS))
        return build_stub(stub, pick.choice(_TITLES), pick.choice([1, 10, 10**7, 80 * 10**9]))

    def _mutated(self) -> bytes:
        data = bytearray(self.real()[:4000])
        for _ in range(self._pick.choice([1, 1, 1, 2, 5, 30])):
            self._mutate(data)
        return bytes(data)

    def _mutate(self, data: bytearray) -> None:
        pick = self._pick
        at, end = sorted(pick.randrange(len(data) + 1) for _ in range(2))
        how = pick.randrange(7)
        if how == 0 and at < len(data):
            data[at] ^= 1 << pick.randrange(8)
        elif how == 1:
            data[at:at] = pick.choice([b"i0e", b"0:", b"le", b"de", b"\0", b"\n", b"e", b"9" * 120])
        elif how == 2:
            del data[at : min(end, at + pick.choice([1, 2, 50]))]
        elif how == 3:
            del data[at:]
        elif how == 4:
            data[at:at] = data[at:end]
        elif how == 5:
            data[:0] = pick.choice([b" ", b"\n", b"\xef\xbb\xbf"])
        else:
            data += pick.choice([b" ", b"\r\n", b"\0", b"x", bytes(data)])

    def _torrent(self) -> bytes:
        """Well-formed, with or without a comment that may look like ours."""
        pick = self._pick
        document: dict[bytes, Any] = {b"info": {b"length": 5, b"name": b"x"}}
        if pick.random() < 0.8:
            document[b"comment"] = self._comment()
        for key in (b"announce", b"comment.utf-8", b"Comment", b"zz"):
            if pick.random() < 0.4:
                document[key] = self._value(3)
        return encode(pick.choice([document, document, document, [document], self._value(4)]))

    def _comment(self) -> Any:
        comment = self._pick.choice(_COMMENTS).encode()
        return self._pick.choice([comment, comment, comment, comment + b"\xff", [comment], 7])

    def _value(self, depth: int) -> Any:
        pick = self._pick
        kind = pick.randrange(4 if depth else 2)
        if kind == 0:
            return pick.choice([0, -1, 7, 2**63, -(2**70)])
        if kind == 1:
            return pick.randbytes(pick.choice([0, 1, 20]))
        if kind == 2:
            return [self._value(depth - 1) for _ in range(pick.randrange(4))]
        return {pick.randbytes(2): self._value(depth - 1) for _ in range(pick.randrange(4))}

    def _noise(self) -> bytes:
        pick = self._pick
        return pick.choice(
            [b"", pick.randbytes(pick.randrange(1, 3000)), b"d" * 500, b"magnet:?xt=urn:btih:1"]
        )

    def _nested(self) -> bytes:
        depth = self._pick.choice([50, 900, 100_000])
        opening, closing = self._pick.choice([(b"l", b"e"), (b"d1:a", b"e")])
        whole = b"d7:comment6:jack:x1:n" + opening * depth + b"le" + closing * depth + b"e"
        return whole if self._pick.random() < 0.5 else whole[: len(whole) // 2]

    def _huge(self) -> bytes:
        size = LIMIT + self._pick.choice([-1000, 0, 1, 500_000])
        return self.real() + b"\n" * size if self._pick.random() < 0.5 else b"8:" + b"x" * size


def encode(value: Any) -> bytes:
    """Bencode (BEP 3)."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, list):
        return b"l%be" % b"".join(map(encode, value))
    return b"d%be" % b"".join(encode(key) + encode(value[key]) for key in sorted(value))


def expected(data: bytes) -> Stub | None:
    """Strict: one canonical value and white space behind it, at most a MiB of it all."""
    if len(data) > LIMIT:
        return None
    try:
        document, end = _Reader(data).value(0, 0)
    except (ValueError, IndexError):
        return None
    if data[end:].strip(b" \t\r\n") or not isinstance(document, dict):
        return None
    comment = document.get(b"comment")
    try:
        text = comment.decode() if isinstance(comment, bytes) else ""
    except UnicodeDecodeError:
        return None
    found = re.fullmatch(r"jack:([0-9a-f]{8}):(.{1,512})", text, re.DOTALL)
    if found is None or any(unicodedata.category(letter) == "Cc" for letter in found[2]):
        return None
    return Stub(found[1], found[2])


class _Reader:
    """A decoder of its own, so that jack's is not asked about itself."""

    DEEPEST = 400

    def __init__(self, data: bytes) -> None:
        self._data = data

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        if depth > self.DEEPEST:
            raise ValueError("deep")
        head = self._data[at : at + 1]
        if head == b"i":
            end = self._data.index(b"e", at)
            return self._integer(self._data[at + 1 : end], signed=True), end + 1
        if head == b"l":
            return self._list(at + 1, depth)
        if head == b"d":
            return self._dictionary(at + 1, depth)
        return self._text(at)

    def _integer(self, digits: bytes, *, signed: bool) -> int:
        pattern = rb"0|-?[1-9][0-9]*" if signed else rb"0|[1-9][0-9]*"
        if len(digits) > 99 or not re.fullmatch(pattern, digits):
            raise ValueError("integer")
        return int(digits)

    def _text(self, at: int) -> tuple[bytes, int]:
        colon = self._data.index(b":", at)
        begin = colon + 1
        end = begin + self._integer(self._data[at:colon], signed=False)
        if end > len(self._data):
            raise ValueError("short")
        return self._data[begin:end], end

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        found = []
        while self._data[at : at + 1] != b"e":
            value, at = self.value(at, depth + 1)
            found.append(value)
        return found, at + 1

    def _dictionary(self, at: int, depth: int) -> tuple[dict[bytes, Any], int]:
        found: dict[bytes, Any] = {}
        last: bytes | None = None
        while self._data[at : at + 1] != b"e":
            key, at = self._text(at)
            if last is not None and key <= last:
                raise ValueError("order")
            found[key], at = self.value(at, depth + 1)
            last = key
        return found, at + 1
