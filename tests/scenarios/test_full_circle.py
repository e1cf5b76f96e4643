"""The full circle: a friend's Radarr has it, mine misses it, and nobody touches a stub.

Three parts, as in life: the friend's jack with his *arr as its source (a process), my jack (a
process), and my *arr, which knows of jack only what jack itself has registered.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from jack.model import DownloadStatus, connector_id
from tests.scenarios.harness import (
    KEY,
    KIB,
    PATIENCE_SECONDS,
    Jack,
    content,
    peer_entry,
    server_entry,
)
from tests.support.arr_titles import Read, read_episode
from tests.support.fake_arr_client import GrabbingArr, Wanted
from tests.support.library_server import KEY as FRIENDS_ARR_KEY
from tests.support.library_server import LibraryServer
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually
from tests.support.watch_folder_scanner import WatchFolderScanner
from tests.web.indexer_client import Found

S = DownloadStatus
MY_KEY = "my-own-key-of-the-circle"
SIZE = 3072 * KIB
BYTES_PER_SECOND = 512 * KIB
"""What the friend's line gives: slow enough to stall and to be killed in the middle."""
STALLED_AT = 512 * KIB
KILLED_AT = 1280 * KIB
IDLE_MS = 1000
MY_VIEW = "/data/torrents"
"""The folders of my jack, as my *arr sees them."""
FILM = "Film 603 (2020) [Bluray-1080p].mkv"
EPISODE = "Show.S01E02.1080p.BluRay-GRP.mkv"
MOVIE = Wanted(
    {"tmdbid": "603", "imdbid": "0000603"}, {"tmdbid": "603"}, {"movie_id": 7}
)  # Radarr gives the digits of an imdb id only
SECOND_EPISODE = Wanted(
    {"tvdbid": "81189", "imdbid": "tt0000005", "season": "1", "ep": "2"},
    {"tvdbid": "81189"},
    {"series_id": 3, "episode_id": 32},
)

LONG_FERRY = {"tvdbid": "800003", "imdbid": "tt8800003", "tmdbid": "800003"}
NIGHT_MARKET = {"tvdbid": "800002", "imdbid": "tt8800002", "season": "2016", "ep": "03/03"}
ANY_EPISODE = {"series_id": 3, "episode_id": 32}
EPISODE_AS_OFFERED = {
    "title": "Show.S01E02.1080p.BluRay-GRP",
    "category": 5000,
    "tvdbId": 81189,
    "season": 1,
    "episode": 2,
}


@pytest.fixture
def ports(stack: ExitStack) -> Iterator[tuple[Port, Port]]:
    """The friend's and mine."""
    both = Port(), Port()
    for port in both:
        stack.callback(port.close)
    yield both


@dataclass
class Circle:
    """All parts; `file` is what the friend has, `arr` is mine."""

    friend: Jack
    you: Jack
    arr: GrabbingArr
    file: Path
    sha256: str

    def start(self) -> None:
        self.friend.start()
        self.you.start()
        eventually(self.arr.indexer, PATIENCE_SECONDS, f"the registration\n{self.you.log}")

    def find(self, wanted: Wanted) -> Found:
        """The result of the search; the friend's library may still be being read."""
        (found,) = eventually(lambda: self.arr.search(wanted), PATIENCE_SECONDS, "a result")
        return found

    def stall_the_friend(self, scanner: WatchFolderScanner) -> None:
        """His machine stands still in the middle of the file, until ours has noticed."""
        self.you.row(1, when=lambda row: row.downloaded_bytes >= STALLED_AT)
        assert self.friend.process is not None
        self.friend.process.send_signal(signal.SIGSTOP)
        try:
            self.you.row(1, when=lambda row: bool(row.error))
            scanner.pass_by()
        finally:
            self.friend.process.send_signal(signal.SIGCONT)

    def kill_mine(self, scanner: WatchFolderScanner) -> None:
        """kill -9 in the middle of the file, and a while later a new start."""
        self.you.row(1, when=lambda row: row.downloaded_bytes >= KILLED_AT)
        self.you.kill()
        scanner.pass_by()
        assert self.you.part(self.file.name).stat().st_size < SIZE
        self.you.start()

    def assert_imported(self) -> None:
        """jack says so, the library has the very bytes, and nothing is left over."""
        self.you.row(1, S.IMPORTED)
        (row,) = self.you.status()
        assert (row["status"], row["error"]) == ("imported", None)
        assert row["downloadedBytes"] == row["expectedBytes"] == SIZE
        place = self.arr.library / self.file.name
        assert hashlib.sha256(place.read_bytes()).hexdigest() == self.sha256
        assert list(self.you.completed.iterdir()) == []
        eventually(lambda: not self.you.stubs(), PATIENCE_SECONDS, "the end of the stub")

    def assert_never_partial(self, scanner: WatchFolderScanner) -> None:
        """The scanner looked at the right folder, and what it took for a video was the whole."""
        assert scanner.sightings == {self.file.name: {SIZE}}
        assert f"{self.file.name}.part" in scanner.ignored
        assert [(found.path.name, found.sha256) for found in scanner.importable] == [
            (self.file.name, self.sha256)
        ]


