"""The title under which a file is offered: what Radarr and Sonarr read film, year, episode and
quality from. They believe nothing else, so a title that does not say all of it is a release that
no automatic search takes. Pure.

A name that says everything itself stays as it is. Of one that does not, the part behind the year
or the episode's number is kept: language, edition and group stand there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from jack.support.numbering import Numbering, read_count, read_numbering


@dataclass(frozen=True)
class TitleFacts:
    """What the title has to say. A film has a year, an episode a season and a number, or the day it
    was on the air, or `absolutes`, its numbers through all seasons; `quality` is as the *arrs write
    it (`WEBDL-1080p`), empty when nobody knows it.
    """

    title: str
    year: int | None = None
    season: int | None = None
    episodes: tuple[int, ...] = ()
    day: date | None = None
    quality: str = ""
    absolutes: tuple[int, ...] = ()
    also_called: tuple[str, ...] = ()
    """Other titles of the film, which an *arr knows as well: a name with one of them stays."""

    @property
    def is_episode(self) -> bool:
        return bool(self.episodes or self.day or self.absolutes)


@dataclass(frozen=True)
class Quality:
    """A quality as far as a text says it: `source` is a key of _LABELS, `resolution` lines."""

    source: str | None = None
    resolution: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether an *arr reads the right quality from it. What was recorded from television or a
        DVD without a resolution is standard definition by itself.
        """
        return self.resolution is not None or self.source in _OF_ONE_RESOLUTION

    def filled_from(self, other: Quality) -> Quality:
        """What is missing here as the other has it."""
        return Quality(self.source or other.source, self.resolution or other.resolution)

    def __str__(self) -> str:
        """As the *arrs write it: `Bluray-1080p`, `DVD`, `1080p`."""
        lines = f"{self.resolution}p" if self.resolution else ""
        return "-".join(filter(None, (_LABELS[self.source] if self.source else "", lines)))


_LABELS = {
    "remux": "Remux",
    "rawhd": "Raw-HD",
    "webrip": "WEBRip",
    "webdl": "WEBDL",
    "bluray": "Bluray",
    "hdtv": "HDTV",
    "screener": "DVDSCR",
    "dvdr": "DVD-R",
    "dvd": "DVD",
    "sdtv": "SDTV",
    "telesync": "TELESYNC",
    "telecine": "TELECINE",
    "cam": "CAM",
    "workprint": "WORKPRINT",
}
_OF_ONE_RESOLUTION = frozenset(_LABELS) - {"remux", "webrip", "webdl", "bluray", "hdtv"}
_SOURCES = {
    "remux": r"(?:bd[-_. ]?)?remux",
    "rawhd": r"raw[-_. ]?hd",
    "webrip": r"web[-_. ]?rip",
    "webdl": r"web(?:[-_. ]?dl)?",
    "bluray": r"blu[-_. ]?ray|b[dr][-_. ]?rip",
    "hdtv": r"hdtv",
    "screener": r"dvd[-_. ]?scr|screener",
    "dvdr": r"dvd[-_. ]?r",
    "dvd": r"dvd(?:[-_. ]?rip)?|dvd[59]",
    "sdtv": r"sdtv|pdtv|dsr|tvrip",
    "telesync": r"telesync|hd[-_. ]?ts",
    "telecine": r"telecine|hd[-_. ]?tc",
    "cam": r"(?:hd)?cam(?:rip)?",
    "workprint": r"workprint",
}
_SOURCE = re.compile(
    "(?<![a-z0-9])(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _SOURCES.items())
    + ")(?![a-z0-9])",
    re.IGNORECASE,
)
_RESOLUTION = re.compile(
    r"(?<![a-z0-9])(?:(2160|1080|720|576|540|480|360)p|(1080|720|576|480)i"
    r"|(?:3840x|1920x|1280x|848x|640x)(2160|1080|720|480))(?![a-z0-9])",
    re.IGNORECASE,
)
_ULTRA = re.compile(r"(?<![a-z0-9])(?:4k|uhd)(?![a-z0-9])", re.IGNORECASE)
"""What people call 2160 lines; an *arr does not read it from that."""
_YEAR = re.compile(
    r"[(\[]?(?<![a-z0-9])((?:1[89]|20)[0-9]{2})(?![a-z0-9]|\W(?:1[89]|20)[0-9]{2}(?![0-9]))[)\]]?",
    re.IGNORECASE,
)
"""As Radarr reads it: the first one behind the title, but of two in a row the second."""
_ANY_YEAR = re.compile(
    r"[(\[]?(?<![a-z0-9])((?:1[89]|20)[0-9]{2})(?![a-z0-9])[)\]]?", re.IGNORECASE
)
_TECHNICAL = re.compile(f"{_RESOLUTION.pattern}|{_SOURCE.pattern}", re.IGNORECASE)
_NAMES_AT_HAND = 64
"""One name is read several times in a row, that of a folder for every file in it."""
_GROUP = re.compile(r"\s*\[[^\[\]]*\][ ._]*")
_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"['\u2018\u2019\u02bc`\u00b4]")


