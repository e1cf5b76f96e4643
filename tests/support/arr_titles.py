"""How Radarr and Sonarr read a release title, re-stated strictly: what they cannot read is None,
and what they read wrongly comes out wrong.

    read_film("Ninth Orchard (2017) 1080p") -> Read("Ninth Orchard", 2017, quality="WEBDL-1080p")
    read_episode("Show.S01E02.720p.WEB-DL") -> Read("Show", season=1, episodes=(2,), quality=...)

Rules: the film's title ends at the first year behind it that no other year follows; season and
episode stand as SxxEyy (or 1x02), the day of a daily show as yyyy-mm-dd, the number of an anime
episode behind its title. The last word for a source
counts, a resolution alone is read as WEBDL by Radarr and as HDTV by Sonarr, `4K` alone as nothing,
and neither of the two is `Unknown`, which no profile takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Read:
    title: str
    year: int | None = None
    season: int | None = None
    episodes: tuple[int, ...] = ()
    day: str | None = None
    absolutes: tuple[int, ...] = ()
    quality: str = UNKNOWN


_FILM = re.compile(
    r"^(?P<title>[^(\[].*?)[-_\W]*(?<![0-9a-z])"
    r"(?P<year>(?:1[89]|20)\d\d)(?!p|i|\d|\]|\W(?:1[89]|20)\d\d)(?:\W|_|$)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"^(?P<title>.+?)[-_. ]+s?(?P<season>(?<!\d)\d{1,2})"
    r"(?P<episodes>(?:[-_. ]?[ex]\d{2,3}(?!\d))+)",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"^(?P<title>.+?)[-_. ]+(?P<day>(?:19|20)\d\d[-_. ][01]\d[-_. ][0-3]\d)(?![-_. ]*[0-3]\d)"
)
_COUNTED = re.compile(
    r"^(?:\[[^\]]+\][-_. ]?)?(?P<title>.+?)[-_. ]+"
    r"(?P<first>(?<!\d)\d{2,3})(?:-(?P<last>\d{2,3}))?(?![\dip])"
)
_SIMPLE = re.compile(
    r"\s*(?:480[ip]|576[ip]|720[ip]|1080[ip]|2160[ip]|[xh][\W_]?26[45])", re.IGNORECASE
)
_SOURCE = re.compile(
    r"\b(?:(?P<Bluray>blu-?ray|bdrip|brrip|bd(?:25|50)?)"
    r"|(?P<WEBDL>web[-_. ]dl|webdl|webhd|[. ]web[. ](?:[xh][ .]?26[45]|dd)|\d+p[. ]web(?=[. ]))"
    r"|(?P<WEBRip>web-?rip)|(?P<HDTV>hdtv)|(?P<DVDR>dvd-?r)|(?P<DVD>dvd(?:rip)?|ntsc|pal)"
    r"|(?P<SDTV>sdtv|pdtv|dsr|tvrip))\b",
    re.IGNORECASE,
)
_RESOLUTION = re.compile(
    r"\b(?:(480|576|720|1080|2160)p|(720|1080)i|1920x(1080)|1280x(720)|3840x(2160))\b",
    re.IGNORECASE,
)
_REMUX = re.compile(r"(?:[_. \[]|\d{4}p-)(?:(?:bd|uhd)[-_. ]?)?remux\b", re.IGNORECASE)
_RESTING_720 = {"Bluray": "Bluray-720p", "WEBDL": "WEBDL-480p", "WEBRip": "WEBRip-480p"}


def read_film(title: str) -> Read | None:
    """As Radarr reads it; None: "Unable to parse release"."""
    match = _FILM.match(_SIMPLE.sub("", title))
    if match is None:
        return None
    return Read(_spaced(match["title"]), int(match["year"]), quality=_quality(title, "WEBDL"))


def read_episode(title: str) -> Read | None:
    """As Sonarr reads it: season and episode first, then a day, then a number through all seasons
    of two or three digits.
    """
    simple = _SIMPLE.sub("", title)
    quality = _quality(title, "HDTV")
    match = _NUMBERED.match(simple)
    if match:
        numbers = tuple(int(number) for number in re.findall(r"\d+", match["episodes"]))
        name = _spaced(match["title"])
        return Read(name, season=int(match["season"]), episodes=numbers, quality=quality)
    match = _DAY.match(simple)
    if match:
        day = re.sub(r"[_. ]", "-", match["day"])
        return Read(_spaced(match["title"]), day=day, quality=quality)
    match = _COUNTED.match(simple)
    if match:
        first = int(match["first"])
        numbers = tuple(range(first, int(match["last"] or first) + 1))
        return Read(_spaced(match["title"]), absolutes=numbers, quality=quality)
    return None


def _quality(title: str, alone: str) -> str:
    title = title.replace("_", " ")
    found = _RESOLUTION.search(title)
    lines = next((group for group in found.groups() if group), None) if found else None
    sources = [match.lastgroup or "" for match in _SOURCE.finditer(title)]
    source = sources[-1] if sources else None
    if _REMUX.search(title) and lines:
        return f"Remux-{lines}p"
    if source in {"DVD", "DVDR", "SDTV"}:
        return source
    if source and lines:
        return f"{source}-{lines}p"
    if source:
        return _RESTING_720.get(source, "SDTV")
    if lines in {"480", "576"}:
        return "SDTV"
    return f"{alone}-{lines}p" if lines else UNKNOWN


def _spaced(title: str) -> str:
    return re.sub(r"[._ ]+", " ", title).strip(" -([")
