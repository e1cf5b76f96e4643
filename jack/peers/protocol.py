"""The peer protocol as both sides speak it: paths, the key's header, versions, release JSON.

Pure: no network, no disk. Parsing takes whatever a stranger may send and either returns clean
values or raises ProtocolError naming the field.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar
from urllib.parse import quote

from jack.errors import ProtocolError
from jack.model import MOVIES, TV, Release
from jack.support.json_array import member_items
from jack.support.numbering import parse_day
from jack.support.redaction import MASK

PROTOCOL_NAME = "jack"
PROTOCOL_VERSION = "0.1.0"
MINIMUM_VERSION = (0, 1, 0)
API_KEY_HEADER = "X-Api-Key"

MAX_ITEMS = 20_000
"""Releases read from one search answer; what comes after is not looked at."""
MAX_ITEM_CHARACTERS = 65_536
"""Of one release in such an answer; a hundredth of that is usual."""
MAX_VALUES = 50_000
"""In other answers: an empty list is two characters long and takes thirty times as much memory."""
MAX_SIZE_BYTES = 2**53
"""Beyond this a JavaScript peer cannot even write the number down exactly."""
MAX_NUMBER = 2**31
MAX_ID_CHARACTERS = 512
MAX_TITLE_CHARACTERS = 1000
MAX_FILENAME_CHARACTERS = 4096

_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")
_IMDB = re.compile(r"tt[0-9]{1,15}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_QUALITY = ("name", "source", "resolution")
_MAX_DIGITS = 20
_MAX_DEPTH = 32

T = TypeVar("T")


def handshake_path() -> str:
    return "/handshake"


def search_path() -> str:
    return "/peer/search"


def item_path(item_id: str) -> str:
    """The path of one release; all but unreserved characters percent-encoded (RFC 3986, 2.3)."""
    encoded = quote(item_id, safe="")
    if encoded in {".", ".."}:
        # Unreserved, yet a client library would resolve them as dot segments (RFC 3986, 5.2.4).
        encoded = encoded.replace(".", "%2E")
    return f"/peer/items/{encoded}"


def file_path(item_id: str) -> str:
    return f"{item_path(item_id)}/file"


def parse_version(text: object) -> tuple[int, int, int] | None:
    """`x.y.z` as numbers; None for anything else (no prefix, no pre-release)."""
    match = _VERSION.fullmatch(text.strip()) if isinstance(text, str) else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_compatible(text: object) -> bool:
    """Whether a peer that says it speaks version `text` can be talked to; newer ones always can."""
    version = parse_version(text)
    return version is not None and version >= MINIMUM_VERSION


def capped_json(raw: bytes, max_depth: int = _MAX_DEPTH) -> object:
    """Parse strict JSON (RFC 8259) from a stranger; ProtocolError for anything else.

    Refused besides bad syntax: invalid UTF-8, NaN and Infinity (also by overflow), numbers of
    more than 20 digits, lone surrogates, nesting deeper than `max_depth`, and what would take much
    more memory than its own length.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise ProtocolError(
            f"the answer is JSON of more than {MAX_VALUES} values, or nested deeper"
        )
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except RecursionError as error:
        raise ProtocolError(f"the answer is JSON nested deeper than {max_depth} levels") from error
    except ValueError as error:
        raise ProtocolError(f"the answer is not valid JSON ({type(error).__name__})") from error
    _check_tree(value, max_depth)
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("number too long")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number too big")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)