def release_title(name: str, facts: TitleFacts) -> str:
    """`name` (without a file's extension) when it says what `facts` do, else what they say before
    what `name` tells beyond them.
    """
    if not _says(name, facts):
        name = _composed(name, facts)
    is_known = facts.is_episode or facts.year is not None
    if is_known and _contradict(quality_of(name), _quality_in(facts.quality)):
        name = _head(facts, name)
    return with_quality(name, facts.quality)


def with_quality(name: str, quality: str) -> str:
    """`name` with `quality` at its end, unless it says that, or another one, itself."""
    said, wanted = quality_of(name), _quality_in(quality)
    if not quality or _contradict(said, wanted):
        return name
    if wanted == Quality():
        is_said = quality.lower() in name.lower()
    else:
        is_said = said.filled_from(wanted) == said
    return name if is_said else name + separator(name) + quality


@lru_cache(_NAMES_AT_HAND)
def quality_of(name: str) -> Quality:
    """What the name of a release says behind its title: `Charlotte's Web (2006)` says nothing."""
    return _quality_in(name[_title_end(name) :])


@lru_cache(_NAMES_AT_HAND)
def quality_of_folder(name: str) -> Quality:
    """The same for the name of a folder; `4K` is enough there, for a person reads it."""
    tail = name[_title_end(name) :]
    quality = _quality_in(tail)
    is_ultra = quality.resolution is None and _ULTRA.search(tail)
    return replace(quality, resolution=2160) if is_ultra else quality


def lines_of(width: int, height: int) -> int | None:
    """The resolution that Radarr and Sonarr give a picture of this size, black bars cut off or not;
    None when it has none.
    """
    if width <= 0 or height <= 0:
        return None
    for lines, least_width, least_height in ((2160, 3200, 2100), (1080, 1800, 1000)):
        if width >= least_width or height >= least_height:
            return lines
    if width >= 1200 or height >= 700:
        return 720
    return 576 if height > 480 else 480


def _quality_in(text: str) -> Quality:
    source = None
    for match in _SOURCE.finditer(text):
        if source not in {"remux", "rawhd"}:
            source = match.lastgroup  # the last one counts, for an *arr as well
    lines = _RESOLUTION.search(text)
    number = next((int(group) for group in lines.groups() if group), None) if lines else None
    return Quality(source, number)


def _contradict(one: Quality, other: Quality) -> bool:
    return any(
        first and second and first != second
        for first, second in (
            (one.source, other.source),
            (one.resolution, other.resolution),
        )
    )


def _says(name: str, facts: TitleFacts) -> bool:
    """Whether film and year, or series and episode, are read from `name` as they are."""
    if facts.is_episode:
        numbering = read_numbering(name) or read_count(name)
        if numbering is None:
            return False
        if not _is_same_episode(numbering, facts):
            return False
        title = title_words(_GROUP.sub("", name[: numbering.start], count=1))
        return title in (title_words(facts.title), [*title_words(facts.title), str(facts.year)])
    if facts.year is None:
        return True
    match = _year(name)
    return (
        match is not None
        and int(match[1]) == facts.year
        and title_words(name[: match.start()])
        in map(title_words, (facts.title, *facts.also_called))
    )


