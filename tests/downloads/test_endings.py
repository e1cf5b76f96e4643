"""What the end of a download does (issue lines 6, 15, 16): stub, *arr, claims, the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from jack.config.model import ServerConfig, ServerType
from jack.config.secret import Secret
from jack.errors import StorageError
from jack.model import DownloadStatus, WaitReason
from tests.downloads.world import World, held
from tests.support.fake_arr import FakeArr
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(256)) * 40
ITEM = "c:movie:1"
PATH = file_path(ITEM)


def server(name: str, arr: FakeArr) -> ServerConfig:
    return ServerConfig(name, ServerType(arr.kind), arr.url, Secret(arr.api_key))


# -- who owns a file -------------------------------------------------------------------------------


def test_line_6_a_destination_has_one_owner_until_that_one_settles(running: World) -> None:
    peer, downloads = running.friend(), running.downloads
    first = running.row_of(peer, 1, filename="film.mkv")
    running.row_of(peer, 2, filename="film.mkv", blocked_by=first.id)
    assert downloads.owner(first.dest_path) == first.id
    with pytest.raises(StorageError):
        running.row_of(peer, 3, filename="film.mkv")
    downloads.fail(first.id, "gone")
    assert downloads.owner(first.dest_path) is None
    downloads.unblock(2)
    assert downloads.owner(first.dest_path) == 2


# -- one destination, several stubs ----------------------------------------------------------------


def test_line_6_two_stubs_for_one_file_share_no_part_and_both_complete(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=100, gate=gate))
    running.start()
    running.drop(peer, ITEM, "a")
    running.until(S.DOWNLOADING, 1)
    running.drop(peer, ITEM, "b")
    row = running.until(S.WAITING, 2, wait_reason=WaitReason.BLOCKED)
    assert row.blocked_by == 1
    assert running.why(2).startswith("Waiting for download 1, which writes the same file")
    gate.set()
    running.until(S.COMPLETED, 1)
    running.until(S.COMPLETED, 2, attempts=0)
    assert len(peer.requests_to(PATH)) == 1, "the file is adopted, not fetched again"
    assert (running.completed / "film.mkv").read_bytes() == FILM
    eventually(lambda: list(running.watch.glob("*.torrent")) == [])


def test_line_6_several_that_wait_go_on_one_after_the_other(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, held(gate, Answer(404)))
    peer.script(PATH, Answer(404), Answer(404))
    running.start()
    for name in "abcd":
        running.drop(peer, ITEM, name)
    for number in (2, 3, 4):
        running.until(S.WAITING, number, wait_reason=WaitReason.BLOCKED)
    gate.set()
    for number in (1, 2, 3):
        running.until(S.FAILED, number)
    running.until(S.COMPLETED, 4)
    eventually(lambda: running.parked == ["a.torrent", "b.torrent", "c.torrent"])


def test_line_6_another_friends_file_of_that_name_is_never_replaced(running: World) -> None:
    first, second = running.friend("first"), running.friend("second")
    first.offer(ITEM, FILM, filename="film.mkv")
    second.offer(ITEM, FILM[::-1], filename="film.mkv")
    running.start()
    running.drop(first, name="a")
    running.until(S.COMPLETED, 1)
    running.drop(second, name="b")
    row = running.until(S.FAILED, 2)
    assert (running.completed / "film.mkv").read_bytes() == FILM
    assert "film.mkv" in (row.error or "")
    eventually(lambda: running.parked == ["b.torrent"])


def test_a_file_that_our_row_made_is_adopted_when_it_is_grabbed_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer, name="a")
    running.until(S.COMPLETED, 1)
    running.drop(peer, name="b")
    running.until(S.COMPLETED, 2)
    assert len(peer.requests_to(PATH)) == 1


def test_a_file_that_arr_has_moved_away_is_fetched_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer, name="a")
    running.until(S.COMPLETED, 1).dest_path.unlink()
    running.drop(peer, name="b")
    running.until(S.COMPLETED, 2)
    assert len(peer.requests_to(PATH)) == 2


@pytest.mark.fault("W10")
def test_line_6_the_same_stub_name_with_other_content_is_another_grab(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="one.mkv", title="One")
    peer.offer("c:movie:2", FILM, filename="two.mkv", title="Two")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=100, gate=gate))
    running.start()
    running.drop(peer, ITEM, "a")
    running.until(S.DOWNLOADING, 1)
    running.drop(peer, "c:movie:2", "a")
    running.until(S.COMPLETED, 2)
    gate.set()
    running.until(S.COMPLETED, 1)
    eventually(lambda: list(running.watch.glob("*.torrent")) == [])


# -- after success ---------------------------------------------------------------------------------


@pytest.mark.fault("W15")
def test_line_15_the_stub_goes_and_only_the_right_server_is_told(running: World) -> None:
    with FakeArr("radarr") as radarr, FakeArr("sonarr") as sonarr:
        running.servers = (server("Radarr", radarr), server("Sonarr", sonarr))
        peer = running.friend()
        peer.offer(ITEM, FILM, filename="film.mkv")
        peer.offer("c:episode:1", FILM, filename="episode.mkv", category=5000, title="E")
        running.start()
        stub = running.drop(peer)
        row = running.until(S.IMPORT_QUEUED)
        assert radarr.scanned == [str(row.dest_path)]
        assert sonarr.scanned == []
        assert not stub.exists()
        running.drop(peer, "c:episode:1", "e")
        running.until(S.IMPORT_QUEUED, 2)
        assert sonarr.scanned == [str(running.completed / "episode.mkv")]
        assert len(radarr.scanned) == 1
        running.stop()


@pytest.mark.fault("A1")
def test_line_15_a_server_that_is_down_is_told_later_and_fails_nothing(stepped: World) -> None:
    with FakeArr("radarr") as radarr:
        stepped.servers = (server("Radarr", radarr),)
        radarr.go_down()
        peer = stepped.friend()
        peer.offer(ITEM, FILM)
        stepped.start()
        stub = stepped.drop(peer)
        stepped.until(S.COMPLETED)
        eventually(lambda: stepped.row().error)
        assert not stub.exists()
        assert "Radarr" in stepped.why()
        stepped.stop()
        radarr.come_back()
        stepped.start()
        stepped.until(S.IMPORT_QUEUED)
        stepped.stop()
        assert len(radarr.scanned) == 1


def test_line_15_every_server_of_the_category_is_told_also_after_a_restart(
    running: World,
) -> None:
    with FakeArr("radarr") as one, FakeArr("radarr") as two:
        running.servers = (server("One", one), server("Two", two))
        two.go_down()
        peer = running.friend()
        peer.offer(ITEM, FILM)
        running.start()
        running.drop(peer)
        running.until(S.IMPORT_QUEUED)
        running.stop()
        two.come_back()
        running.start()
        two.wait_for_commands(1)
        running.stop()
        assert len(one.scanned) == 1
        # And a server that has left the config is not asked for any more.
        running.servers = (server("One", one),)
        running.start()
        running.stop()
        assert len(one.scanned) == 1


def test_line_15_a_server_removed_from_the_config_is_forgotten(running: World) -> None:
    with FakeArr("radarr") as one, FakeArr("radarr") as two:
        running.servers = (server("One", one), server("Two", two))
        two.go_down()
        peer = running.friend()
        peer.offer(ITEM, FILM)
        running.start()
        running.drop(peer)
        running.until(S.IMPORT_QUEUED)
        running.stop()
        running.servers = running.servers[:1]
        running.start()
        running.stop()
        two.come_back()
        running.servers = (server("One", one), server("Two", two))
        running.start()
        running.stop()
        assert two.requests == []


def test_line_15_without_a_server_the_row_and_the_log_say_where_the_file_stays(
    running: World, lines: Callable[[], list[str]]
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM)
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    assert "no Radarr with destination: true" in running.why()
    eventually(lambda: any("stays at" in line for line in lines()))


# -- after failure ---------------------------------------------------------------------------------


def failing_half_way(peer: ScriptedPeer) -> None:
    """The first attempt brings 4000 bytes, the second one ends it."""
    peer.offer(ITEM, FILM, filename="film.mkv", etag='"v1"')
    peer.script(PATH, lambda request: replace(peer.honest(request), cut_after=4000), Answer(410))


def test_line_16_a_failure_keeps_the_part_and_parks_the_stub(
    running: World, lines: Callable[[], list[str]]
) -> None:
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    row = running.until(S.FAILED)
    assert row.part_path.stat().st_size == row.downloaded_bytes == 4000
    assert "HTTP 410" in (row.error or "")
    eventually(lambda: running.parked == ["a.torrent"])
    eventually(lambda: not (running.watch / "a.torrent").exists())
    assert any("jack retry 1" in line for line in lines())


def test_line_16_the_stub_dropped_again_goes_on_from_the_durable_offset(running: World) -> None:
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    running.drop_again(running.watch / "failed" / "a.torrent")
    row = running.until(S.COMPLETED)
    assert [request.range for request in peer.requests_to(PATH)] == [
        None,
        "bytes=4000-",
        "bytes=4000-",
    ]
    assert row.dest_path.read_bytes() == FILM
    eventually(lambda: not (running.watch / "a.torrent").exists())
    assert len(running.rows()) == 1


def test_line_16_also_after_a_restart_and_with_a_fresh_stub_of_that_name(running: World) -> None:
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    running.stop()
    running.drop(peer)
    running.start()
    running.until(S.COMPLETED)
    assert peer.requests_to(PATH)[-1].range == "bytes=4000-"
    eventually(lambda: running.parked == [], what="removal of the copy parked before")


@pytest.mark.fault("D18")
def test_line_16_a_stub_that_cannot_be_parked_does_not_come_in_again_by_itself(
    running: World,
) -> None:
    running.watch.mkdir()
    (running.watch / "failed").write_text("a file in the folder's place")
    peer = running.friend()
    peer.offer(ITEM, FILM)
    peer.always(PATH, Answer(404))
    running.start()
    stub = running.drop(peer)
    running.until(S.FAILED)
    running.stop()
    running.start()
    running.look()
    side = running.side
    eventually(lambda: side is not None and "a.torrent" in side._intake._known)
    running.stop()
    assert stub.exists()
    assert len(peer.requests_to(PATH)) == 1
    assert len(running.rows()) == 1


def test_line_16_another_grab_of_the_same_file_takes_the_part_over(running: World) -> None:
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    running.drop(peer, name="b")
    running.until(S.COMPLETED, 2)
    old = running.row(1)
    assert (old.status, old.downloaded_bytes) == (S.FAILED, 0)
    assert "download 2 has since taken over its file" in (old.error or "")


def test_line_6_two_failures_on_one_file_never_go_on_from_each_others_bytes(
    running: World,
) -> None:
    """Without an ETag nothing but the rows tells whose bytes lie in the .part."""
    peer = running.friend()
    other = "c:movie:2"
    films = {ITEM: FILM, other: bytes(len(FILM))}
    for item, body in films.items():
        peer.offer(item, body, filename="film.mkv")
        cut = lambda request: replace(peer.honest(request), cut_after=4000)  # noqa: E731
        peer.script(file_path(item), cut, Answer(410))
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    running.drop(peer, other, name="b")
    running.until(S.FAILED, 2)
    eventually(lambda: running.parked == ["a.torrent", "b.torrent"])
    assert [running.row(number).downloaded_bytes for number in (1, 2)] == [0, 4000]
    running.drop_again(running.watch / "failed" / "a.torrent")
    running.until(S.COMPLETED)
    assert running.row(1).dest_path.read_bytes() == FILM
    assert running.row(2).downloaded_bytes == 0


def test_line_16_a_stub_dropped_again_while_its_file_has_another_owner_waits(
    running: World,
) -> None:
    peer, gate = running.friend(), threading.Event()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    peer.script(PATH, Answer(200, {}, FILM, pause_at=10, gate=gate))
    running.drop(peer, name="b")
    running.until(S.DOWNLOADING, 2)
    running.drop_again(running.watch / "failed" / "a.torrent")
    running.until(S.WAITING, 3, wait_reason=WaitReason.BLOCKED)
    gate.set()
    running.until(S.COMPLETED, 2)
    running.until(S.COMPLETED, 3)


# -- wishes ----------------------------------------------------------------------------------------


@pytest.fixture
def wished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jack.download_side.WISH_LOOK_SECONDS", 0.02)


@pytest.mark.fault("R7")
@pytest.mark.usefixtures("wished")
def test_cancel_stops_a_running_download_and_removes_its_part(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=5000, gate=gate))
    running.start()
    running.drop(peer)
    part = running.completed / "film.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 5000)
    running.downloads.ask(1, "cancel")
    row = running.until(S.CANCELLED)
    eventually(lambda: not part.exists())
    eventually(lambda: running.parked == ["a.torrent"])
    assert row.error == "cancelled by the user"
    eventually(lambda: running.downloads.wish_of(1) is None)
    running.downloads.ask(1, "retry")
    running.until(S.COMPLETED)
    eventually(lambda: running.parked == [])


@pytest.mark.fault("R7")
@pytest.mark.usefixtures("wished")
def test_cancel_reaches_one_that_waits_and_lets_the_next_one_go_on(running: World) -> None:
    running.settings |= {"retry_base_delay_seconds": 3600.0, "retry_max_delay_seconds": 3600.0}
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(500))
    running.start()
    running.drop(peer, name="a")
    running.until(S.WAITING, 1, wait_reason=WaitReason.RETRY)
    running.drop(peer, name="b")
    running.until(S.WAITING, 2, wait_reason=WaitReason.BLOCKED)
    running.downloads.ask(1, "cancel")
    running.until(S.CANCELLED, 1)
    running.until(S.COMPLETED, 2)


@pytest.mark.usefixtures("wished")
def test_retry_puts_a_waiting_and_a_failed_download_to_work_now(running: World) -> None:
    running.settings |= {"retry_base_delay_seconds": 3600.0, "retry_max_delay_seconds": 3600.0}
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.WAITING)
    running.downloads.ask(1, "retry")
    running.until(S.FAILED)
    running.downloads.ask(1, "retry")
    row = running.until(S.COMPLETED)
    assert row.attempts == 3
    assert peer.requests_to(PATH)[-1].range == "bytes=4000-"


@pytest.mark.usefixtures("wished")
def test_retry_of_what_is_complete_only_tells_arr_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    eventually(lambda: running.row().error)
    running.downloads.ask(1, "retry")
    eventually(lambda: running.downloads.wish_of(1) is None)
    running.downloads.ask(99, "retry")
    running.drop(peer, name="b")
    running.until(S.COMPLETED, 2)
    assert len(peer.requests_to(PATH)) == 1


@pytest.mark.usefixtures("wished")
def test_retry_of_a_failed_one_whose_file_is_being_written_does_nothing(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    peer.script(PATH, Answer(200, {}, FILM, pause_at=10, gate=gate))
    running.drop(peer, name="b")
    running.until(S.DOWNLOADING, 2)
    running.downloads.ask(1, "retry")
    eventually(lambda: running.downloads.wish_of(1) is None)
    assert running.row(1).status is S.FAILED
    gate.set()
    running.until(S.COMPLETED, 2)
