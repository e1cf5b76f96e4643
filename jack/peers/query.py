"""What is searched for: how it is put to a peer, and whether a release is what was asked for. Pure.

Peers know ids, season and episode only, and take one id per question (the first of tmdb, imdb and
tvdb counts). Everything else, and their honesty, is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from jack.model import MOVIES, TV, Release, Stub
from jack.support.numbering import FIRST_YEAR, days_in, read_count, read_numbering
from jack.support.release_title import title_words

_LAST_NUMBER = re.compile(r"(?:(.*)\s)?([0-9]{1,4})", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """One request to a peer; without an id it asks for everything the peer shares."""

    imdb_id: str | None = None
    tmdb_id: int | None = None
    tvdb_id: int | None = None
    season: int | None = None
    episode: int | None = None

    def parameters(self) -> dict[str, str]:
        """The query of `GET /peer/search`, only what is set."""
        named = {
            "imdbId": self.imdb_id,
            "tmdbId": self.tmdb_id,
            "tvdbId": self.tvdb_id,
            "season": self.season,
            "episode": self.episode,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class SearchQuery:
    """Several ids mean one film or series under several names: any match counts.

    `imdb_id` has its `tt`. `season` is a year (from FIRST_YEAR on) for a daily show, `aired` the
    day of one episode of it. `text` is words that must all stand in the title; a number at its end
    is that of an anime episode, counted through all seasons (`Long Ferry 05`, or `05` with ids).
    """

    categories: frozenset[int] = frozenset({MOVIES, TV})
    imdb_id: str | None = None
    tmdb_id: int | None = None
    tvdb_id: int | None = None
    season: int | None = None
    episode: int | None = None
    aired: date | None = None
    text: str = ""

    @property
    def has_id(self) -> bool:
        return any(value is not None for value in (self.imdb_id, self.tmdb_id, self.tvdb_id))

    @property
    def is_everything(self) -> bool:
        """Whether nothing is asked for in particular: what a Test and RSS do."""
        return not (self.has_id or self.text or self.season is not None or self.episode is not None)


@dataclass(frozen=True)
class Offer:
    """A release, and the friend who has it."""

    peer_id: str
    peer_name: str
    release: Release

    @property
    def stub(self) -> Stub:
        return Stub(self.peer_id, self.release.id)


def questions(query: SearchQuery) -> tuple[Question, ...]:
    """What to ask a peer: one question per id, so that none hides what another one finds.

    A year is no season for most daily shows, and peers know no numbers through all seasons: both
    are not asked for but looked for in the answers.
    """
    is_dated = query.season is not None and query.season >= FIRST_YEAR
    season, episode = (None, None) if is_dated else (query.season, query.episode)
    asked = []
    if query.tvdb_id is not None:
        asked.append(Question(tvdb_id=query.tvdb_id, season=season, episode=episode))
    if query.tmdb_id is not None:
        asked.append(Question(tmdb_id=query.tmdb_id, season=season, episode=episode))
    if query.imdb_id is not None:
        asked.append(Question(imdb_id=query.imdb_id, season=season, episode=episode))
    return tuple(asked) or (Question(),)


def matcher(query: SearchQuery) -> Callable[[Release], bool]:
    """Whether a release is what `query` asks for, whatever the peer made of the question."""
    says = _text_matcher(query)

    def matches(release: Release) -> bool:
        return (
            release.category in query.categories
            and (not query.has_id or _shares_id(query, release))
            and _is_episode(query, release)
            and says(release)
        )

    return matches


def _text_matcher(query: SearchQuery) -> Callable[[Release], bool]:
    """Whether a release is called as `query.text` says, or has the number that it asks for."""
    wanted_words = words(query.text)
    counted, rest = _counted(query)

    def says(release: Release) -> bool:
        if counted is not None and release.category == TV:
            series = words(_series_title(release))
            # `Area 5` asks for a series of that name, not for the fifth episode of `Area`.
            if rest <= series and (not rest or str(counted) not in series - rest):
                return counted in _counts(release)
        return wanted_words <= words(f"{release.series_title or ''} {release.title}")

    return says if wanted_words else lambda release: True


def _counted(query: SearchQuery) -> tuple[int | None, frozenset[str]]:
    """The number through all seasons that is asked for, and the words that name the series: none
    when ids do. A season or an episode beside the text is all the number that there is.
    """
    match = _LAST_NUMBER.fullmatch(query.text.strip())
    if match is None or query.season is not None or query.episode is not None:
        return None, frozenset()
    number, rest = int(match[2]), words(match[1] or "")
    is_number = 0 < number < FIRST_YEAR and (bool(rest) or query.has_id)
    return (number if is_number else None), rest


def words(text: str) -> frozenset[str]:
    """Those of a title, for comparison; numbers without leading zeros."""
    return frozenset(map(_without_zeros, title_words(text)))


def _without_zeros(word: str) -> str:
    return (word.lstrip("0") or "0") if word.isdecimal() else word


def _shares_id(query: SearchQuery, release: Release) -> bool:
    pairs = (
        (query.tmdb_id, release.tmdb_id),
        (query.tvdb_id, release.tvdb_id),
        (_imdb_number(query.imdb_id), _imdb_number(release.imdb_id)),
    )
    return any(wanted is not None and wanted == found for wanted, found in pairs)


def _imdb_number(imdb_id: str | None) -> int | None:
    digits = imdb_id.lower().removeprefix("tt") if imdb_id else ""
    return int(digits) if digits.isascii() and digits.isdecimal() else None


def _is_episode(query: SearchQuery, release: Release) -> bool:
    if query.aired is not None:
        return query.aired in _days(release)
    if query.episode is not None and release.episode != query.episode:
        return False
    if query.season is None or release.season == query.season:
        return True
    return query.season >= FIRST_YEAR and query.season in {day.year for day in _days(release)}


def _days(release: Release) -> list[date]:
    """The days a title names, for Sonarr believes the title; else the day its owner's Sonarr has
    for the episode.
    """
    named = days_in(release.title)
    return named or ([release.air_date] if release.air_date else [])


def _series_title(release: Release) -> str:
    """What the peer calls the series, else what stands before the number in the title."""
    if release.series_title:
        return release.series_title
    numbering = read_numbering(release.title) or read_count(release.title)
    return release.title[: numbering.start] if numbering else release.title


def _counts(release: Release) -> tuple[int, ...]:
    """The episode's numbers through all seasons, as far as anybody says them."""
    if release.absolute_episode is not None:
        return (release.absolute_episode,)
    numbering = read_numbering(release.title) or read_count(release.title)
    return numbering.absolutes if numbering else ()
