"""From Radarr's and Sonarr's descriptions of a file to a release. Pure, and forgiving: an entry
that makes no sense is no release, and no reason to lose the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from jack.model import MOVIES, TV, Release
from jack.support.files import MEDIA_EXTENSIONS
from jack.support.numbering import parse_day
from jack.support.release_title import TitleFacts, release_title

MAX_NUMBER = 2**31
MAX_SIZE_BYTES = 2**53
"""Beyond this a JavaScript peer cannot read the number exactly."""
MAX_TITLE_CHARACTERS = 1000
MAX_OTHER_TITLES = 100
MAX_DEPTH = 8
_IMDB = re.compile(r"tt[0-9]{1,15}")
_SEPARATORS = re.compile(r"[\\/]")


@dataclass(frozen=True)
class LibraryFile:
    """A release and where its file is, as jack sees it."""

    path: str
    release: Release


Ours = Callable[[str], str]
"""From the *arr's view of a path to jack's."""


def movie_file(movie: Mapping[str, Any], source_id: str, ours: Ours) -> LibraryFile | None:
    """The file of a movie as /movie shows it; None when it has none that can be shared."""
    number, file = whole_number(movie.get("id")), movie.get("movieFile")
    if not number or not isinstance(file, dict):
        return None
    size = whole_number(file.get("size"), MAX_SIZE_BYTES)
    if size is None:
        size = whole_number(movie.get("sizeOnDisk"), MAX_SIZE_BYTES)
    year = whole_number(movie.get("year")) or None
    return _file(
        file,
        ours,
        TitleFacts(
            _text(movie.get("title")) or "",
            year,
            quality=quality_name(file),
            also_called=_other_titles(movie),
        ),
        id=f"{source_id}:movie:{number}",
        category=MOVIES,
        size=size or 0,
        imdb_id=_imdb(movie.get("imdbId")),
        tmdb_id=whole_number(movie.get("tmdbId")) or None,
    )


def _other_titles(movie: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the film: `title` is in the language that the *arr's user reads."""
    listed = movie.get("alternateTitles")
    others = listed[:MAX_OTHER_TITLES] if isinstance(listed, list) else []
    titles = [movie.get("originalTitle")]
    titles += [one.get("title") for one in others if isinstance(one, dict)]
    return tuple(text for text in map(_text, titles) if text)


def episode_file(
    series: Mapping[str, Any],
    episode: Mapping[str, Any],
    file: Mapping[str, Any],
    source_id: str,
    ours: Ours,
    together: tuple[int, ...] = (),
) -> LibraryFile | None:
    """One episode and the file it is in, as /series, /episode and /episodefile show them."""
    number = whole_number(episode.get("id"))
    if not number:
        return None
    season = whole_number(episode.get("seasonNumber"))
    numbers = together or (whole_number(episode.get("episodeNumber")),)
    numbered = tuple(n for n in numbers if n is not None) if season is not None else ()
    title = _text(series.get("title"))
    air_date = parse_day(episode.get("airDate"))
    return _file(
        file,
        ours,
        _facts(series, title or "", season, numbered, air_date, quality_name(file)),
        id=f"{source_id}:episode:{number}",
        category=TV,
        size=whole_number(file.get("size"), MAX_SIZE_BYTES) or 0,
        imdb_id=_imdb(series.get("imdbId")),
        tmdb_id=whole_number(series.get("tmdbId")) or None,
        tvdb_id=whole_number(series.get("tvdbId")) or None,
        series_title=title,
        season=season,
        episode=whole_number(episode.get("episodeNumber")),
        air_date=air_date,
        absolute_episode=whole_number(episode.get("absoluteEpisodeNumber")) or None,
    )


