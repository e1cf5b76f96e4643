"""What a friend shares in a plain folder, as a real Radarr and a real Sonarr search it: by id, and
by words when that brought nothing. What is found has a title that they read as what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.library.catalog import Catalog
from jack.library.sharing import Sharing
from jack.store.database import Database
from jack.support.clock import SystemClock
from tests.support.arr_titles import Read, read_episode, read_film
from tests.support.releases import found_in
from tests.support.videos import matroska
from tests.support.waiting import eventually
from tests.web.indexer_client import Arr, Found

HD, LESS = matroska(1920, 804), matroska(1280, 720)
FILES = {
    "Ninth Orchard (2017)/movie.mkv": HD + bytes(100),
    "Ninth Orchard (2017)/movie-trailer.mkv": HD + bytes(200),
    "Ninth Orchard (2017)/making of.mkv": HD,
    "Ninth Orchard (2017)/movie.en.srt": b"1",
    "Salt and Ember (2020)/movie.mkv": HD,
    "Named (2020) {tmdb-900020}/movie 1080p.mkv": LESS,
    "The Quiet Harbour (2021).mkv": HD,
    "The Long Ferry/Season 01/S01E01.mkv": LESS,
    "The Long Ferry/Season 01/S01E02.mkv": LESS,
    "Night Market {tvdb-800002}/Season 02/2x01x02 - Both 720p.mkv": LESS,
}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Catalog]:
    """The friend's files, with all that is to be known of them."""
    for name, content in FILES.items():
        path = tmp_path / "video" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "friend").mkdir()
    database = Database(tmp_path / "friend")
    sharing = Sharing([tmp_path / "video"], [], database, SystemClock())
    sharing.start()
    try:
        eventually(lambda: sum("0p" in release.title for release in found_in(sharing.catalog)) == 8)
        yield sharing.catalog
    finally:
        stopped = sharing.stop(20.0)
        database.close()
        assert stopped


@pytest.fixture
def indexer(shared: Catalog, indexer_over: Callable[[Catalog, str], Arr]) -> Arr:
    """A jack whose only friend shares FILES."""
    return indexer_over(shared, "Radarr/6.0.3.10276 (debian 12)")


def film(indexer: Arr, tmdb: int, title: str, year: int) -> list[Found]:
    """The id query, and the text query only when it was empty."""
    by_id = indexer.search("movie", "2000", f"&tmdbid={tmdb}&imdbid=9{tmdb}")
    return by_id or indexer.search("search", "2000", f"&q={title.replace(' ', '%20')}%20{year}")


@pytest.mark.parametrize(
    ("title", "year", "tmdb"),
    [
        ("Ninth Orchard", 2017, 900017),
        ("Salt and Ember", 2020, 900018),
        ("Named", 2020, 900020),
        ("The Quiet Harbour", 2021, 900021),
    ],
)
def test_radarr_finds_a_film_by_what_its_folder_says_and_reads_it_right(
    indexer: Arr, title: str, year: int, tmdb: int
) -> None:
    read = [read_film(found.title) for found in film(indexer, tmdb, title, year)]
    assert read == [Read(title, year, quality="WEBDL-1080p")]


@pytest.mark.parametrize("parameters", ["&season=1", "&season=1&ep=1"])
def test_sonarr_finds_episodes_by_what_their_folders_say(indexer: Arr, parameters: str) -> None:
    assert indexer.search("tvsearch", "5000", f"&tvdbid=800003{parameters}") == []
    found = indexer.search("tvsearch", "5000", f"&q=The%20Long%20Ferry{parameters}")
    read = sorted((read_episode(item.title) for item in found), key=str)
    wanted = [
        Read("The Long Ferry", None, 1, (number,), quality="HDTV-720p")
        for number in ((1,) if "ep" in parameters else (1, 2))
    ]
    assert read == wanted


def test_a_file_of_two_episodes_says_both_of_them(indexer: Arr) -> None:
    found = indexer.search("tvsearch", "5000", "&tvdbid=800002&season=2&ep=1")
    assert [read_episode(item.title) for item in found] == [
        Read("Night Market", None, 2, (1, 2), quality="HDTV-720p")
    ]


def test_what_lies_beside_a_film_is_not_offered_as_the_film(indexer: Arr) -> None:
    titles = {item.title for item in indexer.search("search", "2000")}
    assert {"movie-trailer", "making of"} <= titles
    assert "movie.en" not in titles, "a subtitle is no film at all"
    assert sum("Ninth Orchard" in title for title in titles) == 1


def test_the_file_name_that_travels_is_the_real_one(shared: Catalog) -> None:
    assert {release.filename for release in found_in(shared)} == {Path(name).name for name in FILES}
