"""What the path of a media file says about it, by the usual naming conventions.

Pure: only the path relative to the shared folder is read, never the file.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

MAX_EPISODES_IN_FILE = 50
"""A longer range is a misread number (S01E01-E1080), not a file."""
_MAX_ID = 2**31


class Kind(str, enum.Enum):
    """Second part of a release id."""

    MOVIE = "movie"
    EPISODE = "episode"


@dataclass(frozen=True)
class Ids:
    """Database ids found in tags such as `{tmdb-603}`; None where no tag says."""

    imdb: str | None = None
    tmdb: int | None = None
    tvdb: int | None = None


@dataclass(frozen=True)
class Named:
    """What a path says. `title` names the film or the series; a film has no `episodes`."""

    kind: Kind
    title: str
    year: int | None
    season: int | None
    episodes: tuple[int, ...]
    ids: Ids


_TAG = re.compile(r"[\[{](imdb|tmdb|tvdb)(?:id)?[-=](tt)?([0-9]{1,15})[\]}]", re.IGNORECASE)
_ANY_TAG = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_SEASON_EPISODE = re.compile(
    r"(?<![a-z0-9])s([0-9]{1,4})[ ._-]{0,3}((?:-?e[0-9]{1,4}(?![0-9]))(?:[ ._]?-?e[0-9]{1,4}"
    r"(?![0-9])|-[0-9]{2,3}(?![0-9a-z]))*)",
    re.IGNORECASE,
)
_CROSS = re.compile(
    r"(?<![a-z0-9])([0-9]{1,2})x([0-9]{2,3}(?:-?x?[0-9]{2,3})?)(?![a-z0-9])", re.IGNORECASE
)
_BARE_EPISODE = re.compile(
    r"(?:^|[ ._-])(?:e|ep|episode)[ ._-]{0,3}([0-9]{1,4})(?![0-9a-z])", re.IGNORECASE
)
_EPISODE_NUMBER = re.compile(r"(-?)[ex]?([0-9]{1,4})", re.IGNORECASE)
_SEASON_FOLDER = re.compile(r"(?:season|staffel|saison|series|s)[ ._-]*([0-9]{1,4})", re.IGNORECASE)
_SPECIALS = frozenset({"specials", "special"})
_YEAR_IN_BRACKETS = re.compile(r"[(\[]((?:18|19|20)[0-9]{2})[)\]]")
_YEAR = re.compile(r"(?<![a-z0-9])((?:19|20)[0-9]{2})(?![a-z0-9])", re.IGNORECASE)
_TECHNICAL = re.compile(
    r"(?<![a-z0-9])(?:[0-9]{3,4}[pi]|4k|uhd|blu-?ray|bdrip|brrip|web(?:-?dl|-?rip)?|hdtv|dvdrip|"
    r"remux|x26[45]|h\.?26[45]|hevc|xvid)(?![a-z0-9])",
    re.IGNORECASE,
)


def read_name(relative: PurePath) -> Named:
    """Read a path relative to the shared folder. Never fails: what is not recognised is a film."""
    stem, folders = relative.stem, relative.parts[:-1]
    season, episodes, where = _episode(stem, folders)
    ids = _ids((relative.name, *reversed(folders)))
    if episodes:
        title, year = _series(stem[:where], folders)
        return Named(Kind.EPISODE, title or _clean(stem), year, season, episodes, ids)
    title, year = _title_and_year(stem)
    if year is None and folders:
        folder_title, folder_year = _title_and_year(folders[-1])
        if folder_year is not None:
            title, year = folder_title, folder_year
    return Named(Kind.MOVIE, title or stem, year, None, (), ids)


def _ids(parts_upwards: Iterable[str]) -> Ids:
    """The nearest tag of each kind wins: the file's own, then its folder's, and so on upwards."""
    found: dict[str, str] = {}
    for part in parts_upwards:
        for match in _TAG.finditer(part):
            found.setdefault(match[1].lower(), match[3])
    imdb = f"tt{found['imdb']}" if "imdb" in found else None
    return Ids(imdb, _number(found.get("tmdb")), _number(found.get("tvdb")))


def _number(digits: str | None) -> int | None:
    number = int(digits or 0)
    return number if 1 <= number <= _MAX_ID else None


def _episode(stem: str, folders: tuple[str, ...]) -> tuple[int | None, tuple[int, ...], int]:
    """Season, episodes, and where in `stem` they are said; no episodes when it is a film."""
    for pattern in (_SEASON_EPISODE, _CROSS):
        match = pattern.search(stem)
        if match:
            return int(match[1]), _numbers(match[2]), match.start()
    season = _season_of_folder(folders[-1]) if folders else None
    match = _BARE_EPISODE.search(stem) if season is not None else None
    if match:
        return season, (int(match[1]),), match.start()
    return None, (), 0


def _numbers(text: str) -> tuple[int, ...]:
    """`E01E02` -> 1, 2; `E01-E03` and `01-03` -> 1, 2, 3."""
    numbers: list[int] = []
    for dash, digits in _EPISODE_NUMBER.findall(text):
        number = int(digits)
        previous = numbers[-1] if numbers else number
        if dash and previous < number <= previous + MAX_EPISODES_IN_FILE:
            numbers.extend(range(previous + 1, number))
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))[:MAX_EPISODES_IN_FILE]


def _season_of_folder(name: str) -> int | None:
    plain = _ANY_TAG.sub("", name).strip().lower()
    if plain in _SPECIALS:
        return 0
    match = _SEASON_FOLDER.fullmatch(plain)
    return int(match[1]) if match else None


def _series(before: str, folders: tuple[str, ...]) -> tuple[str, int | None]:
    """The series' folder names it best (it was made by hand or by Sonarr), else the file itself."""
    if len(folders) >= 2 and _season_of_folder(folders[-1]) is not None:
        return _title_and_year(folders[-2])
    title, year = _title_and_year(before)
    if not title and folders:
        return _title_and_year(folders[-1])
    return title, year


def _title_and_year(text: str) -> tuple[str, int | None]:
    """Cut at the year, the last one before the technical part: `Blade.Runner.2049.2017.1080p`."""
    text = _ANY_TAG.sub(lambda tag: tag[0] if _YEAR_IN_BRACKETS.fullmatch(tag[0]) else " ", text)
    bracketed = _YEAR_IN_BRACKETS.search(text)
    if bracketed and bracketed.start() > 0:
        return _clean(text[: bracketed.start()]), int(bracketed[1])
    technical = _TECHNICAL.search(text)
    if technical and technical.start() > 0:
        text = text[: technical.start()]
    years = [match for match in _YEAR.finditer(text) if match.start() > 0]
    if years:
        return _clean(text[: years[-1].start()]), int(years[-1][1])
    return _clean(text), None


def _clean(text: str) -> str:
    """Dots and underscores become spaces, except in a text that has spaces already (`Dr. Who`)."""
    if " " not in text.strip():
        text = re.sub(r"[._]+", " ", text)
    return text.strip(" ._-([{")
