"""Under which title a file is offered, and what Radarr and Sonarr read from it."""

from __future__ import annotations

from datetime import date

import pytest

from jack.support.release_title import (
    Quality,
    lines_of,
    quality_of,
    quality_of_folder,
    release_title,
    with_quality,
)
from jack.support.release_title import (
    TitleFacts as Facts,
)
from tests.support.arr_titles import Read, read_episode, read_film

HARBOUR = Facts("The Quiet Harbour", 2021, quality="WEBDL-1080p")
COMET = Facts("Paper Comet", 2018, quality="WEBDL-1080p")
FERRY = Facts("The Long Ferry", None, 1, (1,), quality="WEBDL-1080p")


@pytest.mark.parametrize(
    ("name", "facts", "title", "quality"),
    [
        # The name says nothing, or not all.
        ("movie", Facts("Ninth Orchard", 2017, quality="1080p"), None, "WEBDL-1080p"),
        ("The Quiet Harbour (2021)", HARBOUR, "The Quiet Harbour (2021) WEBDL-1080p", None),
        ("the-quiet-harbour-1080p", HARBOUR, None, None),
        ("The.Quiet.Harbour.2021.1080p", HARBOUR, None, None),
        ("The.Quiet.Harbour.2021.WEB-DL", HARBOUR, None, None),
        # It says something else.
        ("Something.Else.2018", COMET, "Paper.Comet.2018.WEBDL-1080p", None),
        ("Paper Comet (2019) 1080p WEB-DL", COMET, None, None),
        ("Paper.Comet.2018.720p.HDTV.x264-GRP", COMET, "Paper.Comet.2018.WEBDL-1080p", None),
        # What it tells beyond that is kept: language, edition, group.
        (
            "Etwas.Anderes.2018.German.DL.1080p.WEB-DL.x264-GRP",
            COMET,
            "Paper.Comet.2018.German.DL.1080p.WEB-DL.x264-GRP",
            None,
        ),
        # Numbers in titles.
        ("a", Facts("Blade 2049", 2017, quality="Bluray-2160p"), None, None),
        (
            "Blade 2049 (2017) 2160p",
            Facts("Blade 2049", 2017, quality="Bluray-2160p"),
            None,
            None,
        ),
        ("Jahr.2018.2049.x264", COMET, None, None),
        ("b", Facts("2012", 2009, quality="HDTV-720p"), None, None),
        ("c", Facts("Charlotte's Web", 2006, quality="Remux-2160p"), None, None),
        (
            "Charlotte's Web (2006)",
            Facts("Charlotte's Web", 2006, quality="Bluray-720p"),
            None,
            None,
        ),
        ("d", Facts("Fire & Ice: Part 2", 1983, quality="DVD"), None, None),
    ],
)
def test_a_film_is_read_as_what_it_is(
    name: str, facts: Facts, title: str | None, quality: str | None
) -> None:
    given = release_title(name, facts)
    assert title is None or given == title
    assert read_film(given) == Read(facts.title, facts.year, quality=quality or facts.quality)


@pytest.mark.parametrize(
    ("name", "facts", "title"),
    [
        ("S01E01", FERRY, "The Long Ferry S01E01 WEBDL-1080p"),
        ("1x01 - Departure", FERRY, "The Long Ferry S01E01 - Departure WEBDL-1080p"),
        ("Die.Faehre.S02E07.German.1080p.WEB-DL", FERRY, None),
        ("The.Long.Ferry.S01E01", FERRY, "The.Long.Ferry.S01E01.WEBDL-1080p"),
        ("s", Facts("The Long Ferry", None, 0, (3,), quality="DVD"), None),
        ("s", Facts("The Long Ferry", None, 2, (3, 4), quality="HDTV-720p"), None),
        ("24", Facts("24", None, 1, (2,), quality="SDTV"), "24 S01E02 SDTV"),
    ],
)
def test_an_episode_is_read_as_what_it_is(name: str, facts: Facts, title: str | None) -> None:
    given = release_title(name, facts)
    assert title is None or given == title
    assert read_episode(given) == Read(
        facts.title, None, facts.season, facts.episodes, quality=facts.quality
    )


