"""File names of the watch folder: which of them matter, and how they look in a log line."""

from __future__ import annotations

import unicodedata
from typing import Final

from jack.support.files import printable

STUB_SUFFIX: Final = ".torrent"
MAGNET_SUFFIX: Final = ".magnet"

_UNPRINTABLE = {"Cc", "Cf", "Zl", "Zp"}


def concerns_intake(name: str) -> bool:
    """Whether a file of this name is worth a look; hidden files and all other suffixes are not."""
    if name.startswith(".") or "/" in name:
        return False
    return name.lower().endswith((STUB_SUFFIX, MAGNET_SUFFIX))


def for_log(name: str) -> str:
    """A name or path in any bytes as one line of text: line breaks and bidi characters escaped."""
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character) in _UNPRINTABLE else character
        for character in printable(name)
    )
