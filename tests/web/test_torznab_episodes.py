"""Daily and anime series as a real Sonarr asks for them, in its words and order, of a jack whose
friend shares a folder: the words are parsed, the friend is asked over the wire, and what the feed
holds is what Sonarr can use.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jack.library.catalog import Catalog
from jack.model import TV, Release
from jack.peers.query import matcher
from jack.web.torznab_query import read_request
from tests.web.indexer_client import Arr

SONARR = "5000,5070"
NIGHT_MARKET = "&tvdbid=800002&imdbid=tt8800002&tmdbid=800002"
LONG_FERRY = "&tvdbid=800003&imdbid=tt8800003&tmdbid=800003"

DAILY = "Night Market {tvdb-800002}"
ANIME = "The Long Ferry {tvdb-800003}"
SHARED = (
    f"{DAILY}/Night Market - 2016-03-03 - Chapter 3 1080p.mkv",
    f"{DAILY}/Night.Market.2016.03.04.1080p.WEB-DL.mkv",
    f"{DAILY}/Night.Market.2017.03.04.1080p.WEB-DL.mkv",
    f"{DAILY}/Night Market - S01E09 - The 2016 Show.mkv",
    f"{ANIME}/[Group] The Long Ferry - 05 [1080p].mkv",
    f"{ANIME}/The Long Ferry - 06 - Room 5 [1080p].mkv",
    f"{ANIME}/The.Long.Ferry.S02E01.1080p.WEB-DL.DDP.5.1.mkv",
    f"{ANIME}/The Long Ferry - S02E02 - 015 - Back.mkv",
    "Long Ferry 05 (2001) 1080p.mkv",
)


@pytest.fixture
def sonarr(tmp_path: Path, catalog: Catalog, indexer_over: Callable[[Catalog, str], Arr]) -> Arr:
    """A Sonarr that has a jack as its indexer, whose only friend shares SHARED."""
    for name in SHARED:
        put(tmp_path / "library", name)
    return indexer_over(catalog, "Sonarr/5.0.0.1 (debian 12)")


def put(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0123456789")


@pytest.mark.parametrize(
    ("function", "parameters", "expected"),
    [
        ("tvsearch", f"{NIGHT_MARKET}&season=2016&ep=03/03", [0]),
        ("tvsearch", f"{NIGHT_MARKET}&season=2016", [0, 1]),
        ("tvsearch", "&q=Night%20Market&season=2016&ep=03/03", [0]),
        ("tvsearch", "&q=Night%20Market&season=2016", [0, 1]),
        ("tvsearch", f"{NIGHT_MARKET}&season=2016&ep=03/05", []),
        ("tvsearch", f"{NIGHT_MARKET}&season=2015", []),
        ("tvsearch", f"{LONG_FERRY}&q=05", [4]),
        ("tvsearch", f"{LONG_FERRY}&q=06", [5]),
        ("tvsearch", f"{LONG_FERRY}&q=15", [7]),
        ("tvsearch", f"{LONG_FERRY}&q=01", []),
        ("search", "&q=Long%20Ferry%2005", [4]),
        ("search", "&q=Long%20Ferry%2006", [5]),
        ("search", "&q=Long%20Ferry%2001", []),
        ("tvsearch", f"{LONG_FERRY}&season=2&ep=2", [7]),
        ("tvsearch", f"{LONG_FERRY}&season=1&ep=5", []),
    ],
)
def test_sonarr_finds_the_episode_it_asks_for_and_nothing_else(
    sonarr: Arr, function: str, parameters: str, expected: list[int]
) -> None:
    found = sonarr.search(function, SONARR, parameters)
    names = {Path(SHARED[index]).stem for index in expected}
    assert {item.title for item in found} == names
    assert {item.attributes["category"] for item in found} <= {"5000"}


def offered(title: str, **known: Any) -> Release:
    return Release("a:episode:1", title, "file.mkv", TV, 5, tvdb_id=800003, **known)


def is_found(release: Release, function: str, **parameters: str) -> bool:
    query = read_request(function, {"cat": SONARR, **parameters}).query
    assert query is not None
    return matcher(query)(release)


def test_what_a_sonarr_shares_is_found_by_the_day_and_number_it_has_for_the_file() -> None:
    known = {"series_title": "The Long Ferry", "season": 1, "episode": 5, "absolute_episode": 5}
    release = offered("chapter", **known)
    assert is_found(release, "tvsearch", tvdbid="800003", q="05")
    assert is_found(release, "search", q="Long Ferry 05")
    assert not is_found(release, "search", q="Long Ferry 06")
    assert not is_found(release, "search", q="Short Ferry 05")


def test_a_day_in_the_title_is_believed_before_the_day_the_friend_has() -> None:
    """Sonarr reads the title: with another day in it the grab would be refused."""
    release = offered("Show - 2016-03-04", air_date=date(2016, 3, 3), series_title="Show")
    assert is_found(release, "tvsearch", q="Show", season="2016", ep="03/04")
    assert not is_found(release, "tvsearch", q="Show", season="2016", ep="03/03")


@pytest.mark.parametrize(
    ("text", "title", "series", "found"),
    [
        ("Area 5", "Area 5 - 07 [1080p]", "Area 5", True),
        ("Area 5 07", "Area 5 - 07 [1080p]", "Area 5", True),
        ("Area 5 05", "Area 5 - 07 [1080p]", "Area 5", False),
        ("Long Ferry Room 5", "The Long Ferry - S00E03 - Room 5", "The Long Ferry", True),
        ("Long Ferry 05", "[Group] The Long Ferry - 05 [720p]", None, True),
        ("Long Ferry 05", "The.Long.Ferry.S01E06.DDP.5.1", None, False),
        ("Night Market 2016", "Night.Market.2016.S01E01", "Night Market", True),
    ],
)
def test_a_number_at_the_end_of_a_text_is_an_episodes_only_where_it_is_no_part_of_a_name(
    text: str, title: str, series: str | None, found: bool
) -> None:
    assert is_found(offered(title, series_title=series), "search", q=text) is found