def test_a_day_alone_gets_the_series_before_it() -> None:
    facts = Facts("Night Market", day=date(2016, 3, 3), quality="720p")
    given = release_title("2016-03-03", facts)
    assert read_episode(given) == Read("Night Market", day="2016-03-03", quality="HDTV-720p")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Night Market - S01E03 - Chapter 720p", "Night Market 2016-03-03 - Chapter 720p"),
        ("Night.Market.2016.03.04.720p.HDTV", "Night.Market.2016-03-03.720p.HDTV"),
        ("Night Market - 2016-03-03 - Chapter 720p", "Night Market - 2016-03-03 - Chapter 720p"),
        ("chapter", "Night Market 2016-03-03 HDTV-720p"),
    ],
)
def test_an_episode_of_a_daily_show_is_called_by_its_day_alone(name: str, title: str) -> None:
    """A Sonarr that searches for a day takes no release that says season and episode."""
    facts = Facts("Night Market", day=date(2016, 3, 3), quality="HDTV-720p")
    given = release_title(name, facts)
    assert given.removesuffix(" HDTV-720p") == title.removesuffix(" HDTV-720p")
    assert read_episode(given) == Read("Night Market", day="2016-03-03", quality="HDTV-720p")


@pytest.mark.parametrize(
    ("name", "numbers", "year"),
    [
        ("[Group] The Long Ferry - 05 [1080p]", (5,), None),
        ("[Group] The Long Ferry - 05-07 [1080p]", (5, 6, 7), None),
        ("The Long Ferry - 106 - Room 5 [1080p]", (106,), None),
        ("LF - 06 - Room 5 [1080p]", (6,), None),
        ("LF - 06-07 [1080p]", (6, 7), 2016),
        ("L.F.-.06.1080p", (6,), None),
    ],
)
def test_an_episode_that_has_only_its_number_through_all_seasons_keeps_it(
    name: str, numbers: tuple[int, ...], year: int | None
) -> None:
    facts = Facts("The Long Ferry", year, absolutes=numbers, quality="1080p")
    read = read_episode(release_title(name, facts))
    title = f"The Long Ferry ({year})" if year else "The Long Ferry"
    assert read is not None
    assert read.title.rstrip(")") == title.rstrip(")")
    assert (read.absolutes, read.day, read.quality) == (numbers, None, "HDTV-1080p")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("The.Quiet.Harbour.2021.1080p.WEB-DL.x264-GRP", HARBOUR),
        ("The Quiet Harbour (2021) [1080p] [WEBDL]", HARBOUR),
        (
            "Amélie & Max (2001) Bluray-1080p",
            Facts("Amelie and Max", 2001, quality="Bluray-1080p"),
        ),
        ("The Long Ferry - S01E01E02 - Both WEBDL-1080p", FERRY),
        (
            "The Long Ferry (2014) - S01E01 - One WEBDL-1080p",
            Facts("The Long Ferry", 2014, 1, (1,)),
        ),
        ("[Group] The Long Ferry - 05 [WEBDL-1080p]", FERRY),
        ("The Long Ferry - 2016-03-03 - Chapter WEBDL-1080p", FERRY),
        ("Film (2001) DVD", Facts("Film", 2001, quality="DVD")),
        ("Some home video", Facts("Some home video")),
    ],
)
def test_a_name_that_says_all_of_it_stays(name: str, facts: Facts) -> None:
    assert release_title(name, facts) == name


@pytest.mark.parametrize(
    ("name", "quality", "expected"),
    [
        ("Film (2001)", "1080p", "Film (2001) 1080p"),
        ("Film.2001.BluRay.x264-GRP", "Bluray-1080p", "Film.2001.BluRay.x264-GRP.Bluray-1080p"),
        ("Film 2001 720p", "WEBDL-1080p", "Film 2001 720p"),
        ("Film (2001)", "", "Film (2001)"),
        ("Film (2001) REGIONAL", "Regional", "Film (2001) REGIONAL"),
    ],
)
def test_a_quality_is_added_where_none_is_said(name: str, quality: str, expected: str) -> None:
    assert with_quality(name, quality) == expected


def test_words_of_the_title_are_no_quality() -> None:
    assert quality_of("The Web (2006)") == Quality()
    assert quality_of("Remux S01E01 720p") == Quality(None, 720)
    assert quality_of_folder("Film (2006) [4K BluRay]") == Quality("bluray", 2160)


@pytest.mark.parametrize(
    ("width", "height", "lines"),
    [
        (3840, 1600, 2160),
        (1920, 800, 1080),
        (1440, 1080, 1080),
        (1280, 534, 720),
        (960, 720, 720),
        (720, 576, 576),
        (720, 404, 480),
        (0, 1080, None),
        (-1, -1, None),
    ],
)
def test_a_picture_without_its_black_bars_has_the_lines_it_had(
    width: int, height: int, lines: int | None
) -> None:
    assert lines_of(width, height) == lines
