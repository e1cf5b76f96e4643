"""Imports: the right servers, in threads that do not disturb each other, over real HTTP."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.arr.client import ArrClient, ArrServer
from jack.errors import StorageError
from jack.imports.telling import Imports
from jack.model import MOVIES, TV
from jack.store.database import Database
from jack.support import waits
from jack.support.clock import SystemClock
from jack.support.pauses import Pauses
from tests.imports.conftest import Room
from tests.support.fake_arr import FakeArr
from tests.support.waiting import eventually

KEY = "K-SENTINEL-0123456789abcdef"
FAST = Pauses(0.02, 0.1)
Build = Callable[..., Imports]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """On the clock of the machine."""
    made = Room(tmp_path, SystemClock())
    yield made
    made.database.close()


@pytest.fixture
def radarr() -> Iterator[FakeArr]:
    with FakeArr("radarr", api_key=KEY) as fake:
        yield fake


@pytest.fixture
def sonarr() -> Iterator[FakeArr]:
    with FakeArr("sonarr", api_key=KEY) as fake:
        yield fake


@pytest.fixture
def build(room: Room) -> Iterator[Build]:
    """Makes what tells named fakes; it ends after the test."""
    with contextlib.ExitStack() as stack:

        def make(pauses: Pauses = FAST, **fakes: FakeArr) -> Imports:
            folders = ((str(room.root), "/data"),)
            clients = [
                ArrClient(ArrServer(name, fake.kind, fake.url, KEY, {}, folders))
                for name, fake in fakes.items()
            ]
            imports = Imports(clients, room.records, pauses)
            for client in clients:
                stack.callback(client.close)
            stack.callback(imports.stop, 5.0)
            imports.start()
            return imports

        yield make


@pytest.fixture
def hand_over(room: Room) -> Callable[..., None]:
    """Finishes downloads 1, 2 ... of these categories and has their servers told."""

    def tell(imports: Imports, *categories: int) -> None:
        for category in categories:
            download = room.finished(len(room.downloads.all()) + 1, category)
            imports.plan(download)
            imports.tell(download)

    return tell


def words(room: Room, number: int = 1) -> str | None:
    return room.row(number).error


def test_a_movie_goes_only_to_radarr_and_an_episode_only_to_sonarr(
    build: Build, radarr: FakeArr, sonarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    imports = build(Radarr=radarr, Sonarr=sonarr)
    hand_over(imports, MOVIES, TV)
    eventually(lambda: len(room.asked) == 2)
    assert radarr.scanned == ["/data/completed/File 1.mkv"]
    assert sonarr.scanned == ["/data/completed/File 2.mkv"]
    assert radarr.commands[0]["name"] == "DownloadedMoviesScan"
    assert sonarr.commands[0]["name"] == "DownloadedEpisodesScan"
    assert "downloadClientId" not in radarr.commands[0]["body"]
    assert room.asked == {(1, "Radarr"), (2, "Sonarr")}


def test_sub_categories_follow_their_thousand_and_others_go_nowhere(
    build: Build, radarr: FakeArr, sonarr: FakeArr
) -> None:
    imports = build(Radarr=radarr, Sonarr=sonarr)
    assert imports.servers_for(2040) == ["Radarr"]
    assert imports.servers_for(5030) == ["Sonarr"]
    assert imports.servers_for(3000) == []


def test_two_radarrs_both_get_the_movie(
    build: Build,
    radarr: FakeArr,
    room: Room,
    hand_over: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waits, "OTHERS_PAUSES", FAST)
    with FakeArr("radarr", api_key=KEY) as second:
        imports = build(Radarr=radarr, Radarr4K=second)
        hand_over(imports, MOVIES)
        eventually(lambda: len(room.asked) == 2)
        imports.stop(5.0)
        assert radarr.scanned == second.scanned == ["/data/completed/File 1.mkv"]
    assert room.asked == {(1, "Radarr"), (1, "Radarr4K")}


def test_a_server_that_is_down_does_not_stop_another_and_gets_everything_when_it_is_back(
    build: Build, radarr: FakeArr, sonarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    radarr.go_down()
    imports = build(Radarr=radarr, Sonarr=sonarr)
    hand_over(imports, MOVIES, MOVIES, TV)
    eventually(lambda: room.asked == {(3, "Sonarr")})
    eventually(lambda: words(room, 1) and words(room, 2))
    radarr.come_back()
    eventually(lambda: room.asked >= {(1, "Radarr"), (2, "Radarr")})
    assert sorted(radarr.scanned) == [f"/data/completed/File {number}.mkv" for number in (1, 2)]


def test_a_server_that_hangs_does_not_stop_another(
    build: Build, radarr: FakeArr, sonarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    with radarr.hanging():
        imports = build(Radarr=radarr, Sonarr=sonarr)
        hand_over(imports, MOVIES, TV)
        radarr.wait_for_requests(1)
        eventually(lambda: room.asked == {(2, "Sonarr")})
    eventually(lambda: (1, "Radarr") in room.asked)


@pytest.mark.fault("A1")
def test_a_starting_server_with_a_proxy_page_is_waited_for(
    build: Build, radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    imports = build(Radarr=radarr)
    with radarr.answering(503, "<html>starting</html>"):
        hand_over(imports, MOVIES)
        eventually(lambda: words(room) == "Radarr cannot take the import now (503)")
    eventually(lambda: room.asked == {(1, "Radarr")})


def test_files_submitted_before_the_start_are_sent_by_it(
    radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, KEY))
    imports = Imports([client], room.records)
    hand_over(imports, MOVIES)
    assert radarr.requests == []
    imports.start()
    eventually(lambda: room.asked == {(1, "Radarr")})
    assert imports.stop(5.0)
    client.close()


def test_stop_returns_quickly_while_a_request_hangs(
    build: Build, radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    with radarr.hanging():
        imports = build(Radarr=radarr)
        hand_over(imports, MOVIES)
        radarr.wait_for_requests(1)
        began = time.monotonic()
        assert imports.stop(5.0)
        assert time.monotonic() - began < 2.0
    assert (room.asked, words(room)) == (set(), None)
    assert not [one for one in threading.enumerate() if one.name == "import-Radarr"]


def test_stop_returns_quickly_while_the_server_is_down(
    radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    radarr.go_down()
    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, KEY))
    imports = Imports([client], room.records, Pauses(600.0, 900.0))
    imports.start()
    hand_over(imports, MOVIES)
    eventually(lambda: words(room))
    assert imports.stop(5.0)
    client.close()


def test_a_retry_ends_a_request_that_hangs_and_asks_anew(
    build: Build, radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    imports = build(Radarr=radarr)
    with radarr.hanging():
        hand_over(imports, MOVIES)
        radarr.wait_for_requests(1)
        imports.retry(room.row(1))
        radarr.wait_for_requests(2)
    eventually(lambda: room.asked == {(1, "Radarr")})
    assert len(radarr.scanned) == 1


def test_a_server_no_longer_configured_is_skipped_and_forgotten(
    build: Build, radarr: FakeArr, caplog: pytest.LogCaptureFixture, room: Room
) -> None:
    imports = build(Radarr=radarr)
    imports.tell(room.finished(servers=["Gone", "Radarr"]))
    eventually(lambda: room.asked == {(1, "Radarr")})
    assert [each.server for each in room.records.handovers.open()] == ["Radarr"]


def test_the_key_is_in_no_log_line_and_no_sentence(
    build: Build,
    radarr: FakeArr,
    caplog: pytest.LogCaptureFixture,
    room: Room,
    hand_over: Callable[..., None],
) -> None:
    caplog.set_level(logging.DEBUG)
    imports = build(Radarr=radarr)
    with radarr.answering(500, {"message": f"your key {KEY}"}):
        hand_over(imports, MOVIES)
        said = str(eventually(lambda: words(room)))
    radarr.go_down()
    radarr.come_back()
    eventually(lambda: room.asked == {(1, "Radarr")})
    assert KEY not in caplog.text + said
    assert KEY not in "".join(request.path for request in radarr.requests)
    assert {request.headers["X-Api-Key"] for request in radarr.requests} == {KEY}


def test_a_thread_that_gets_no_connection_tries_again(
    build: Build,
    radarr: FakeArr,
    room: Room,
    hand_over: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[str] = []
    connect = Database.connection

    @contextlib.contextmanager
    def connection(database: Database) -> Iterator[None]:
        opened.append("open")
        if len(opened) == 1:
            raise StorageError("the database is locked")
        with connect(database):
            yield
        opened.append("closed")

    monkeypatch.setattr(Database, "connection", connection)
    imports = build(Radarr=radarr)
    hand_over(imports, MOVIES)
    eventually(lambda: room.asked == {(1, "Radarr")})
    assert imports.stop(5.0)
    assert opened == ["open", "open", "closed"]
    assert "the database is locked" in caplog.text


def test_sixty_files_reach_a_server_that_comes_back(
    build: Build, radarr: FakeArr, room: Room, hand_over: Callable[..., None]
) -> None:
    radarr.go_down()
    imports = build(Radarr=radarr)
    hand_over(imports, *[MOVIES] * 60)
    radarr.come_back()
    eventually(lambda: len(room.asked) == 60)
    assert len(radarr.scanned) == len(set(radarr.scanned)) == 60
