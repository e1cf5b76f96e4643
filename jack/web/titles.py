"""A peer's title as Radarr and Sonarr get it: safe in XML, safe as a file name, with a quality.

They write the stub under the title, and swallow the error when the name is too long for the disk;
so a title that would be is shortened before they see it.
"""

from __future__ import annotations

import re
import unicodedata

from jack.model import TV, Release
from jack.support.release_title import TitleFacts, quality_of, release_title, separator

MAX_FILE_NAME_BYTES = 240
"""Of `<title>.torrent`; below the 255 of common file systems."""
STUB_SUFFIX = ".torrent"
NAMELESS = "Unknown"

_ILLEGAL_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUALITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+-]{0,39}")
_RENAMED = str.maketrans(
    {"\\": "+", "/": "+", "?": "!", "*": "-", ":": "-", "<": "", ">": "", "|": "", '"': ""}
)


def xml_text(text: str) -> str:
    """`text` without the characters that XML 1.0 (section 2.2) cannot hold even escaped."""
    return _ILLEGAL_IN_XML.sub("", text)


def shown_title(release: Release) -> str:
    """The release's title for a feed and a stub: the same for the same release, at most
    MAX_FILE_NAME_BYTES as a file name. Series, episode and quality that the peer knows stand in it
    when the peer's own title does not say them; a quality that was cut off is put back.
    """
    title = _plain(release.title) or _plain(release.filename)
    if not arr_file_name(title):
        title = NAMELESS
    full = release_title(title, _facts(release))
    short = shortened(full)
    quality = quality_of(full)
    if quality_of(short) == quality:
        return short
    tail = separator(full) + str(quality)
    return shortened(full, len(tail)) + tail


def _facts(release: Release) -> TitleFacts:
    """What the peer tells beside the title. A film's own name and year are nowhere but there."""
    quality = _known_quality(release)
    series = _plain(release.series_title or "")
    number = release.season, release.episode
    if release.category != TV or not series or number[0] is None or number[1] is None:
        return TitleFacts("", quality=quality)
    return TitleFacts(series, None, number[0], (number[1],), quality=quality)


def shortened(title: str, spare_bytes: int = 0) -> str:
    """As much of `title` as still leaves room for `spare_bytes`, never half a character."""
    limit = MAX_FILE_NAME_BYTES - len(STUB_SUFFIX) - spare_bytes
    if len(arr_file_name(title).encode()) <= limit:
        return title
    low, high = 0, len(title)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(arr_file_name(title[:middle]).encode()) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    whole = low
    while whole and unicodedata.combining(title[whole]):
        whole -= 1  # an accent belongs to the letter before it
    cut = title[: whole or low]  # of accents alone: there is no such letter
    return cut.rstrip(" .-_") or cut


def arr_file_name(title: str) -> str:
    """How Radarr and Sonarr name a file after a release, without the suffix."""
    return title.replace(": ", " - ").translate(_RENAMED).lstrip(" .").rstrip(" ")


def _plain(text: str) -> str:
    """One line of characters that XML, a stub and a file name can hold."""
    kept = "".join(c for c in xml_text(text) if unicodedata.category(c) not in {"Cc", "Cs"})
    return kept.strip()


def _known_quality(release: Release) -> str:
    quality = release.extra.get("quality")
    name = quality.get("name") if isinstance(quality, dict) else None
    if not isinstance(name, str) or not _QUALITY.fullmatch(name.strip()):
        return ""
    return "" if name.strip().lower() == "unknown" else name.strip()
