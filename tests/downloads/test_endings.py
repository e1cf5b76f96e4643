"""What the end of a download does: stub, *arr, claims, the next one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from jack.config.schema import ServerConfig, ServerType
from jack.config.secret import Secret
from jack.errors import StorageError
from jack.model import DownloadStatus, WaitReason, connector_id
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


def test_a_destination_has_one_owner_until_that_one_settles(running: World) -> None:
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


def test_two_stubs_for_one_file_share_no_part_and_both_complete(running: World) -> None:
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


def test_several_that_wait_for_one_file_go_on_one_after_the_other(running: World) -> None:
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


@pytest.mark.parametrize("kind", ["another friend", "another item", "somebody's own"])
def test_a_file_whose_name_is_taken_arrives_under_a_second_one(running: World, kind: str) -> None:
    first, second = running.friend("first"), running.friend("second")
    item = "c:movie:2" if kind == "another item" else ITEM
    friend = first if kind == "another item" else second
    first.offer(ITEM, FILM, filename="film.mkv", etag='"v1"')
    friend.offer(item, FILM[::-1], filename="film.mkv", etag='"v1"')
    running.start()
    if kind == "somebody's own":
        (running.completed / "film.mkv").write_bytes(FILM)
        running.downloads.fail(running.row_of(first).id, "so that numbers are the same")
    else:
        running.drop(first, name="a")
        running.until(S.COMPLETED, 1)
    running.drop(friend, item, name="b")
    row = running.until(S.COMPLETED, 2)
    assert (running.completed / "film.mkv").read_bytes() == FILM
    assert row.dest_path.name == second_name(friend, item)
    assert row.dest_path.read_bytes() == FILM[::-1]


def test_two_items_of_one_name_arrive_at_the_same_time(running: World) -> None:
    peer, gate, other = running.friend(), threading.Event(), "c:movie:2"
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.offer(other, FILM[::-1], filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=100, gate=gate))
    running.start()
    running.drop(peer, ITEM, "a")
    running.until(S.DOWNLOADING, 1)
    running.drop(peer, other, "b")
    row = running.until(S.COMPLETED, 2)
    assert row.dest_path.name == second_name(peer, other)
    assert row.dest_path.read_bytes() == FILM[::-1]
    assert running.row(1).status is S.DOWNLOADING, "the second did not wait for the first"
    gate.set()
    assert running.until(S.COMPLETED, 1).dest_path == running.completed / "film.mkv"
    assert (running.completed / "film.mkv").read_bytes() == FILM


@pytest.mark.parametrize("running_jack", [True, False])
def test_a_retry_leaves_the_name_to_another_item_that_has_it_now(
    running: World, running_jack: bool
) -> None:
    peer, gate, other = running.friend(), threading.Event(), "c:movie:2"
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.offer(other, FILM[::-1], filename="film.mkv", etag='"v1"')
    peer.script(PATH, Answer(410))
    peer.script(file_path(other), lambda r: replace(peer.honest(r), pause_at=100, gate=gate))
    running.start()
    running.drop(peer, ITEM, "a")
    running.until(S.FAILED, 1)
    running.drop(peer, other, "b")
    running.until(S.DOWNLOADING, 2)
    if running_jack:
        running.steer("retry")
    else:
        running.stop()
        running.steer("retry")
        running.start()
    row = running.until(S.COMPLETED, 1)
    assert row.dest_path.name == second_name(peer, ITEM)
    assert row.dest_path.read_bytes() == FILM
    gate.set()
    assert running.until(S.COMPLETED, 2).dest_path == running.completed / "film.mkv"


def test_a_name_that_is_taken_while_bytes_flow_costs_none_of_them(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=5000, gate=gate))
    running.start()
    running.drop(peer)
    part = running.completed / "film.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 5000)
    (running.completed / "film.mkv").write_bytes(b"mine")
    gate.set()
    row = running.until(S.COMPLETED)
    assert row.dest_path.name == second_name(peer, ITEM)
    assert row.dest_path.read_bytes() == FILM
    assert (running.completed / "film.mkv").read_bytes() == b"mine"
    assert row.attempts == 1
    assert sorted(path.name for path in running.completed.iterdir()) == sorted(
        ["film.mkv", row.dest_path.name]
    )


@pytest.mark.parametrize("theirs", [b"", b"mine" * 9000])
def test_a_part_of_that_name_that_this_download_did_not_make_is_left_alone(
    running: World, theirs: bytes
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    part = running.completed / "film.mkv.part"
    part.write_bytes(theirs)
    running.drop(peer)
    row = running.until(S.COMPLETED)
    assert row.dest_path.name == second_name(peer, ITEM)
    assert part.read_bytes() == theirs


def test_a_third_copy_of_one_item_has_a_name_as_well(running: World) -> None:
    """Each time the friend had changed the file: nothing may be adopted."""
    peer = running.friend()
    running.start()
    for number, name in enumerate("abc", 1):
        peer.offer(ITEM, FILM[number:], filename="film.mkv", etag=f'"v{number}"')
        running.drop(peer, name=name)
        running.until(S.COMPLETED, number)
    mark = second_name(peer, ITEM)
    found = sorted(path.name for path in running.completed.iterdir())
    assert found == sorted(["film.mkv", mark, mark.replace(".mkv", ".2.mkv")])


def test_a_file_that_our_row_made_is_adopted_when_it_is_grabbed_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv", etag='"v1"')
    running.start()
    running.drop(peer, name="a")
    running.until(S.COMPLETED, 1)
    running.drop(peer, name="b")
    assert running.until(S.COMPLETED, 2).dest_path == running.row(1).dest_path
    assert [request.sent for request in peer.requests_to(PATH)] == [len(FILM)]


@pytest.mark.parametrize("etags", [('"v1"', '"v2"'), (None, None), ('W/"v1"', 'W/"v1"')])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_file_of_that_name_and_size_is_not_the_same_without_the_same_strong_etag(
    running: World, etags: tuple[str | None, str | None], meanwhile: bool
) -> None:
    """Also while the first is under way, when the friend says another date of it."""
    peer, gate = running.friend(), threading.Event()
    old, new = FILM, FILM[::-1]
    peer.offer(ITEM, old, filename="film.mkv", etag=etags[0], publishDate="2020-01-01")
    if meanwhile:
        peer.script(PATH, lambda r: replace(peer.honest(r), pause_at=100, gate=gate))
    running.start()
    running.drop(peer, name="a")
    running.until(S.DOWNLOADING if meanwhile else S.COMPLETED, 1)
    eventually(lambda: peer.requests_to(PATH))
    peer.offer(ITEM, new, filename="film.mkv", etag=etags[1], publishDate="2021-01-01")
    running.drop(peer, name="b")
    if meanwhile:
        running.until(S.WAITING, 2, wait_reason=WaitReason.BLOCKED)
    gate.set()
    running.until(S.COMPLETED, 1)
    row = running.until(S.COMPLETED, 2)
    assert (running.completed / "film.mkv").read_bytes() == old
    assert row.dest_path.name == second_name(peer, ITEM)
    assert row.dest_path.read_bytes() == new


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
def test_the_same_stub_name_with_other_content_is_another_grab(running: World) -> None:
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
def test_the_stub_goes_and_only_the_right_server_is_told(running: World) -> None:
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
def test_a_server_that_is_down_is_told_later_and_fails_nothing(stepped: World) -> None:
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


def test_every_server_of_the_category_is_told_also_after_a_restart(
    running: World,
) -> None:
    with FakeArr("radarr") as one, FakeArr("radarr") as two:
        running.servers = (server("One", one), server("Two", two))
        two.go_down()
        peer = running.friend()
        peer.offer(ITEM, FILM)
        running.start()
        running.drop(peer)
        running.until(S.COMPLETED)
        eventually(lambda: running.row().error)
        running.stop()
        assert one.scanned == [], "the other one may have grabbed it"
        two.come_back()
        running.start()
        two.wait_for_commands(1)
        one.wait_for_commands(1)
        running.stop()
        assert len(one.scanned) == 1
        # And a server that has left the config is not asked for any more.
        running.servers = (server("One", one),)
        running.start()
        running.stop()
        assert len(one.scanned) == 1


def test_a_server_removed_from_the_config_is_forgotten(running: World) -> None:
    with FakeArr("radarr") as one, FakeArr("radarr") as two:
        running.servers = (server("One", one), server("Two", two))
        two.go_down()
        peer = running.friend()
        peer.offer(ITEM, FILM)
        running.start()
        running.drop(peer)
        running.until(S.COMPLETED)
        eventually(lambda: running.row().error)
        running.stop()
        running.servers = running.servers[:1]
        running.start()
        running.until(S.IMPORT_QUEUED)
        running.stop()
        two.come_back()
        running.servers = (server("One", one), server("Two", two))
        running.start()
        running.stop()
        assert two.scanned == []


def test_without_a_server_the_row_and_the_log_say_where_the_file_stays(
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


def test_a_failure_keeps_the_part_and_parks_the_stub(
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
    eventually(lambda: any("jack retry 1" in line for line in lines()))


def test_the_stub_dropped_again_goes_on_from_the_durable_offset(running: World) -> None:
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


def test_after_a_restart_a_fresh_stub_of_that_name_goes_on_from_the_durable_offset(
    running: World,
) -> None:
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
def test_a_stub_that_cannot_be_parked_does_not_come_in_again_by_itself(
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
    running.drop("http://nobody", name="b")
    running.start()
    eventually(running.waiting_stubs, what="a look at the stub that was dropped after it")
    running.stop()
    assert stub.exists()
    assert len(peer.requests_to(PATH)) == 1
    assert len(running.rows()) == 1


def second_name(peer: ScriptedPeer, item: str, stem: str = "film", extension: str = ".mkv") -> str:
    """What users are promised: the first 8 hex digits of sha256("peerId:itemId")."""
    text = f"{connector_id(peer.url)}:{item}"
    return f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:8]}{extension}"


def test_another_grab_of_a_file_that_failed_half_way_leaves_the_half_alone(
    running: World,
) -> None:
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked == ["a.torrent"])
    running.drop(peer, name="b")
    row = running.until(S.COMPLETED, 2)
    assert row.dest_path.name == second_name(peer, ITEM)
    old = running.row(1)
    assert (old.status, old.downloaded_bytes) == (S.FAILED, 4000)
    running.drop_again(running.watch / "failed" / "a.torrent")
    running.until(S.COMPLETED, 1)
    assert peer.requests_to(PATH)[-1].range == "bytes=4000-"
    assert (running.completed / "film.mkv").read_bytes() == FILM


def test_two_failures_of_one_name_never_go_on_from_each_others_bytes(
    running: World,
) -> None:
    """Without an ETag nothing but the inode tells whose bytes lie in a .part."""
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
    assert [running.row(number).downloaded_bytes for number in (1, 2)] == [4000, 4000]
    for name in "ab":
        running.drop_again(running.watch / "failed" / f"{name}.torrent")
    running.until(S.COMPLETED, 1)
    running.until(S.COMPLETED, 2)
    assert (running.completed / "film.mkv").read_bytes() == FILM
    assert (running.completed / second_name(peer, other)).read_bytes() == films[other]


# -- steering --------------------------------------------------------------------------------------


@pytest.mark.fault("R7")
def test_cancel_stops_a_running_download_and_removes_its_part(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=5000, gate=gate))
    running.start()
    running.drop(peer)
    part = running.completed / "film.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 5000)
    running.steer("cancel")
    row = running.until(S.CANCELLED)
    eventually(lambda: not part.exists())
    eventually(lambda: running.parked == ["a.torrent"])
    assert row.error == "cancelled by the user"
    running.steer("retry")
    running.until(S.COMPLETED)
    eventually(lambda: running.parked == [])


@pytest.mark.fault("R7")
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
    running.steer("cancel")
    running.until(S.CANCELLED, 1)
    running.until(S.COMPLETED, 2)


def test_retry_puts_a_waiting_and_a_failed_download_to_work_now(running: World) -> None:
    running.settings |= {"retry_base_delay_seconds": 3600.0, "retry_max_delay_seconds": 3600.0}
    peer = running.friend()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.WAITING)
    running.steer("retry")
    running.until(S.FAILED)
    running.steer("retry")
    row = running.until(S.COMPLETED)
    assert row.attempts == 3
    assert peer.requests_to(PATH)[-1].range == "bytes=4000-"


def test_retry_of_what_is_complete_only_tells_arr_again(running: World) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    eventually(lambda: running.row().error)
    running.steer("retry")
    running.steer("retry", 99)
    assert len(peer.requests_to(PATH)) == 1


def test_a_retry_of_a_failed_one_disturbs_no_other_download_of_that_name(running: World) -> None:
    peer, gate = running.friend(), threading.Event()
    failing_half_way(peer)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    peer.script(PATH, Answer(200, {}, FILM, pause_at=10, gate=gate))
    running.drop(peer, name="b")
    running.until(S.DOWNLOADING, 2)
    eventually(lambda: peer.requests_to(PATH)[-1].sent == 10)
    running.steer("retry")
    running.until(S.COMPLETED, 1)
    gate.set()
    running.until(S.COMPLETED, 2)
