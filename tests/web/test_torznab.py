"""The indexer as Radarr and Sonarr use it: Test, RSS, searches, paging, and a grab."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import requests

from jack.blackhole.stub import info_hash, read_stub
from jack.model import MOVIES, TV, Release, Stub, connector_id
from jack.peers.collection import Peers
from jack.peers.query import Offer, SearchQuery, matcher
from jack.peers.search import PeerSearch
from jack.web.feed import PAGE_ITEMS, UNDATED
from jack.web.links import MAX_STUB_SIZE, DownloadLinks
from jack.web.torznab import PLACEHOLDER_TITLE, torznab_blueprint
from jack.web.torznab_query import BadParameter, read_request
from tests.support.clock import START, FakeClock
from tests.support.known_peers import entry, peers_among
from tests.support.scripted_peer import Answer, ScriptedPeer
from tests.support.waiting import eventually
from tests.web.indexer_client import Arr, Found, IndexerError, key_of, refused_by
from tests.web.served_peer import KEY

SONARR = "5030,5040"
RADARR = "2000,2010,2020,2030,2040,2045,2050,2060"
NOW_SECONDS = 1_800_000_000.0
"""Some moment after every date the releases here have."""


@dataclass
class Shelf:
    """What friends offer, found as the real search finds it but without a network."""

    offers: list[Offer] = field(default_factory=list)
    asked: list[tuple[SearchQuery, bool]] = field(default_factory=list)

    def find(self, query: SearchQuery, *, fresh: bool = True) -> Sequence[Offer]:
        self.asked.append((query, fresh))
        wanted = matcher(query)
        return [offer for offer in self.offers if wanted(offer.release)]

    def film(self, title: str = "The Matrix 1999 1080p", **known: Any) -> Release:
        return self._put(title, MOVIES, {"tmdb_id": 603, "imdb_id": "tt0133093", **known})

    def episode(self, title: str = "Show.S01E02.720p", **known: Any) -> Release:
        return self._put(title, TV, {"tvdb_id": 7, "season": 1, "episode": 2, **known})

    def _put(self, title: str, category: int, known: dict[str, Any]) -> Release:
        peer_id, size = known.pop("peer_id", "15ee3276"), known.pop("size", 5_000_000_000)
        known.setdefault("publish_date", "2024-05-01T10:00:00Z")
        item_id = f"33cf6f5d:movie:{len(self.offers) + 1}"
        release = Release(item_id, title, "file.mkv", category, size, **known)
        self.offers.append(Offer(peer_id, "ann", release))
        return release


@pytest.fixture
def clock() -> FakeClock:
    made = FakeClock()
    made.advance(NOW_SECONDS - START.timestamp())
    return made


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def serve_search(
    serve_blueprints: Callable[..., Any], guard: Any, clock: FakeClock
) -> Callable[..., Arr]:
    """Serve the indexer over a search; the *arr that has it configured."""

    def start(search: Any, internal_url: str = "http://nas.local:5225") -> Arr:
        links = DownloadLinks(internal_url, KEY)
        server = serve_blueprints(torznab_blueprint(search, guard, links, clock), threads=3)
        return Arr(f"http://127.0.0.1:{server.port}/torznab", quote(KEY))

    return start


@pytest.fixture
def arr(serve_search: Callable[..., Arr], shelf: Shelf) -> Arr:
    return serve_search(shelf)


def titles(found: Sequence[Found]) -> list[str]:
    return [item.title for item in found]


# -- capabilities ----------------------------------------------------------------------------------


def test_the_capabilities_hold_what_both_arrs_look_for(arr: Arr) -> None:
    caps = arr.caps()
    limits = caps.find("limits")
    assert limits is not None
    assert (limits.attrib["default"], limits.attrib["max"]) == ("100", "100")
    searches = {element.tag: element.attrib for element in caps.iterfind("searching/*")}
    assert {name: found["supportedParams"] for name, found in searches.items()} == {
        "search": "q",
        "tv-search": "q,season,ep,tvdbid,imdbid,tmdbid",
        "movie-search": "q,imdbid,tmdbid",
    }
    assert {found["available"] for found in searches.values()} == {"yes"}


def test_the_capabilities_list_every_category_the_arrs_configure_by_default(arr: Arr) -> None:
    listed = [element.attrib["id"] for element in arr.caps().iterfind("categories//*")]
    assert {"2000", "5000", *SONARR.split(","), *RADARR.split(",")} <= set(listed)
    assert len(listed) == len(set(listed))


# -- what the arrs send ----------------------------------------------------------------------------


def test_the_first_request_of_test_and_rss_brings_everything_of_the_category(
    arr: Arr, shelf: Shelf
) -> None:
    shelf.film()
    shelf.episode()
    assert titles(arr.page("tvsearch", SONARR)) == ["Show.S01E02.720p"]
    assert titles(arr.page("movie", RADARR)) == ["The Matrix 1999 1080p"]
    assert len(arr.page("search", "")) == 2
    assert all(fresh for _, fresh in shelf.asked)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("&tvdbid=7&imdbid=tt0944947&tmdbid=1399&season=1&ep=2", True),
        ("&tvdbid=7&season=1&ep=2", True),
        ("&tvdbid=7&season=01&ep=02", True),
        ("&tvdbid=7&season=S01&ep=E02", True),
        ("&tvdbid=7&season=1", True),
        ("&imdbid=tt0944947&season=1&ep=2", True),
        ("&tvdbid=8&imdbid=tt0944947&season=1&ep=2", True),
        ("&tvdbid=7&season=1&ep=3", False),
        ("&tvdbid=7&season=00", False),
        ("&tvdbid=8&season=1&ep=2", False),
        ("&q=Show&season=1&ep=2", True),
        ("&q=show&season=2&ep=2", False),
        ("&q=Shows&season=1&ep=2", False),
        ("&rid=5&season=1&ep=2", False),
        ("&tvdbid=7&season=2024&ep=01/15", False),
    ],
)
def test_sonarr_finds_an_episode_by_any_id_or_by_title(
    arr: Arr, shelf: Shelf, parameters: str, found: bool
) -> None:
    shelf.episode(imdb_id="tt0944947")
    assert bool(arr.search("tvsearch", SONARR, parameters)) is found


def test_a_special_is_in_season_zero(arr: Arr, shelf: Shelf) -> None:
    shelf.episode("Show.S00E05.720p", season=0, episode=5)
    assert len(arr.search("tvsearch", SONARR, "&tvdbid=7&season=00")) == 1
    assert len(arr.search("tvsearch", SONARR, "&tvdbid=7&season=00&ep=5")) == 1


@pytest.mark.parametrize("ep", ["01/15", "01%2F15"])
def test_a_daily_episode_is_found_by_the_day_in_its_title_only(
    arr: Arr, shelf: Shelf, ep: str
) -> None:
    shelf.episode("Daily.2024.01.15.720p", season=29, episode=8)
    shelf.episode("Daily.2024.01.16.720p", season=29, episode=9)
    shelf.episode("Daily.S29E10.720p", season=29, episode=10)
    daily = arr.search("tvsearch", SONARR, f"&tvdbid=7&season=2024&ep={ep}")
    assert titles(daily) == ["Daily.2024.01.15.720p"]
    assert len(arr.search("tvsearch", SONARR, "&tvdbid=7&season=2024")) == 2


@pytest.mark.parametrize(
    ("function", "parameters", "found"),
    [
        ("movie", "&tmdbid=603&imdbid=0133093", True),
        ("movie", "&tmdbid=603", True),
        ("movie", "&imdbid=0133093", True),
        ("movie", "&imdbid=tt0133093", True),
        ("movie", "&tmdbid=604&imdbid=0133093", True),
        ("movie", "&tmdbid=604&imdbid=0133094", False),
        ("search", "&q=The%20Matrix%201999", True),
        ("search", "&q=m%C3%A1trix", True),
        ("search", "&q=The%20Matrix%202003", False),
        ("tvsearch", "&tmdbid=603", False),
    ],
)
def test_radarr_finds_a_film_by_any_id_or_by_title(
    arr: Arr, shelf: Shelf, function: str, parameters: str, found: bool
) -> None:
    shelf.film()
    assert bool(arr.search(function, RADARR, parameters)) is found


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ("2000", [MOVIES]),
        ("2045,2050", [MOVIES]),
        ("5040", [TV]),
        ("2010,5070", [MOVIES, TV]),
        ("", [MOVIES, TV]),
        ("x,,-5", [MOVIES, TV]),
        ("8000", []),
        ("8000, 5000", [TV]),
    ],
)
def test_categories_are_a_filter_by_thousands(categories: str, expected: list[int]) -> None:
    query = read_request("search", {"cat": categories}).query
    assert query is not None
    assert sorted(query.categories) == expected


# -- pages -----------------------------------------------------------------------------------------


def test_the_paging_loop_of_the_arrs_gets_each_release_once_and_ends(
    arr: Arr, shelf: Shelf
) -> None:
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    for number in range(2 * PAGE_ITEMS):
        day = start + timedelta(days=number // 3)
        shelf.film(f"Film {number}", publish_date=day.strftime("%Y-%m-%dT%H:%M:%SZ"))
    found = arr.search("movie", RADARR)
    assert len(found) == 2 * PAGE_ITEMS
    dates = [item.published for item in found]
    assert dates == sorted(dates, reverse=True)
    assert len(shelf.asked) == 3
    assert [fresh for _, fresh in shelf.asked] == [True, False, False]


def test_releases_of_one_date_keep_their_order_in_whatever_order_they_come(
    arr: Arr, shelf: Shelf
) -> None:
    for number in range(5):
        shelf.film(f"Film {number}")
    first = titles(arr.page("movie", RADARR))
    shelf.offers.reverse()
    assert titles(arr.page("movie", RADARR)) == first


def test_limit_and_offset_are_honoured(arr: Arr, shelf: Shelf) -> None:
    for day in range(1, 6):
        shelf.film(f"Film {day}", publish_date=f"2024-01-0{day}T00:00:00Z")

    def part(parameters: str) -> list[str]:
        url = f"{arr.base_url}/api?t=search&apikey={arr.api_key}{parameters}"
        return re.findall(r"<title>(Film \d)", requests.get(url, timeout=20).text)

    assert part("") == ["Film 5", "Film 4", "Film 3", "Film 2", "Film 1"]
    assert part("&limit=2") == ["Film 5", "Film 4"]
    assert part("&limit=2&offset=3") == ["Film 2", "Film 1"]
    assert part("&offset=5") == []
    assert part("&limit=0") == []
    assert len(part("&limit=100000")) == 5


def test_no_answer_has_more_than_a_page(arr: Arr, shelf: Shelf) -> None:
    for number in range(PAGE_ITEMS + 1):
        shelf.film(f"Film {number}")
    url = f"{arr.base_url}/api?t=search&limit=5000&apikey={arr.api_key}"
    assert requests.get(url, timeout=20).text.count("<item>") == PAGE_ITEMS


# -- an empty library ------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "categories"), [("tvsearch", SONARR), ("movie", RADARR)])
def test_the_test_of_an_arr_passes_although_friends_share_nothing(
    arr: Arr, function: str, categories: str
) -> None:
    (only,) = arr.search(function, categories)
    assert only.title == PLACEHOLDER_TITLE
    assert not re.search(r"\d", only.title)
    assert arr.fetch(local(only.url, arr)).status_code == 404


@pytest.mark.parametrize(
    "parameters",
    ["&tmdbid=603", "&imdbid=0133093", "&q=matrix", "&season=1", "&ep=1", "&rid=1"],
)
def test_a_search_never_gets_the_placeholder(arr: Arr, parameters: str) -> None:
    assert arr.search("search", RADARR, parameters) == []


def test_no_further_page_and_no_full_library_has_the_placeholder(arr: Arr, shelf: Shelf) -> None:
    assert arr.page("movie", RADARR, offset=100) == []
    assert arr.page("movie", SONARR) == []
    empty = f"{arr.base_url}/api?t=search&limit=0&apikey={arr.api_key}"
    assert "<item>" not in requests.get(empty, timeout=20).text
    shelf.film("Film 2001")
    assert titles(arr.page("movie", RADARR)) == ["Film 2001"]


def test_films_alone_still_let_sonarr_pass_its_test(arr: Arr, shelf: Shelf) -> None:
    shelf.film()
    assert titles(arr.page("tvsearch", SONARR)) == [PLACEHOLDER_TITLE]


# -- items -----------------------------------------------------------------------------------------


def local(url: str, arr: Arr) -> str:
    return url.replace("http://nas.local:5225/torznab", arr.base_url)


def test_an_item_carries_what_the_arrs_decide_by(arr: Arr, shelf: Shelf) -> None:
    shelf.film()
    (item,) = arr.search("movie", RADARR, "&tmdbid=603")
    assert item.guid == "15ee3276:33cf6f5d:movie:1"
    assert item.length == 5_000_000_000
    assert item.published == datetime(2024, 5, 1, 10, tzinfo=timezone.utc)
    assert item.url.startswith("http://nas.local:5225/torznab/download/")
    assert key_of(item.url) == KEY
    assert item.attributes == {
        "infohash": info_hash(arr.fetch(local(item.url, arr)).content),
        "category": "2000",
        "size": "5000000000",
        "seeders": "1",
        "peers": "1",
        "downloadvolumefactor": "0",
        "uploadvolumefactor": "1",
        "imdb": "0133093",
        "imdbid": "tt0133093",
        "tmdbid": "603",
        "tag": "internal",
    }


def test_an_episode_carries_its_series_and_number(arr: Arr, shelf: Shelf) -> None:
    shelf.episode(season=0)
    (item,) = arr.search("tvsearch", SONARR, "&tvdbid=7")
    expected = {"category": "5000", "tvdbid": "7", "season": "0", "episode": "2"}
    assert expected.items() <= item.attributes.items()
    assert "imdb" not in item.attributes


def test_the_hash_in_the_feed_is_that_of_the_stub_which_the_link_brings(
    arr: Arr, shelf: Shelf
) -> None:
    """By it the *arr keeps a failed release out of its searches, and takes no other one for it:
    the same film of two friends, of a size nobody knows, or under a name that has to be changed.
    """
    for known in (
        {},
        {"peer_id": "33cf6f5d"},
        {"size": 0},
        {"title": "A/B: \x00\u202e" + "ä" * 300},
        {"title": "Heat (1995)", "extra": {"quality": {"name": "Bluray-1080p"}}},
    ):
        shelf.film(**known)
    found = arr.search("movie", RADARR, "&tmdbid=603&imdbid=0133093")
    delivered = [info_hash(arr.fetch(local(item.url, arr)).content) for item in found]
    assert [item.attributes["infohash"] for item in found] == delivered
    assert len(set(delivered)) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01 10:00:00"),
        ("2024-05-01T10:00:00.1234567Z", "2024-05-01 10:00:00"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01 08:00:00"),
        ("2024-05-01 10:00:00", "2024-05-01 10:00:00"),
        ("2024-05-01", "2024-05-01 00:00:00"),
        (None, "2000-01-01 00:00:00"),
        ("yesterday", "2000-01-01 00:00:00"),
        ("2024-13-01", "2000-01-01 00:00:00"),
        ("0001-01-01T00:00:00+14:00", "2000-01-01 00:00:00"),
        ("9999-12-31T23:59:59Z", "2000-01-01 00:00:00"),
    ],
)
def test_every_item_has_a_date_and_the_same_one_each_time(
    arr: Arr, shelf: Shelf, text: str | None, expected: str
) -> None:
    shelf.film(publish_date=text)
    for _ in range(2):
        (item,) = arr.page("movie", RADARR)
        assert str(item.published.replace(tzinfo=None)) == expected


def test_an_offer_of_several_friends_appears_once_per_friend(arr: Arr, shelf: Shelf) -> None:
    shelf.film(peer_id="15ee3276")
    shelf.film(peer_id="644ba494")
    found = arr.search("movie", RADARR, "&tmdbid=603")
    assert len({item.guid for item in found}) == len({item.url for item in found}) == 2


@pytest.mark.fault("P20")
@pytest.mark.parametrize(
    "title",
    [
        "<script>&amp;</script> \"'",
        "]]> <!-- -->",
        "\x00\x08\x0b\x1f",
        "\ufffe\uffff",
        "\U0001f3ac \U0010ffff",
        "\u202eevil",
        "\r\n\t",
        "漢字 (2001)",
    ],
)
def test_the_xml_is_well_formed_for_any_title(arr: Arr, shelf: Shelf, title: str) -> None:
    shelf.film("A" + title + "B")
    (item,) = arr.search("movie", RADARR)
    assert item.title.startswith("A")
    assert item.title.endswith("B")
    assert arr.fetch(local(item.url, arr)).status_code == 200


@pytest.mark.fault("P20")
def test_a_hostile_id_stays_inside_its_element(arr: Arr, shelf: Shelf) -> None:
    release = Release('<&"\ufffe', "T 2001", "f.mkv", MOVIES, 1, imdb_id='"/><x>')
    shelf.offers.append(Offer("15ee3276", "ann", release))
    (item,) = arr.search("movie", RADARR)
    assert item.guid == '15ee3276:<&"'
    assert item.attributes["imdb"] == '"/><x>'


def test_what_no_stub_could_describe_is_not_offered(arr: Arr, shelf: Shelf) -> None:
    shelf.film("Largest", size=MAX_STUB_SIZE)
    shelf.film("Absurd", size=2**53)
    assert titles(arr.search("movie", RADARR)) == ["Largest"]


def test_the_namespace_is_the_one_the_arrs_look_for(arr: Arr, shelf: Shelf) -> None:
    shelf.film()
    url = f"{arr.base_url}/api?t=search&apikey={arr.api_key}"
    answer = requests.get(url, timeout=20)
    assert answer.headers["Content-Type"].startswith("application/rss+xml")
    assert 'xmlns:torznab="http://torznab.com/schemas/2015/feed"' in answer.text
    assert ElementTree.fromstring(answer.content).attrib == {"version": "2.0"}


# -- a grab ----------------------------------------------------------------------------------------


def test_a_grab_brings_a_stub_that_loads_whoever_is_up(arr: Arr, shelf: Shelf) -> None:
    shelf.film("Größe: The Movie? (2001) 1080p")
    (item,) = arr.search("movie", RADARR)
    asked = len(shelf.asked)
    answer = arr.fetch(local(item.url, arr))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-bittorrent"
    assert (
        "filename*=UTF-8''Gr%C3%B6%C3%9Fe%20-%20The%20Movie!"
        in (answer.headers["Content-Disposition"])
    )
    assert refused_by(answer.content) == set()
    assert read_stub(answer.content) == Stub("15ee3276", "33cf6f5d:movie:1")
    assert len(shelf.asked) == asked
    assert arr.fetch(local(item.url, arr)).content == answer.content


def test_a_link_that_was_changed_or_has_no_key_brings_nothing(arr: Arr, shelf: Shelf) -> None:
    shelf.film()
    (item,) = arr.search("movie", RADARR)
    url = local(item.url, arr)
    assert arr.fetch(url.replace(".torrent?", "A.torrent?")).status_code == 404
    assert arr.fetch(f"{arr.base_url}/download/x.torrent?apikey={arr.api_key}").status_code == 404
    assert arr.fetch(url.partition("?")[0]).status_code == 401
    assert arr.fetch(url.partition("?")[0] + "?apikey=wrong").status_code == 401


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.fault("V10")
@pytest.mark.parametrize("accept", ["application/rss+xml, application/xml", "*/*", "text/html"])
@pytest.mark.parametrize("key", ["", "&apikey=wrong"])
def test_a_bad_key_is_error_100_with_status_200(arr: Arr, accept: str, key: str) -> None:
    for function in ("caps", "search"):
        url = f"{arr.base_url}/api?t={function}{key}"
        answer = requests.get(url, headers={"Accept": accept}, timeout=20)
        assert answer.status_code == 200
        error = ElementTree.fromstring(answer.content)
        assert (error.tag, error.attrib["code"]) == ("error", "100")
        assert error.attrib["description"]


@pytest.mark.fault("V10")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("x=1", 200),
        ("t=", 200),
        ("t=music", 202),
        ('t=<"%0a', 202),
        ("t=search&limit=x", 201),
        ("t=search&limit=-1", 201),
        ("t=search&offset=1e3", 201),
        ("t=search&offset=" + "9" * 30, 201),
        ("t=movie&imdbid=nm1", 201),
        ("t=movie&tmdbid=x", 201),
        ("t=tvsearch&tvdbid=%D9%A1", 201),
        ("t=tvsearch&season=x", 201),
        ("t=tvsearch&season=1&ep=x", 201),
        ("t=tvsearch&season=1&ep=01/15", 201),
        ("t=tvsearch&ep=01/15", 201),
        ("t=tvsearch&season=2023&ep=02/29", 201),
        ("t=tvsearch&season=99999&ep=01/01", 201),
    ],
)
def test_a_bad_request_is_an_error_with_its_code_and_status_200(
    arr: Arr, shelf: Shelf, query: str, code: int
) -> None:
    answer = requests.get(f"{arr.base_url}/api?{query}&apikey={arr.api_key}", timeout=20)
    assert answer.status_code == 200
    error = ElementTree.fromstring(answer.content)
    assert (error.tag, error.attrib["code"]) == ("error", str(code))
    assert error.attrib["description"]
    assert shelf.asked == []


def test_the_arrs_see_the_error(arr: Arr) -> None:
    arr.api_key = "wrong"
    with pytest.raises(IndexerError, match="100: "):
        arr.search("search", "")


def test_empty_parameters_count_as_absent_and_names_have_no_case() -> None:
    plain = read_request("tvsearch", {"q": " ", "season": "", "imdbid": "", "limit": ""})
    assert plain.query is not None
    assert plain.query.is_everything
    assert (plain.offset, plain.limit) == (0, PAGE_ITEMS)
    named = read_request("tvsearch", {"TVDBID": "7"})
    assert named.query is not None
    assert named.query.tvdb_id == 7


def test_a_bad_parameter_is_named() -> None:
    with pytest.raises(BadParameter, match="season"):
        read_request("tvsearch", {"season": "one"})


# -- over the wire ---------------------------------------------------------------------------------


@pytest.fixture
def friend() -> Iterator[ScriptedPeer]:
    with ScriptedPeer() as made:
        yield made


@pytest.fixture
def search_among(clock: FakeClock) -> Iterator[Callable[..., PeerSearch]]:
    """A real search among scripted peers."""
    known: list[Peers] = []
    searches: list[PeerSearch] = []

    def make(*scripted: ScriptedPeer, deadline_seconds: float = 20.0) -> PeerSearch:
        entries = [entry(peer.url, f"friend {n}") for n, peer in enumerate(scripted)]
        known.append(peers_among(clock, *entries))
        searches.append(PeerSearch(known[-1], clock, deadline_seconds))
        return searches[-1]

    yield make
    for search in searches:
        assert search.stop(20)
    for peers in known:
        peers.close()
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("search ")])


def test_a_film_of_a_friend_is_found_and_grabbed_while_another_one_hangs(
    serve_search: Callable[..., Arr],
    search_among: Callable[..., PeerSearch],
    friend: ScriptedPeer,
) -> None:
    friend.offer("c:movie:1", b"x" * 9, filename="The Matrix (1999).mkv", tmdbId=603)
    with ScriptedPeer() as hanging:
        hanging.always("/peer/search", Answer(body=b"{}", pause_at=0))
        arr = serve_search(search_among(friend, hanging, deadline_seconds=1.5))
        before = time.monotonic()
        (item,) = arr.search("movie", RADARR, "&tmdbid=603&imdbid=0133093")
        assert time.monotonic() - before < 15
    friend.close()
    stub = arr.fetch(local(item.url, arr)).content
    assert read_stub(stub) == Stub(connector_id(friend.url), "c:movie:1")


def test_the_answer_is_an_empty_feed_when_every_friend_is_down(
    serve_search: Callable[..., Arr],
    search_among: Callable[..., PeerSearch],
    friend: ScriptedPeer,
) -> None:
    friend.close()
    arr = serve_search(search_among(friend))
    assert arr.search("movie", RADARR, "&tmdbid=603") == []
    (placeholder,) = arr.search("movie", RADARR)
    assert placeholder.published == UNDATED