def _facts(
    series: Mapping[str, Any],
    title: str,
    season: int | None,
    episodes: tuple[int, ...],
    air_date: date | None,
    quality: str,
) -> TitleFacts:
    """What the title of an episode has to say: of a daily show the day, for a Sonarr that searches
    for one takes nothing else. A file of several episodes has no single day.
    """
    if series.get("seriesType") == "daily" and air_date and len(episodes) <= 1:
        return TitleFacts(title, day=air_date, quality=quality)
    return TitleFacts(title, None, season, episodes, quality=quality)


def whole_number(value: object, highest: int = MAX_NUMBER) -> int | None:
    """`value` when it is a whole number from 0 to `highest`; JSON's true is none."""
    return value if type(value) is int and 0 <= value <= highest else None


def quality_name(file: Mapping[str, Any]) -> str:
    """What the *arr calls the quality of a file; empty when it does not know it."""
    name = _quality(file.get("quality")).get("name", "")
    return "" if name == "Unknown" else str(name)


def _file(
    file: Mapping[str, Any], ours: Ours, facts: TitleFacts, **known: Any
) -> LibraryFile | None:
    path = file.get("path")
    if not isinstance(path, str) or not _is_sendable(path):
        return None
    filename = _SEPARATORS.split(path)[-1]
    stem, extension = os.path.splitext(filename)
    if extension.lower() not in MEDIA_EXTENSIONS:
        return None
    release = Release(
        title=_title(_text(file.get("sceneName")), stem, facts),
        filename=filename,
        publish_date=_text(file.get("dateAdded")),
        extra=_extra(file),
        **known,
    )
    return LibraryFile(ours(path), release)


def _title(scene_name: str | None, stem: str, facts: TitleFacts) -> str:
    """The first name that says all that the *arr knows, else the first one mended."""
    names = (scene_name, stem) if scene_name else (stem,)
    if not facts.title:
        return names[0]
    said = (name for name in names if release_title(name, facts) == name)
    return next(said, None) or release_title(names[0], facts)


def _extra(file: Mapping[str, Any]) -> dict[str, Any]:
    """Quality, languages, group, edition and mediaInfo in the form peers know; what is missing or
    of another type is left out.
    """
    extra: dict[str, Any] = {}
    quality = _quality(file.get("quality"))
    if quality:
        extra["quality"] = quality
    languages = file.get("languages")
    if isinstance(languages, list):
        names = [_text(one.get("name")) for one in languages if isinstance(one, dict)]
        extra["languages"] = [name for name in names if name]
    for key in ("releaseGroup", "edition"):
        text = _text(file.get(key))
        if text:
            extra[key] = text
    media = file.get("mediaInfo")
    if isinstance(media, dict):
        extra["mediaInfo"] = _plain(media, MAX_DEPTH)
    return extra


def _quality(value: object) -> dict[str, Any]:
    """{quality: {name, source, resolution}, revision} -> {name, source, resolution}."""
    inner = value.get("quality") if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        return {}
    found = {key: _text(inner.get(key)) for key in ("name", "source")}
    found_number = {"resolution": whole_number(inner.get("resolution"))}
    return {key: item for key, item in {**found, **found_number}.items() if item is not None}


def _plain(value: Any, depth: int) -> Any:
    """Without nulls (one makes a TypeScript peer drop its whole answer) and broken text."""
    if isinstance(value, str):
        return _repaired(value)
    if isinstance(value, (dict, list)) and depth <= 0:
        return {} if isinstance(value, dict) else []
    if isinstance(value, dict):
        return {
            _repaired(key): _plain(item, depth - 1)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value if item is not None]
    return value


def _text(value: object) -> str | None:
    """A text worth showing, cut where peers would refuse it; None for anything else."""
    return (
        _repaired(value)[:MAX_TITLE_CHARACTERS].strip() or None if isinstance(value, str) else None
    )


def _imdb(value: object) -> str | None:
    return value if isinstance(value, str) and _IMDB.fullmatch(value) else None


def _is_sendable(text: str) -> bool:
    return _repaired(text) == text and "\x00" not in text


def _repaired(text: str) -> str:
    """Without lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