@pytest.fixture
def circle(
    tmp_path: Path,
    stack: ExitStack,
    ports: tuple[Port, Port],
    new_jack: Callable[..., Jack],
) -> Callable[[str, str], Circle]:
    """Makes the circle of `radarr` or `sonarr` around one file; nothing runs yet but the *arrs."""

    def make(kind: str, filename: str) -> Circle:
        theirs, mine = ports
        body, video = content(SIZE), tmp_path / "friends-video"
        file = video / "Title" / filename
        file.parent.mkdir(parents=True)
        file.write_bytes(body)
        source = stack.enter_context(LibraryServer(kind, roots=(str(video),)))
        stock(source, file)
        friend = new_jack(
            "friend",
            jack={"internalUrl": theirs.url, "apiKey": KEY},
            servers=[server_entry("His", kind, source.url, FRIENDS_ARR_KEY, destination=False)],
            share={"uploadBytesPerSecond": BYTES_PER_SECOND},
        )
        friend.configure(downloads=None)
        folder = tmp_path / "you"
        arr = GrabbingArr(kind, tmp_path / "library", {MY_VIEW: folder}, hold_commands=True)
        stack.enter_context(arr)
        path_map = [{"jack": str(folder), "arr": MY_VIEW}]
        server = server_entry(
            "Mine", kind, arr.url, arr.api_key, source=False, autoregister={"enable": True}
        )
        you = new_jack(
            "you",
            downloads={"idleTimeoutMs": IDLE_MS},
            jack={"internalUrl": mine.url, "apiKey": MY_KEY},
            peers=[peer_entry("friend", theirs.url)],
            servers=[server | {"pathMap": path_map}],
        )
        return Circle(friend, you, arr, file, hashlib.sha256(body).hexdigest())

    return make


def stock(library: LibraryServer, file: Path) -> None:
    """The friend's *arr has that file, by the ids that are searched for."""
    if library.kind == "radarr":
        library.add_movie(603, str(file), tmdb=603, size=SIZE)
    else:
        library.add_series(5, tvdb=81189)
        library.add_episodes(5, 1, (2,), str(file), size=SIZE)


def test_a_film_comes_from_a_friends_radarr_into_mine_without_a_human(
    circle: Callable[[str, str], Circle],
) -> None:
    around = circle("radarr", FILM)
    around.start()
    radarr = around.arr
    assert radarr.providers.tests == ["downloadclient", "indexer"]
    assert radarr.rss(), "the Test passed, so there is something to see"
    found = around.find(MOVIE)
    assert found.length == SIZE
    with WatchFolderScanner(radarr.watch_folder) as scanner:
        radarr.grab_release(found, MOVIE)
        around.stall_the_friend(scanner)
        around.kill_mine(scanner)
        # The command stays behind a long library scan, so that the scanner meets the file too.
        radarr.wait_for_commands(1, PATIENCE_SECONDS)
        scanner.pass_by()
        radarr.finish_commands()
        around.assert_imported()
        around.assert_never_partial(scanner)
    (command,) = radarr.commands
    assert command["name"] == "ManualImport"
    assert command["body"]["files"][0]["movieId"] == MOVIE.history["movie_id"]
    assert around.you.stop() == 0
    assert around.friend.stop() == 0


def test_an_episode_comes_from_a_friends_sonarr_and_my_sonarrs_own_scanner_takes_it(
    circle: Callable[[str, str], Circle],
) -> None:
    around = circle("sonarr", EPISODE)
    around.start()
    found = around.find(SECOND_EPISODE)
    assert "S01E02" in found.title
    sonarr = around.arr
    with WatchFolderScanner(sonarr.watch_folder, take=sonarr.import_found) as scanner:
        sonarr.grab_release(found, SECOND_EPISODE)
        around.stall_the_friend(scanner)
        around.kill_mine(scanner)
        around.assert_imported()
        around.assert_never_partial(scanner)
    assert len(around.you.rows()) == 1, "a file that is gone is no reason to fetch it again"


