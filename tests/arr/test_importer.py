"""Importer: the right servers, in threads that do not disturb each other, over real HTTP."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jack.arr.client import ArrClient, ArrServer
from jack.arr.imports import Handover, Importer
from jack.errors import StorageError
from jack.model import MOVIES, TV
from jack.support.clock import SystemClock
from tests.arr.conftest import MemoryJournal
from tests.support.fake_arr import FakeArr

KEY = "K-SENTINEL-0123456789abcdef"
Build = Callable[..., Importer]


@pytest.fixture
def radarr() -> Iterator[FakeArr]:
    with FakeArr("radarr", api_key=KEY) as fake:
        yield fake


@pytest.fixture
def sonarr() -> Iterator[FakeArr]:
    with FakeArr("sonarr", api_key=KEY) as fake:
        yield fake


@pytest.fixture
def build(journal: MemoryJournal) -> Iterator[Build]:
    """Makes an importer over named fakes; both are ended after the test."""
    with contextlib.ExitStack() as stack:

        def make(**fakes: FakeArr) -> Importer:
            clients = [
                ArrClient(ArrServer(name, fake.kind, fake.url, KEY, {}, (("/volume1", "/data"),)))
                for name, fake in fakes.items()
            ]
            importer = Importer(clients, journal, SystemClock(), 0.02, 0.1)
            for client in clients:
                stack.callback(client.close)
            stack.callback(importer.stop, 5.0)
            importer.start()
            return importer

        yield make


def hand_over(importer: Importer, *handovers: Handover) -> None:
    for one in handovers:
        importer.submit(one, importer.servers_for(one.category))


def test_a_movie_goes_only_to_radarr_and_an_episode_only_to_sonarr(
    build: Build,
    radarr: FakeArr,
    sonarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
) -> None:
    importer = build(Radarr=radarr, Sonarr=sonarr)
    hand_over(importer, file(1, MOVIES), file(2, TV))
    journal.wait_for(lambda: len(journal.taken) == 2)
    assert radarr.scanned == ["/data/completed/File 1.mkv"]
    assert sonarr.scanned == ["/data/completed/File 2.mkv"]
    assert radarr.commands[0]["name"] == "DownloadedMoviesScan"
    assert sonarr.commands[0]["name"] == "DownloadedEpisodesScan"
    assert "downloadClientId" not in radarr.commands[0]["body"]
    assert journal.pairs == {(1, "Radarr"), (2, "Sonarr")}


def test_sub_categories_follow_their_thousand_and_others_go_nowhere(
    build: Build, radarr: FakeArr, sonarr: FakeArr
) -> None:
    importer = build(Radarr=radarr, Sonarr=sonarr)
    assert importer.servers_for(2040) == ["Radarr"]
    assert importer.servers_for(5030) == ["Sonarr"]
    assert importer.servers_for(3000) == []


def test_two_radarrs_both_get_the_movie(
    build: Build, radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    with FakeArr("radarr", api_key=KEY) as second:
        importer = build(Radarr=radarr, Radarr4K=second)
        hand_over(importer, file(1))
        journal.wait_for(lambda: len(journal.taken) == 2)
        importer.stop(5.0)
        assert radarr.scanned == second.scanned == ["/data/completed/File 1.mkv"]
    assert journal.pairs == {(1, "Radarr"), (1, "Radarr4K")}


def test_a_server_that_is_down_does_not_stop_another_and_gets_everything_when_it_is_back(
    build: Build,
    radarr: FakeArr,
    sonarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
) -> None:
    radarr.go_down()
    importer = build(Radarr=radarr, Sonarr=sonarr)
    hand_over(importer, file(1), file(2), file(3, TV))
    journal.wait_for(lambda: journal.pairs == {(3, "Sonarr")})
    journal.wait_for(lambda: {number for number, *_ in journal.put_off} == {1, 2})
    radarr.come_back()
    journal.wait_for(lambda: journal.pairs >= {(1, "Radarr"), (2, "Radarr")})
    assert sorted(radarr.scanned) == [f"/data/completed/File {number}.mkv" for number in (1, 2)]


def test_a_server_that_hangs_does_not_stop_another(
    build: Build,
    radarr: FakeArr,
    sonarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
) -> None:
    with radarr.hanging():
        importer = build(Radarr=radarr, Sonarr=sonarr)
        hand_over(importer, file(1), file(2, TV))
        radarr.wait_for_requests(1)
        journal.wait_for(lambda: journal.pairs == {(2, "Sonarr")})
    journal.wait_for(lambda: (1, "Radarr") in journal.pairs)


@pytest.mark.fault("A1")
def test_a_starting_server_with_a_proxy_page_is_waited_for(
    build: Build, radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    importer = build(Radarr=radarr)
    with radarr.answering(503, "<html>starting</html>"):
        hand_over(importer, file(1))
        journal.wait_for(lambda: bool(journal.put_off))
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr")})
    assert journal.put_off[0][2] == "Radarr cannot take the import now (503)"


def test_files_submitted_before_the_start_are_sent_by_it(
    radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, KEY))
    importer = Importer([client], journal, SystemClock())
    hand_over(importer, file(1))
    assert radarr.requests == []
    importer.start()
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr")})
    assert importer.stop(5.0)
    client.close()


def test_stop_returns_quickly_while_a_request_hangs(
    build: Build, radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    with radarr.hanging():
        importer = build(Radarr=radarr)
        hand_over(importer, file(1))
        radarr.wait_for_requests(1)
        began = time.monotonic()
        assert importer.stop(5.0)
        assert time.monotonic() - began < 2.0
    assert (journal.taken, journal.put_off) == ([], [])
    assert not [one for one in threading.enumerate() if one.name == "import-Radarr"]


def test_stop_returns_quickly_while_the_server_is_down(
    radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    radarr.go_down()
    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, KEY))
    importer = Importer([client], journal, SystemClock(), 600.0, 900.0)
    importer.start()
    hand_over(importer, file(1))
    journal.wait_for(lambda: bool(journal.put_off))
    assert importer.stop(5.0)
    client.close()


def test_a_withdrawn_file_frees_the_lane_from_a_hanging_request(
    build: Build, radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    importer = build(Radarr=radarr)
    with radarr.hanging():
        hand_over(importer, file(1))
        radarr.wait_for_requests(1)
        importer.withdraw(1)
        hand_over(importer, file(2))
        radarr.wait_for_requests(2)
    journal.wait_for(lambda: journal.pairs == {(2, "Radarr")})


def test_a_server_no_longer_configured_is_said_and_skipped(
    build: Build,
    radarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    importer = build(Radarr=radarr)
    importer.submit(file(1), ["Gone", "Radarr"])
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr")})
    assert "no server 'Gone' is configured" in caplog.text


def test_the_key_is_in_no_log_line_and_no_sentence(
    build: Build,
    radarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    importer = build(Radarr=radarr)
    with radarr.answering(500, {"message": f"your key {KEY}"}):
        hand_over(importer, file(1))
        journal.wait_for(lambda: bool(journal.put_off))
    radarr.go_down()
    radarr.come_back()
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr")})
    assert KEY not in caplog.text + repr(journal.put_off)
    assert KEY not in "".join(request.path for request in radarr.requests)
    assert {request.headers["X-Api-Key"] for request in radarr.requests} == {KEY}


def test_a_thread_whose_context_fails_is_tried_again(
    radarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[str] = []

    @contextlib.contextmanager
    def connection() -> Iterator[None]:
        opened.append("open")
        if len(opened) == 1:
            raise StorageError("the database is locked")
        yield
        opened.append("closed")

    client = ArrClient(ArrServer("Radarr", "radarr", radarr.url, KEY))
    importer = Importer([client], journal, SystemClock(), 0.02, 0.1, thread_context=connection)
    importer.start()
    hand_over(importer, file(1))
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr")})
    assert importer.stop(5.0)
    client.close()
    assert opened == ["open", "open", "closed"]
    assert "the database is locked" in caplog.text


@pytest.mark.fault("R3")
def test_a_machine_out_of_threads_gets_another_chance_with_the_next_file(
    build: Build,
    radarr: FakeArr,
    journal: MemoryJournal,
    file: Callable[..., Handover],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        importer = build(Radarr=radarr)
        hand_over(importer, file(1))
    assert "no thread for imports by Radarr yet" in caplog.text
    hand_over(importer, file(2))
    journal.wait_for(lambda: journal.pairs == {(1, "Radarr"), (2, "Radarr")})


def test_two_hundred_files_reach_a_server_that_comes_back(
    build: Build, radarr: FakeArr, journal: MemoryJournal, file: Callable[..., Handover]
) -> None:
    radarr.go_down()
    importer = build(Radarr=radarr)
    hand_over(importer, *(file(number) for number in range(200)))
    radarr.come_back()
    journal.wait_for(lambda: len(journal.pairs) == 200)
    assert len(radarr.scanned) == len(set(radarr.scanned)) == 200
