"""What a file written for the TypeScript jack holds that means nothing here: its comments (the
file is JSONC) and some keys. A "did you mean" would send people to another key: what was a limit
for imports would become one for downloads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from jack.config.tree import At, Problem

_PAUSES = "jack chooses the pauses between tries of an import itself; remove this line"

SENTENCES: Final[Mapping[str, str]] = {
    "version": "this file has no version number; remove this line",
    "tmdbApiKey": "jack never asks TMDB for anything; remove this line",
    "external": "jack makes no links from this: tell your friends the address and, if a proxy wants"
    " them, the headers yourself; remove this block",
    "importPollIntervalMs": "jack chooses itself how often it looks whether a file was imported;"
    " remove this line",
    "maxManualImportAttempts": "here an import that fails fails no download, and `jack why` says"
    " what is in its way; remove this line",
    "manualImportBackoffBaseMs": _PAUSES,
    "manualImportBackoffMaxMs": _PAUSES,
}

_COMMENT = re.compile(
    r"""[ \t]*//|(?:[^"'#]|"(?:\\.|[^"\\])*"|'[^']*')*?(?<![^ \t,{}\[\]"'])//(?!\S)"""
)
"""`//` at the start of a line, or behind a value and before a space: in `http://nas` and
`//nas/share` it is a part of the text, as it is in quotes and behind #."""


def without_jsonc_comments(text: str) -> tuple[str, Problem | None]:
    """The text with YAML comments in the place of JSONC's, so that all else in it can be looked at
    as well, and what is wrong: None when there are none. Positions stay as they are.
    """
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines):
        match = _COMMENT.match(line)
        if match is not None:
            start = match.end() - 2
            lines[number] = f"{line[:start]} #{match.string[start + 2 :]}"
            found.append(At(number + 1, start + 1))
    if not found:
        return text, None
    more = f" (so are {len(found) - 1} more)" if len(found) > 1 else ""
    return "\n".join(lines), Problem(
        found[0],
        f"this comment is JSONC{more}: this file is YAML, where a comment starts with # and not"
        " with //; a text that holds // as a word needs quotes",
    )
