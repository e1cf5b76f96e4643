"""What a path says about a film or an episode."""

from __future__ import annotations

from datetime import date
from pathlib import PurePath

import pytest

from jack.library.conventions import Ids, Kind, read_name, read_names


@pytest.mark.parametrize(
    ("path", "title", "year"),
    [
        ("The Film (1999)/The Film (1999) - 1080p.mkv", "The Film", 1999),
        ("Title.Name.2019.1080p.BluRay.x264-GRP.mkv", "Title Name", 2019),
        ("Title_Name_2019_720p.mkv", "Title Name", 2019),
        ("Runner.2049.2017.1080p.mkv", "Runner 2049", 2017),
        ("1917.2019.mkv", "1917", 2019),
        ("1917.mkv", "1917", None),
        ("2001.A.Space.Film.1968.mkv", "2001 A Space Film", 1968),
        ("Short Film (2008)/disc.mkv", "Short Film", 2008),
        ("Dr. Film (2005).mkv", "Dr. Film", 2005),
        ("plain.mkv", "plain", None),
        ("Film 1920x1080.mkv", "Film 1920x1080", None),
        ("[Group] Film (2011) [1080p].mkv", "Film", 2011),
        ("Film.1080p.x264.mkv", "Film", None),
    ],
)
def test_a_film_is_read(path: str, title: str, year: int | None) -> None:
    named = read_name(PurePath(path))
    assert (named.kind, named.title, named.year) == (Kind.MOVIE, title, year)
    assert (named.season, named.episodes) == (None, ())


@pytest.mark.parametrize(
    ("path", "title", "season", "episodes"),
    [
        ("A Show/Season 01/A Show - S01E02 - Name.mkv", "A Show", 1, (2,)),
        ("show.s01e02.mkv", "show", 1, (2,)),
        ("A.Show.2019.S01E02.1080p.WEB.mkv", "A Show", 1, (2,)),
        ("Show/1x02.mkv", "Show", 1, (2,)),
        ("Show - 1x02 - Name.mkv", "Show", 1, (2,)),
        ("Show.S01E01E02.mkv", "Show", 1, (1, 2)),
        ("Show.S01E01-E03.1080p.mkv", "Show", 1, (1, 2, 3)),
        ("Show S01E01-02.mkv", "Show", 1, (1, 2)),
        ("Show.S01E01-720p.mkv", "Show", 1, (1,)),
        ("Show.S01E01-1080p.mkv", "Show", 1, (1,)),
        ("Show S01 E02.mkv", "Show", 1, (2,)),
        ("Show/Specials/Show S00E03.mkv", "Show", 0, (3,)),
        ("Show (2010)/Specials/E03.mkv", "Show", 0, (3,)),
        ("Show/Season 2/Episode 4 - Name.mkv", "Show", 2, (4,)),
        ("Show/Staffel 2/Show 2x04.mkv", "Show", 2, (4,)),
        ("Show/S2024E150.mkv", "Show", 2024, (150,)),
        ("Show.S01E01-E9999.mkv", "Show", 1, (1, 9999)),
    ],
)
def test_an_episode_is_read(path: str, title: str, season: int, episodes: tuple[int, ...]) -> None:
    named = read_name(PurePath(path))
    assert (named.kind, named.title) == (Kind.EPISODE, title)
    assert (named.season, named.episodes) == (season, episodes)


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("Film (1999) {tmdb-603}/Film.mkv", Ids(tmdb=603)),
        ("Film {imdb-tt0133093}.mkv", Ids(imdb="tt0133093")),
        ("Show {tvdb-81189}/Season 01/Show S01E01.mkv", Ids(tvdb=81189)),
        ("Film [tmdbid-603]/Film.mkv", Ids(tmdb=603)),
        ("Film [imdbid-tt0133093]/x.mkv", Ids(imdb="tt0133093")),
        ("Show [tvdbid-1]/S01E01.mkv", Ids(tvdb=1)),
        ("Film {tmdbid-1}.mkv", Ids(tmdb=1)),
        ("Film {TMDB=1} {imdb-tt2}.mkv", Ids(imdb="tt2", tmdb=1)),
        ("Box {tmdb-1}/Film {tmdb-2}.mkv", Ids(tmdb=2)),
        ("Film {tmdb-0}.mkv", Ids()),
        ("Film {tmdb-99999999999}.mkv", Ids()),
        ("Film {tmdb-x} [1080p] tmdb-5.mkv", Ids()),
    ],
)
def test_id_tags_are_found_anywhere_in_the_path_the_nearest_first(path: str, ids: Ids) -> None:
    assert read_name(PurePath(path)).ids == ids


def test_a_tag_is_no_part_of_the_title() -> None:
    assert read_name(PurePath("Film {tmdb-2019}.mkv")).title == "Film"


