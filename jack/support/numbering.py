"""How a file or release says which episode it is: by season and number (`S01E05`, `1x05`), by the
day it was on the air (`2016-03-03`), or by its number through all seasons (`[Group] Show - 05`).

Pure, and by the same forms that Sonarr reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

MAX_EPISODES_IN_FILE = 50
"""A longer range is a misread number (S01E01-E1080), not a file."""
FIRST_YEAR = 1900
"""No episode is counted so far: from here on a number is a year."""

_SEASON_EPISODE = re.compile(
    r"(?<![a-z0-9])s([0-9]{1,4})[ ._-]{0,3}((?:-?e[0-9]{1,4}(?![0-9]))(?:[ ._]?-?e[0-9]{1,4}"
    r"(?![0-9])|-[0-9]{2,3}(?![0-9a-z]))*)",
    re.IGNORECASE,
)
_CROSS = re.compile(
    r"(?<![a-z0-9])([0-9]{1,2})x([0-9]{2,3}(?:-?x?[0-9]{2,3})?)(?![a-z0-9])", re.IGNORECASE
)
_EPISODE_NUMBER = re.compile(r"(-?)[ex]?([0-9]{1,4})", re.IGNORECASE)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DAY_IN_TEXT = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})[ ._-]([0-9]{2})[ ._-]([0-9]{2})(?![0-9])")
_NUMBER = r"([0-9]{2,4})(?:-([0-9]{2,4}))?(?:v[0-9])?"
_AFTER_DASH = re.compile(rf"[ ._]+-[ ._]+{_NUMBER}(?=[ ._]|$|[\[(])", re.IGNORECASE)
_BEFORE_BRACKET = re.compile(rf"[ ._]+{_NUMBER}(?=[ ._]*(?:[\[(]|$))", re.IGNORECASE)
_GROUP = re.compile(
    r"\[(?!(?:imdb|tmdb|tvdb)(?:id)?[-=]|[0-9]{3,4}[pi]\]|4k\])[^\[\]{}]+\][ ._]*(?=[^ ._\[(])",
    re.IGNORECASE,
)
"""Whoever made the release; an id or a resolution stands in such brackets as well."""
_BEHIND_EPISODE = re.compile(r" - ([0-9]{3})(?= - |$)")
"""As Sonarr names anime: `Show - S01E05 - 005 - Title`."""


@dataclass(frozen=True)
class Numbering:
    """`start` is where in the text it is said: before it stands the title of the series.

    `episodes` are those of `season`, `day` is that of a daily show, `absolutes` count through all
    seasons. A text that says more than one of these has the first place in `start`.
    """

    start: int
    season: int | None = None
    episodes: tuple[int, ...] = ()
    day: date | None = None
    absolutes: tuple[int, ...] = ()


def read_numbering(text: str) -> Numbering | None:
    """What nobody takes for the name of a film: season and episode, a day, or a number behind a
    dash in the name of a `[Group]`'s release.
    """
    days = _days(text)
    for pattern in (_SEASON_EPISODE, _CROSS):
        match = pattern.search(text)
        if match:
            start = min(match.start(), *(at for at, _ in days)) if days else match.start()
            behind = _BEHIND_EPISODE.match(text, match.end())
            return Numbering(
                start,
                season=int(match[1]),
                episodes=_episodes(match[2]),
                day=days[0][1] if days else None,
                absolutes=_absolutes(behind[1], None) if behind else (),
            )
    if days:
        return Numbering(days[0][0], day=days[0][1])
    return _counted(text, _AFTER_DASH) if _GROUP.match(text) else None


def read_count(text: str) -> Numbering | None:
    """A number through all seasons wherever one may stand (`Show - 06 - Title`): the name of a film
    can look the same, so the caller knows from elsewhere that this is an episode.
    """
    found = _counted(text, _AFTER_DASH)
    if found is None and _GROUP.match(text):
        return _counted(text, _BEFORE_BRACKET)
    return found


def parse_day(text: object) -> date | None:
    """A day of the calendar written as `yyyy-mm-dd`; None for anything else."""
    match = _DAY.fullmatch(text) if isinstance(text, str) else None
    return _day(*match.groups()) if match else None


def days_in(text: str) -> list[date]:
    """All days that a text names."""
    return [day for _, day in _days(text)]


def _days(text: str) -> list[tuple[int, date]]:
    """All days that a text names, each with its place."""
    found = ((match.start(), _day(*match.groups())) for match in _DAY_IN_TEXT.finditer(text))
    return [(start, day) for start, day in found if day is not None]


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _counted(text: str, pattern: re.Pattern[str]) -> Numbering | None:
    """The first such number that has a title before it."""
    for match in pattern.finditer(text):
        numbers = _absolutes(match[1], match[2])
        if numbers and match.start() > 0:
            return Numbering(match.start(), absolutes=numbers)
    return None


def _absolutes(first: str, last: str | None) -> tuple[int, ...]:
    """`05` -> 5; `05-07` -> 5, 6, 7."""
    low = int(first)
    high = int(last) if last else low
    if not (1 <= low <= high < FIRST_YEAR and high - low < MAX_EPISODES_IN_FILE):
        return ()
    return tuple(range(low, high + 1))


def _episodes(text: str) -> tuple[int, ...]:
    """`E01E02` -> 1, 2; `E01-E03` and `01-03` -> 1, 2, 3."""
    numbers: list[int] = []
    for dash, digits in _EPISODE_NUMBER.findall(text):
        number = int(digits)
        previous = numbers[-1] if numbers else number
        if dash and previous < number <= previous + MAX_EPISODES_IN_FILE:
            numbers.extend(range(previous + 1, number))
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))[:MAX_EPISODES_IN_FILE]
