"""What the path of a media file says about it, by the usual naming conventions.

Pure: only the path relative to the shared folder is read, never the file.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath

from jack.support.numbering import Numbering, read_count, read_numbering

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
    """What a path says. `title` names the film or the series. An episode has `episodes` of a
    `season`, or a `day` on which it was on the air, or `absolutes`: numbers through all seasons.
    """

    kind: Kind
    title: str
    year: int | None
    season: int | None
    episodes: tuple[int, ...]
    ids: Ids
    day: date | None = None
    absolutes: tuple[int, ...] = ()
    is_by_folder: bool = False
    """Whether only the folder says which film this is: it says the same of every file in it."""


_TAG = re.compile(r"[\[{](imdb|tmdb|tvdb)(?:id)?[-=](tt)?([0-9]{1,15})[\]}]", re.IGNORECASE)
_ANY_TAG = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_BARE_EPISODE = re.compile(
    r"(?:^|[ ._-])(?:e|ep|episode)[ ._-]{0,3}([0-9]{1,4})(?![0-9a-z])", re.IGNORECASE
)
_SEASON_FOLDER = re.compile(r"(?:season|staffel|saison|series|s)[ ._-]*([0-9]{1,4})", re.IGNORECASE)
_SPECIALS = frozenset({"specials", "special"})
_YEAR_IN_BRACKETS = re.compile(r"[(\[]((?:18|19|20)[0-9]{2})[)\]]")
_YEAR = re.compile(r"(?<![a-z0-9])((?:19|20)[0-9]{2})(?![a-z0-9])", re.IGNORECASE)
_NO_LETTER = re.compile(r"[\W_]+")
_TECHNICAL = re.compile(
    r"(?<![a-z0-9])(?:[0-9]{3,4}[pi]|4k|uhd|blu-?ray|bdrip|brrip|web(?:-?dl|-?rip)?|hdtv|dvdrip|"
    r"remux|x26[45]|h\.?26[45]|hevc|xvid)(?![a-z0-9])",
    re.IGNORECASE,
)


def read_names(paths: Sequence[PurePath]) -> list[Named]:
    """Read all paths of a shared folder. `Title - 06 - Part` may be the sixth film of a row as well
    as an episode: it is an episode beside others of a series of this title.
    """
    read = [read_name(path) for path in paths]
    series = {
        _place(path, named.title)
        for path, named in zip(paths, read, strict=True)
        if named.kind is Kind.EPISODE
    }
    for index, path in enumerate(paths):
        if read[index].kind is Kind.MOVIE:
            numbering = read_count(path.stem)
            named = _episode_named(path, numbering) if numbering else None
            if named and _place(path, named.title) in series:
                read[index] = named
    return read


def read_name(relative: PurePath) -> Named:
    """Read a path relative to the shared folder. Never fails: what is not recognised is a film."""
    stem, folders = relative.stem, relative.parts[:-1]
    numbering = read_numbering(stem) or _in_season_folder(stem, folders)
    named = _episode_named(relative, numbering) if numbering else None
    if named:
        return named
    title, year = _title_and_year(stem)
    is_by_folder = False
    if year is None and folders:
        folder_title, folder_year = _title_and_year(folders[-1])
        if folder_year is not None:
            title, year, is_by_folder = folder_title, folder_year, True
    ids = _ids((relative.name, *reversed(folders)))
    return Named(Kind.MOVIE, title or stem, year, None, (), ids, is_by_folder=is_by_folder)


def _episode_named(relative: PurePath, numbering: Numbering) -> Named | None:
    """The episode that `numbering` says; None when all there is of it is a day or a count, which no
    series owns without a title.
    """
    stem, folders = relative.stem, relative.parts[:-1]
    title, year = _series(stem[: numbering.start], folders, numbering.day is not None)
    if not (title or numbering.episodes):
        return None
    return Named(
        Kind.EPISODE,
        title or _clean(stem),
        year,
        numbering.season,
        numbering.episodes,
        _ids((relative.name, *reversed(folders))),
        day=numbering.day,
        absolutes=numbering.absolutes,
    )


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


def _in_season_folder(stem: str, folders: tuple[str, ...]) -> Numbering | None:
    """Below `Season 01` a bare `Episode 4` or `Title - 06` is no film either."""
    season = _season_of_folder(folders[-1]) if folders else None
    if season is None:
        return None
    match = _BARE_EPISODE.search(stem)
    if match:
        return Numbering(match.start(), season=season, episodes=(int(match[1]),))
    return read_count(stem)


def _place(path: PurePath, title: str) -> tuple[tuple[str, ...], str]:
    """The folder of a series and its title: the same for all its files, in seasons or not."""
    folders = path.parts[:-1]
    if folders and _season_of_folder(folders[-1]) is not None:
        folders = folders[:-1]
    return folders, _NO_LETTER.sub("", title.casefold())


def _season_of_folder(name: str) -> int | None:
    plain = _ANY_TAG.sub("", name).strip().lower()
    if plain in _SPECIALS:
        return 0
    match = _SEASON_FOLDER.fullmatch(plain)
    return int(match[1]) if match else None


def _series(before: str, folders: tuple[str, ...], is_daily: bool) -> tuple[str, int | None]:
    """The series' folder names it best (it was made by hand or by Sonarr), else the file itself."""
    if len(folders) >= 2 and (
        _season_of_folder(folders[-1]) is not None
        or (is_daily and _YEAR.fullmatch(folders[-1].strip()))
    ):
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