def _is_same_episode(numbering: Numbering, facts: TitleFacts) -> bool:
    """A day or a number through all seasons names an episode as well as season and number do, for
    Sonarr knows them; but of a daily show it takes nothing that does not say the day.
    """
    if facts.episodes:
        return not numbering.episodes or (
            numbering.season == facts.season and set(facts.episodes) <= set(numbering.episodes)
        )
    if facts.day:
        return numbering.day == facts.day and not numbering.episodes
    return set(facts.absolutes) <= set(numbering.absolutes)


def _composed(name: str, facts: TitleFacts) -> str:
    own_years = [m for m in _ANY_YEAR.finditer(name) if int(m[1]) == facts.year and m.start() > 0]
    is_film = not facts.is_episode
    counted = None if is_film or read_numbering(name) else read_count(name)
    if own_years and is_film:
        tail = name[own_years[-1].end() :]
    else:
        tail = name[_number_end(name, counted.start) if counted else _title_end(name) :]
    head = _head(facts, name)
    if not tail.strip(" ._-"):
        return head
    whole = head + (separator(head) if tail[0].isalnum() or tail[0] in "[(" else "") + tail
    # A year or a number behind the right one may be read instead of it.
    return whole if _says(whole, facts) else head


def _head(facts: TitleFacts, name: str) -> str:
    """Title and year, or title and episode, with dots where `name` is written with dots."""
    year = ""
    if facts.year is not None:
        # Of two bare years Radarr takes the second, of `2049 (2017)` the first.
        year = f" {facts.year}" if _YEAR.search(facts.title) else f" ({facts.year})"
    number = ""
    if facts.episodes:
        number = f" S{facts.season or 0:02d}" + "".join(f"E{n:02d}" for n in facts.episodes)
    elif facts.day:
        number = f" {facts.day.isoformat()}"
    elif facts.absolutes:
        number = " - " + "-".join(
            f"{n:02d}" for n in sorted({facts.absolutes[0], facts.absolutes[-1]})
        )
    head = " ".join(facts.title.split()) + year + number
    if separator(name) == ".":
        head = re.sub(r"[ .()]+", ".", head).strip(".")
    return head


@lru_cache(_NAMES_AT_HAND)
def _title_end(name: str) -> int:
    """Where in `name` the title with its year or number is over."""
    numbering = read_numbering(name)
    if numbering is not None:
        return _number_end(name, numbering.start)
    match = _year(name)
    if match is not None:
        return match.end()
    technical = _TECHNICAL.search(name)
    return technical.start() if technical else len(name)


_NUMBER = re.compile(
    r"(?:[ ._]*-[ ._]*[0-9]{2,4}(?:-[0-9]{2,4})?(?:v[0-9])?"
    r"|s?[0-9]{1,4}(?:[ ._-]{0,3}[ex]-?[0-9]{1,4}|-[0-9]{2,3}(?![0-9a-z]))+"
    r"|[0-9]{4}[ ._-][0-9]{2}[ ._-][0-9]{2})",
    re.IGNORECASE,
)


def _number_end(name: str, start: int) -> int:
    match = _NUMBER.match(name, start)
    return match.end() if match else start


def _year(name: str) -> re.Match[str] | None:
    return next((match for match in _YEAR.finditer(name) if match.start() > 0), None)


def separator(name: str) -> str:
    """What stands between the words of a name."""
    return "." if "." in name and " " not in name else " "


def title_words(text: str) -> list[str]:
    """For comparing titles: no case, accents, apostrophes or punctuation, `&` as `and`."""
    plain = _APOSTROPHES.sub("", text).replace("&", " and ").casefold()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return _WORD.findall(plain)


def best_quality(texts: Iterable[str]) -> Quality:
    """What the names of folders say together, the nearest first."""
    quality = Quality()
    for text in texts:
        quality = quality.filled_from(quality_of_folder(text))
    return quality
