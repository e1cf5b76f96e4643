"""Random metadata and answers to searches: JSON out of schema, and what only looks like JSON."""

from __future__ import annotations

import json
import random
from typing import Any

GOOD: dict[str, Any] = {
    "id": "c0ffee00:movie:7",
    "title": "Film (2020) 1080p",
    "filename": "Film (2020).mkv",
    "category": 2000,
    "size": 123_456_789,
    "imdbId": "tt0133093",
    "tmdbId": 603,
    "tvdbId": 290434,
    "seriesTitle": "Series",
    "season": 1,
    "episode": 0,
    "publishDate": "2024-01-01T00:00:00Z",
    "quality": {"name": "WEBDL-1080p", "source": "webdl", "resolution": 1080},
    "languages": ["English"],
    "releaseGroup": "GRP",
    "edition": "Director's Cut",
    "mediaInfo": {"videoCodec": "x265"},
}
_NUMBERS = [0, -1, 1, 2000, 5000, 2**31, 2**31 + 1, 2**53, 2**53 + 1, 2**63, 2**64, 10**19, 10**25]
_FLOATS = [0.0, -0.0, 1.5, 5.0, 2000.0, 1e15, 1e22, 1e300, 5e-324]
_WORDS = [
    *("", " ", ".", "..", "~", "-rf", "CON.mkv", "NUL", "x.mkv.", "x.mkv ", ".mkv", "a/b.mkv"),
    *("../../etc/x.mkv", "/abs.mkv", "a\\b.mkv", "C:\\x.mkv", "%2e%2e%2fx.mkv", "x.torrent"),
    *("x\x00.mkv", "x\n.mkv", "\u202ex.mkv", "x\u200b.mkv", "\ufeffx.mkv", "x\u2028y.mkv"),
    *("\u00e9.mkv", "e\u0301.mkv", "FILM.MKV", "\U0001f3ac.mkv", "\ud7ff\ue000.mkv", "]]>&<x>.mkv"),
    *("A" * 251 + ".mkv", "\u00e9" * 124 + ".mkv", "x" * 5000, "\U000e0001tag", "true", "12"),
    *("tt0", "tt1\n", "<script>", "\u0660", "\x85.mkv", "\ufffe\uffff.mkv", "a" * 513, "{}"),
]
_OTHERS: list[Any] = [None, True, False, [], {}, [[]], {"a": None}, ["x"] * 3]
_RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1E+400",
    "01",
    "+1",
    "1.",
    "0x10",
    "'x'",
    "1" * 5000,
]
_RAW += ['"\\ud800"', '"\\udc00\\ud800"', '"\\ud83c\\udfac"', '"\\x41"', '"\\u00"', '"\x01"', "-0"]
_RAW += ["[" * 40 + "]" * 40, "[" * 5000, "undefined", "{}}", '"\\u0000"', "1_000", "\uff11"]


def value(pick: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = pick.randrange(6 if depth < 3 else 4)
    if kind == 0:
        return pick.choice(_NUMBERS) * pick.choice([1, 1, -1])
    if kind == 1:
        return pick.choice(_FLOATS)
    if kind == 2:
        return pick.choice(_OTHERS)
    if kind == 3:
        return pick.choice(_WORDS)
    if kind == 4:
        return [value(pick, depth + 1) for _ in range(pick.randrange(4))]
    return {pick.choice(_WORDS): value(pick, depth + 1) for _ in range(pick.randrange(4))}


def release(pick: random.Random) -> dict[str, Any]:
    """A release with some fields exchanged, missing or of its own invention."""
    made = dict(GOOD)
    for _ in range(pick.choice([0, 1, 1, 1, 2, 3, 8])):
        field = pick.choice([*GOOD, *GOOD, pick.choice(_WORDS), "ID", "Size"])
        if pick.random() < 0.15:
            made.pop(field, None)
        elif isinstance(GOOD.get(field), str) and pick.random() < 0.5:
            made[field] = pick.choice(_WORDS)
        elif isinstance(GOOD.get(field), int) and pick.random() < 0.5:
            made[field] = pick.choice(_NUMBERS)
        else:
            made[field] = value(pick)
    return made


def garbled(pick: random.Random, document: Any) -> bytes:
    """`document` as a body, most of the time as it should be."""
    text = json.dumps(document, ensure_ascii=pick.random() < 0.5)
    if pick.random() < 0.15:
        old = json.dumps(
            pick.choice([GOOD["size"], GOOD["title"], GOOD["season"], GOOD["quality"]])
        )
        text = text.replace(old, pick.choice(_RAW))
    if pick.random() < 0.05:
        text = text.replace("{", '{"size": 5, "id": "twice", ', 1)
    raw = text.encode(
        pick.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32"]), "surrogatepass"
    )
    if pick.random() < 0.1:
        raw += pick.choice([b" \n", b"\x00", b"{}", b"garbage", b"\xff", b"]", b"/* x */", b","])
    if pick.random() < 0.05:
        raw = raw[: pick.randrange(len(raw))]
    if pick.random() < 0.05:
        at = pick.randrange(len(raw) + 1)
        raw = raw[:at] + pick.choice([b"\x00", b"\xff", b'"', b"\\", b"\xed\xa0\x80"]) + raw[at:]
    return raw
