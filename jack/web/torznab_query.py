"""The parameters of a Torznab request, as Radarr, Sonarr and Prowlarr write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from jack.model import MOVIES, TV
from jack.peers.query import SearchQuery
from jack.support.numbering import FIRST_YEAR
from jack.web.feed import PAGE_ITEMS

FUNCTIONS: Mapping[str, frozenset[int]] = {
    "search": frozenset({MOVIES, TV}),
    "tvsearch": frozenset({TV}),
    "movie": frozenset({MOVIES}),
}
"""What each search function can find at all."""

_FOREIGN_IDS = ("rid", "tvmazeid", "traktid", "doubanid")
"""Ids that no release of ours carries."""
_WHOLE = re.compile(r"[0-9]{1,9}")
_IMDB = re.compile(r"(?:tt)?([0-9]{1,15})", re.IGNORECASE)
_MONTH_AND_DAY = re.compile(r"([0-9]{1,2})/([0-9]{1,2})")


class BadParameter(ValueError):
    """A parameter is not what it should be; the text names it."""


@dataclass(frozen=True)
class TorznabRequest:
    """`query` is None when the request names only ids we have no way to look up."""

    query: SearchQuery | None
    offset: int
    limit: int


def read_request(function: str, given: Mapping[str, str]) -> TorznabRequest:
    """The request for one of FUNCTIONS; an empty parameter counts as absent.

    Raises BadParameter.
    """
    values = {name.lower(): value.strip() for name, value in given.items() if value.strip()}
    imdb_id = _imdb(values.get("imdbid"))
    season = _numbered(values, "season", "s")
    episode, aired = _episode(values, season)
    query = SearchQuery(
        categories=FUNCTIONS[function] & _categories(values.get("cat", "")),
        imdb_id=imdb_id,
        tmdb_id=_whole(values, "tmdbid"),
        tvdb_id=_whole(values, "tvdbid"),
        season=season,
        episode=episode,
        aired=aired,
        text=values.get("q", ""),
    )
    hopeless = any(name in values for name in _FOREIGN_IDS) and not (query.has_id or query.text)
    limit = _whole(values, "limit")
    return TorznabRequest(
        query=None if hopeless else query,
        offset=_whole(values, "offset") or 0,
        limit=PAGE_ITEMS if limit is None else min(limit, PAGE_ITEMS),
    )


def _categories(text: str) -> frozenset[int]:
    """The main categories of a list of any; everything when the list names no category at all."""
    numbers = [int(part) for part in text.split(",") if _WHOLE.fullmatch(part.strip())]
    named = frozenset(number // 1000 * 1000 for number in numbers if number > 0)
    return named or frozenset({MOVIES, TV})


def _whole(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise BadParameter(f"{name} is not a whole number")
    return int(text)


def _numbered(values: Mapping[str, str], name: str, letter: str) -> int | None:
    """A number with or without its letter: `1`, `01`, `S01`."""
    text = values.get(name)
    bare = text[1:] if text and text[0].lower() == letter else text
    return _whole({name: bare}, name) if bare is not None else None


def _imdb(text: str | None) -> str | None:
    """Sonarr writes `tt0133093`, Radarr `0133093`."""
    if text is None:
        return None
    match = _IMDB.fullmatch(text)
    if match is None:
        raise BadParameter("imdbid is not of the form tt0000000")
    return f"tt{match[1]}"


def _episode(values: Mapping[str, str], season: int | None) -> tuple[int | None, date | None]:
    """The episode's number, or the day of a daily show: `season=2024&ep=01/15`."""
    daily = _MONTH_AND_DAY.fullmatch(values.get("ep", ""))
    if daily is None:
        return _numbered(values, "ep", "e"), None
    if season is None or season < FIRST_YEAR:
        raise BadParameter("ep is a day, but season is no year")
    try:
        return None, date(season, int(daily[1]), int(daily[2]))
    except ValueError as error:
        raise BadParameter("ep is no day of that year") from error