@pytest.mark.parametrize("path", ["(2019).mkv", "-.mkv", "((((.mkv", "s" * 250 + ".mkv", "e.mkv"])
def test_odd_names_are_films_with_some_title(path: str) -> None:
    named = read_name(PurePath(path))
    assert named.kind is Kind.MOVIE
    assert named.title


@pytest.mark.parametrize(
    ("path", "title", "day"),
    [
        ("Night Market - 2016-03-03 - Chapter.mkv", "Night Market", date(2016, 3, 3)),
        ("Night.Market.2017.03.04.1080p.WEB-DL.mkv", "Night Market", date(2017, 3, 4)),
        ("Night Market (2015)/2016/2016 03 03.mkv", "Night Market", date(2016, 3, 3)),
        ("Night Market/Season 2016/2016-03-03.mkv", "Night Market", date(2016, 3, 3)),
        ("Night Market/2016-03-03 - Chapter.mkv", "Night Market", date(2016, 3, 3)),
    ],
)
def test_a_file_named_by_a_day_is_an_episode_of_a_daily_show(
    path: str, title: str, day: date
) -> None:
    named = read_name(PurePath(path))
    assert (named.kind, named.title, named.day) == (Kind.EPISODE, title, day)
    assert (named.season, named.episodes, named.absolutes) == (None, (), ())


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("[Group] The Long Ferry - 05 [1080p].mkv", (5,)),
        ("[Group] The Long Ferry - 05v2 (1080p) [1A2B3C4D].mkv", (5,)),
        ("[Group]_The_Long_Ferry_-_105_[1080p].mkv", (105,)),
        ("[Group] The Long Ferry - 05-07 [1080p].mkv", (5, 6, 7)),
        ("The Long Ferry/Season 01/The Long Ferry - 06 - Chapter.mkv", (6,)),
        ("The Long Ferry/Season 02/[Group] The Long Ferry 19 [720p].mkv", (19,)),
    ],
)
def test_a_file_named_by_its_number_through_all_seasons_is_an_episode(
    path: str, numbers: tuple[int, ...]
) -> None:
    named = read_name(PurePath(path))
    assert (named.kind, named.title, named.absolutes) == (Kind.EPISODE, "The Long Ferry", numbers)
    assert (named.season, named.episodes, named.day) == (None, (), None)


@pytest.mark.parametrize(
    "path",
    [
        "Star Saga - 05 - The Return.mkv",
        "Star Saga/Star Saga - 05 - The Return (1983).mkv",
        "[Group] Film - 2049 [1080p].mkv",
        "[tmdbid-603] Star Saga - 05 [1080p].mkv",
        "[1080p] Star Saga - 05.mkv",
        "[Group] Film 02 [1080p].mkv",
        "[Group] Film (2011) [1080p].mkv",
        "Film - 1080p.mkv",
        "Film.2019.13.45.mkv",
        "2016-03-03.mkv",
        "Film 1999-2000.mkv",
    ],
)
def test_a_number_that_may_count_films_and_what_is_no_day_leave_a_film_a_film(path: str) -> None:
    assert read_name(PurePath(path)).kind is Kind.MOVIE


def test_all_that_a_name_says_about_its_episode_is_read() -> None:
    anime = read_name(PurePath("Ferry - S02E05 - 017 - Chapter.mkv"))
    assert (anime.season, anime.episodes, anime.absolutes) == (2, (5,), (17,))
    daily = read_name(PurePath("Night Market - 2016-03-03 - S2016E12.mkv"))
    assert (daily.title, daily.season, daily.episodes) == ("Night Market", 2016, (12,))
    assert daily.day == date(2016, 3, 3)


def kinds(*paths: str) -> dict[str, str]:
    named = read_names([PurePath(path) for path in paths])
    return {path: one.kind.value for path, one in zip(paths, named, strict=True)}


@pytest.mark.parametrize(
    "sibling",
    [
        "The Long Ferry/Season 01/S01E01.mkv",
        "The Long Ferry/the.long.ferry.s01e02.mkv",
        "The Long Ferry/[Group] The Long Ferry - 05 [1080p].mkv",
        "The Long Ferry/The Long Ferry - 2016-03-03.mkv",
    ],
)
def test_a_number_behind_the_title_is_an_episode_beside_episodes_of_that_series(
    sibling: str,
) -> None:
    counted = "The Long Ferry/The Long Ferry - 06 - Chapter.mkv"
    assert kinds(sibling, counted) == {sibling: "episode", counted: "episode"}


def test_a_number_behind_another_title_or_in_another_folder_stays_a_film() -> None:
    films = ("Mixed/Star Saga - 05 - The Return.mkv", "Films/The Long Ferry - 06 - Chapter.mkv")
    found = kinds("Mixed/The Long Ferry - S01E05.mkv", *films)
    assert [found[film] for film in films] == ["movie", "movie"]