def _check_tree(value: object, max_depth: int) -> None:
    """Walk without recursion: depth, and text that no encoder would take later."""
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, str):
            if not node.isascii() and not _encodable(node):
                raise ProtocolError("the answer holds text that is not Unicode (a lone surrogate)")
        elif isinstance(node, (dict, list)):
            if depth >= max_depth:
                raise ProtocolError(f"the answer is JSON nested deeper than {max_depth} levels")
            inner = [*node.keys(), *node.values()] if isinstance(node, dict) else node
            stack.extend((item, depth + 1) for item in inner)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without(value: object, secrets: Sequence[str]) -> object:
    """Parsed JSON with every one of `secrets` blacked out: a friend who repeats our key must not
    bring it into a title, a row or a file name."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    elif isinstance(value, list):
        return [without(item, secrets) for item in value]
    elif isinstance(value, dict):
        return {key: without(item, secrets) for key, item in value.items()}
    return value


def release_to_json(release: Release) -> dict[str, Any]:
    """The wire form. Absent optionals are left out, for one null makes a TypeScript peer drop
    the whole answer."""
    body: dict[str, Any] = {
        "id": release.id,
        "title": release.title,
        "filename": release.filename,
        "category": release.category,
        "size": release.size,
    }
    optional = {
        "imdbId": release.imdb_id,
        "tmdbId": release.tmdb_id,
        "tvdbId": release.tvdb_id,
        "seriesTitle": release.series_title,
        "season": release.season,
        "episode": release.episode,
        "publishDate": release.publish_date,
        "airDate": release.air_date and release.air_date.isoformat(),
        "absoluteEpisode": release.absolute_episode,
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    body.update(_extra_from(release.extra))
    return body


def release_from_json(obj: object) -> Release:
    """One release as a peer sent it; ProtocolError names the first field that is not as documented.

    A null, empty or zero optional counts as absent: *arr applications write those for "unknown".
    Control, bidirectional and zero-width characters are removed from titles rather than refused,
    because a title is only shown, and a stray one is no reason to lose a film; ids must be exact,
    so there they are refused.
    """
    if not isinstance(obj, dict):
        raise ProtocolError("the release is not a JSON object")
    return Release(
        id=_id(obj.get("id")),
        title=_title(obj.get("title"), "title"),
        filename=_string(obj.get("filename"), "filename", MAX_FILENAME_CHARACTERS),
        category=_category(obj.get("category")),
        size=_integer(obj.get("size"), "size", 0, MAX_SIZE_BYTES),
        imdb_id=_optional(obj, "imdbId", _imdb),
        tmdb_id=_optional(obj, "tmdbId", _positive),
        tvdb_id=_optional(obj, "tvdbId", _positive),
        series_title=_optional(obj, "seriesTitle", _title),
        season=_optional(obj, "season", _counted, zero_is_absent=False),
        episode=_optional(obj, "episode", _counted, zero_is_absent=False),
        publish_date=_optional(obj, "publishDate", _date),
        air_date=_optional(obj, "airDate", _day),
        absolute_episode=_optional(obj, "absoluteEpisode", _positive),
        extra=_extra_from(obj),
    )


def search_from_chunks(chunks: Iterable[bytes], secrets: Sequence[str] = ()) -> list[Release]:
    """The releases of a search answer that arrives in `chunks`; those out of schema are left out,
    `secrets` are blacked out. They come without what no search looks at: the `mediaInfo` of a whole
    list weighs more than the rest, and of a hostile one more than all memory.

    Only the first MAX_ITEMS are read. Raises ProtocolError when the container itself is not
    `{"items": [...]}`.
    """
    releases = []
    items = member_items(chunks, "items", _DECODER, MAX_ITEM_CHARACTERS)
    with contextlib.closing(items):
        for item in itertools.islice(items, MAX_ITEMS):
            try:
                _check_tree(item, _MAX_DEPTH)
                release = release_from_json(without(item, secrets))
            except ProtocolError:
                continue
            kept = {key: value for key, value in release.extra.items() if key == "quality"}
            releases.append(replace(release, extra=kept))
    return releases


def _optional(
    obj: Mapping[str, Any],
    key: str,
    read: Callable[[object, str], T],
    zero_is_absent: bool = True,
) -> T | None:
    value = obj.get(key)
    is_zero = isinstance(value, int) and not isinstance(value, bool) and value == 0
    if value is None or value == "" or (zero_is_absent and is_zero):
        return None
    return read(value, key)


def _string(value: object, key: str, limit: int) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"the release's {key} is not a string")
    if not 1 <= len(value) <= limit:
        raise ProtocolError(f"the release's {key} is not 1 to {limit} characters long")
    return value


def _id(value: object) -> str:
    text = _string(value, "id", MAX_ID_CHARACTERS)
    if any(unicodedata.category(character) in _INVISIBLE for character in text):
        raise ProtocolError("the release's id holds control or invisible characters")
    return text


def _title(value: object, key: str) -> str:
    text = _string(value, key, MAX_TITLE_CHARACTERS)
    visible = "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE).strip()
    if not visible:
        raise ProtocolError(f"the release's {key} holds nothing that can be shown")
    return visible


def _category(value: object) -> int:
    number = _integer(value, "category", MOVIES, TV)
    if number not in {MOVIES, TV}:
        raise ProtocolError(f"the release's category is neither {MOVIES} nor {TV}")
    return number


def _integer(value: object, key: str, low: int, high: int) -> int:
    # JSON's true is an int in Python; 5.0 is nothing a peer's serialiser writes for whole numbers.
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError(f"the release's {key} is not a whole number")
    if not low <= value <= high:
        raise ProtocolError(f"the release's {key} is not between {low} and {high}")
    return value


def _positive(value: object, key: str) -> int:
    return _integer(value, key, 1, MAX_NUMBER)


def _counted(value: object, key: str) -> int:
    return _integer(value, key, 0, MAX_NUMBER)


def _imdb(value: object, key: str) -> str:
    if not isinstance(value, str) or not _IMDB.fullmatch(value):
        raise ProtocolError(f"the release's {key} is not of the form tt0000000")
    return value


def _date(value: object, key: str) -> str:
    text = _string(value, key, 64)
    if not (text.isascii() and text.isprintable()):
        raise ProtocolError(f"the release's {key} is not a date")
    return text


def _day(value: object, key: str) -> date:
    """A day that is in the calendar, as `yyyy-mm-dd` and in no other way."""
    day = parse_day(value)
    if day is None:
        raise ProtocolError(f"the release's {key} is not a day of the form yyyy-mm-dd")
    return day


def _extra_from(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The pass-through fields that have their documented type; the rest is dropped."""
    fits: dict[str, Callable[[Any], bool]] = {
        "quality": _is_quality,
        "languages": _is_strings,
        "releaseGroup": lambda value: isinstance(value, str),
        "edition": lambda value: isinstance(value, str),
        "mediaInfo": lambda value: isinstance(value, dict),
    }
    extra = {key: obj[key] for key, is_fit in fits.items() if key in obj and is_fit(obj[key])}
    if "quality" in extra:
        extra["quality"] = {k: v for k, v in extra["quality"].items() if k in _QUALITY}
    return extra


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_quality(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    resolution = value.get("resolution", 0)
    return (
        all(isinstance(value.get(key, ""), str) for key in ("name", "source"))
        and isinstance(resolution, (int, float))
        and not isinstance(resolution, bool)
    )
