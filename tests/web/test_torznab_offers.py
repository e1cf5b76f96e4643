"""What a friend shares in a plain folder, as a real Radarr and a real Sonarr search it: by id, and
by words when that brought nothing. What is found has a title that they read as what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.library.catalog import Catalog
from jack.peers.client import Peer, PeerClient
from jack.peers.protocol import connector_id
from jack.peers.search import PeerSearch
from jack.web.auth import KeyGuard
from jack.web.links import DownloadLinks
from jack.web.peer_api import peer_blueprint
from jack.web.torznab import torznab_blueprint
from tests.support.arr_titles import Read, read_episode, read_film
from tests.web.indexer_client import Arr, Found
from tests.web.served_peer import StepClock

KEY = "0123456789abcdef0123456789abcdef"
FILES = {
    "Ninth Orchard (2017) [1080p]/movie.mkv": 300,
    "Ninth Orchard (2017) [1080p]/movie-trailer.mkv": 20,
    "Ninth Orchard (2017) [1080p]/movie.en.srt": 1,
    "Salt and Ember (2020) {tmdb-900020}/movie 1080p.mkv": 200,
    "The Quiet Harbour (2021) 1080p.mkv": 100,
    "The Long Ferry/Season 01/S01E01 720p.mkv": 50,
    "The Long Ferry/Season 01/S01E02 720p.mkv": 50,
    "Night Market {tvdb-800002}/Season 02/2x01x02 - Both 720p.mkv": 50,
}


@pytest.fixture
def indexer(
    tmp_path: Path,
    catalog: Catalog,
    clock: StepClock,
    serve_blueprints: Callable[..., Any],
) -> Iterator[Arr]:
    """A jack whose only friend shares FILES."""
    for name, size in FILES.items():
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    guard = KeyGuard(KEY, clock)
    url = f"http://127.0.0.1:{serve_blueprints(peer_blueprint(catalog, guard)).port}"
    client = PeerClient(Peer(connector_id(url), "ann", url, KEY), 4)
    search = PeerSearch({client.peer.id: client}, clock, 20.0)
    links = DownloadLinks("http://nas.local:5225", KEY)
    server = serve_blueprints(torznab_blueprint(search, guard, links, clock))
    yield Arr(f"http://127.0.0.1:{server.port}/torznab", KEY, "Radarr/6.0.3.10276 (debian 12)")
    assert search.stop(20)
    client.close()


def film(indexer: Arr, tmdb: int, title: str, year: int) -> list[Found]:
    """The id query, and the text query only when it was empty."""
    by_id = indexer.search("movie", "2000", f"&tmdbid={tmdb}&imdbid=9{tmdb}")
    return by_id or indexer.search("search", "2000", f"&q={title.replace(' ', '%20')}%20{year}")


@pytest.mark.parametrize(
    ("title", "year", "tmdb"),
    [
        ("Ninth Orchard", 2017, 900017),
        ("Salt and Ember", 2020, 900020),
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
    assert {"movie-trailer", "movie.en"} <= titles
    assert sum("Ninth Orchard" in title for title in titles) == 1


def test_the_file_name_that_travels_is_the_real_one(indexer: Arr, catalog: Catalog) -> None:
    assert {release.filename for release in catalog.search()} == {Path(name).name for name in FILES}