def test_a_failed_copy_of_one_friend_leaves_the_record_of_the_others_copy_alone(
    tmp_path: Path,
    port: Port,
    stack: ExitStack,
    new_jack: Callable[..., Jack],
    new_peer: Callable[[], ScriptedPeer],
) -> None:
    """Both friends have the same episode under the same name and of the same size."""
    peers = {name: new_peer() for name in ("Ann", "Ben")}
    for peer in peers.values():
        peer.offer("c:episode:2", content(64 * KIB), filename=EPISODE, **EPISODE_AS_OFFERED)
    peers["Ann"].always(file_path("c:episode:2"), Answer(404))
    sonarr = GrabbingArr("sonarr", tmp_path / "library", {MY_VIEW: tmp_path / "you"})
    stack.enter_context(sonarr)
    server = server_entry("Mine", "sonarr", sonarr.url, sonarr.api_key, source=False)
    path_map = [{"jack": str(tmp_path / "you"), "arr": MY_VIEW}]
    you = new_jack(
        jack={"internalUrl": port.url, "apiKey": MY_KEY},
        peers=[peer_entry(name, peer.url) for name, peer in peers.items()],
        servers=[server | {"autoregister": {"enable": True}, "pathMap": path_map}],
    )
    you.start()
    eventually(sonarr.indexer, PATIENCE_SECONDS, f"the registration\n{you.log}")
    found = {item.guid.partition(":")[0]: item for item in sonarr.search(SECOND_EPISODE)}
    offers = {name: found[connector_id(peer.url)] for name, peer in peers.items()}
    assert offers["Ann"].title == offers["Ben"].title
    assert offers["Ann"].attributes["infohash"] != offers["Ben"].attributes["infohash"]
    sonarr.grab_release(offers["Ben"], SECOND_EPISODE)
    you.row(1, S.IMPORTED)
    sonarr.grab_release(offers["Ann"], SECOND_EPISODE)
    you.row(2, S.FAILED)
    (reported,) = eventually(lambda: sonarr.failed_records, PATIENCE_SECONDS, "the report")
    assert you.stop() == 0
    (record,) = (one for one in sonarr.history if one["id"] == reported)
    assert record["data"]["guid"] == offers["Ann"].guid
    assert sonarr.failed_records == [reported]
    assert you.row(1).status is S.IMPORTED


@pytest.mark.parametrize(
    ("filename", "wanted", "read"),
    [
        (
            "The Long Ferry/[Group] The Long Ferry - 05 [1080p].mkv",
            Wanted(LONG_FERRY | {"q": "05"}, {"category": "5000"}, ANY_EPISODE, "Long Ferry 05"),
            Read("The Long Ferry", absolutes=(5,), quality="HDTV-1080p"),
        ),
        (
            "Night Market/Night.Market.2016.03.03.720p.WEB-DL.mkv",
            Wanted(NIGHT_MARKET, {"category": "5000"}, ANY_EPISODE, "Night Market"),
            Read("Night Market", day="2016-03-03", quality="WEBDL-720p"),
        ),
    ],
)
def test_an_episode_named_by_its_number_or_its_day_is_found_read_and_imported(
    tmp_path: Path,
    stack: ExitStack,
    ports: tuple[Port, Port],
    new_jack: Callable[..., Jack],
    filename: str,
    wanted: Wanted,
    read: Read,
) -> None:
    """Of a shared folder that has no ids: the search by ids finds nothing, the one by title does,
    and another episode beside it is not taken for it.
    """
    theirs, mine = ports
    video = tmp_path / "friends-video"
    other = filename.replace("05", "06").replace("03.03", "03.04")
    for name, size in ((filename, 64 * KIB), (other, 32 * KIB)):
        (video / name).parent.mkdir(parents=True, exist_ok=True)
        (video / name).write_bytes(content(size))
    friend = new_jack("friend", jack={"internalUrl": theirs.url, "apiKey": KEY})
    friend.configure(downloads=None, library=[{"folder": str(video)}])
    sonarr = GrabbingArr("sonarr", tmp_path / "library", {MY_VIEW: tmp_path / "you"})
    stack.enter_context(sonarr)
    server = server_entry("Mine", "sonarr", sonarr.url, sonarr.api_key, source=False)
    path_map = [{"jack": str(tmp_path / "you"), "arr": MY_VIEW}]
    you = new_jack(
        jack={"internalUrl": mine.url, "apiKey": MY_KEY},
        peers=[peer_entry("friend", theirs.url)],
        servers=[server | {"autoregister": {"enable": True}, "pathMap": path_map}],
    )
    friend.start()
    you.start()
    eventually(sonarr.indexer, PATIENCE_SECONDS, f"the registration\n{you.log}")
    (found,) = eventually(lambda: sonarr.search(wanted), PATIENCE_SECONDS, "a result")
    assert read_episode(found.title) == read
    sonarr.grab_release(found, wanted)
    you.row(1, S.IMPORTED)
    name = Path(filename).name
    assert (sonarr.library / name).read_bytes() == content(64 * KIB)
    assert you.stop() == 0
    assert friend.stop() == 0
