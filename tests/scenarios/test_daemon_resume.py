"""kill -9, leftovers and half-done endings: the next start finishes by itself, with right bytes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from jack.model import Download, DownloadStatus
from tests.scenarios.harness import (
    CHECKPOINT_BYTES,
    KEY,
    KIB,
    PATIENCE_SECONDS,
    Jack,
    content,
    paused,
    peer_entry,
    server_entry,
)
from tests.support.fake_arr import FakeArr
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
SIZE = 3 * 1024 * KIB


@pytest.fixture
def you(new_jack: Callable[..., Jack], peer: ScriptedPeer) -> Jack:
    return new_jack(peers=[peer_entry("friend", peer.url)])


def finished(you: Jack, body: bytes) -> None:
    """The file is byte-identical, there is one row, and nothing lies about."""
    row = you.row(1, S.COMPLETED)
    assert row.downloaded_bytes == len(body)
    assert you.file().read_bytes() == body
    assert not you.part().exists()
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stub")
    assert len(you.rows()) == 1


def trickling(peer: ScriptedPeer) -> Callable[[Request], Answer]:
    return lambda request: replace(
        peer.honest(request), piece_bytes=16 * KIB, piece_pause_seconds=0.005
    )


def received(part: Path, size: int) -> None:
    """Wait until so many bytes are in the `.part`, recorded or not."""
    eventually(lambda: part.exists() and part.stat().st_size == size, PATIENCE_SECONDS, part.name)


def near(offset: int) -> Callable[[Download], bool]:
    """All but the last checkpoint interval before `offset` is recorded."""
    return lambda row: row.downloaded_bytes > offset - CHECKPOINT_BYTES


def test_after_each_kill_the_download_goes_on_from_the_recorded_offset(
    you: Jack, peer: ScriptedPeer
) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body, etag='"v1"')
    steps = [700 * KIB, 600 * KIB + 1, 500 * KIB]
    peer.script(FILE, *(paused(peer, step) for step in steps))
    offsets = [0]
    you.drop("Film.torrent", peer.url, ITEM)
    for step in steps:
        you.start()
        you.row(1, S.DOWNLOADING, near(offsets[-1] + step))
        you.kill()
        offsets.append(you.row(1, S.DOWNLOADING).downloaded_bytes)
        assert you.part().read_bytes()[: offsets[-1]] == body[: offsets[-1]]
    you.start()
    finished(you, body)
    requests = peer.requests_to(FILE)
    assert [request.range for request in requests] == [
        None,
        *(f"bytes={offset}-" for offset in offsets[1:]),
    ]
    sent = sum(request.sent for request in requests)
    assert sent <= len(body) + len(steps) * CHECKPOINT_BYTES


def test_a_kill_before_the_first_checkpoint_leaves_a_download_that_finishes(
    you: Jack, peer: ScriptedPeer
) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body, etag='"v1"')
    peer.script(FILE, paused(peer, 0))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    eventually(lambda: peer.requests_to(FILE), PATIENCE_SECONDS, "the request")
    you.kill()
    you.start()
    finished(you, body)
    assert peer.requests_to(FILE)[-1].range is None


def test_kills_in_the_middle_of_many_downloads_lose_and_double_nothing(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, new_arr: Callable[[str], FakeArr]
) -> None:
    radarr, size = new_arr("radarr"), 160 * KIB
    you = new_jack(
        downloads={"checkpointBytes": 32 * KIB, "maxConcurrentDownloads": 2},
        peers=[peer_entry("friend", peer.url)],
        servers=[server_entry("Radarr", "radarr", radarr.url, radarr.api_key)],
    )
    bodies = {f"Film {number}.mkv": content(size, seed=number) for number in range(12)}
    for number, (name, body) in enumerate(bodies.items()):
        item = f"c:movie:{number}"
        peer.offer(item, body, filename=name)
        peer.always(file_path(item), trickling(peer))
        you.drop(f"{number}.torrent", peer.url, item)

    def count(status: DownloadStatus) -> int:
        return sum(row.status is status for row in you.rows())

    for so_far in (3, 6, 9):
        you.start()
        eventually(lambda n=so_far: count(S.IMPORT_QUEUED) >= n, PATIENCE_SECONDS, "some of them")
        you.kill()
    you.start()
    eventually(lambda: count(S.IMPORT_QUEUED) == len(bodies), PATIENCE_SECONDS, "all of them")
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stubs")
    assert you.stop() == 0
    assert sorted(row.filename for row in you.rows()) == sorted(bodies)
    assert {path.name: path.read_bytes() for path in you.completed.iterdir()} == bodies
    assert set(radarr.scanned) == {str(you.file(name)) for name in bodies}
    assert "Traceback" not in you.log


def test_no_more_transfers_than_allowed_after_a_kill_and_a_restart(
    new_jack: Callable[..., Jack], peer: ScriptedPeer
) -> None:
    gate, numbers = threading.Event(), range(1, 6)
    you = new_jack(downloads={"maxConcurrentDownloads": 2}, peers=[peer_entry("friend", peer.url)])
    for number in numbers:
        peer.offer(f"c:movie:{number}", content(300 * KIB, number), filename=f"Film {number}.mkv")
        peer.always(file_path(f"c:movie:{number}"), paused(peer, 100 * KIB, gate))
        you.drop(f"{number}.torrent", peer.url, f"c:movie:{number}")

    def transfers() -> int:
        return sum(request.path.endswith("/file") for request in peer.requests)

    def running() -> int:
        return sum(row.status is S.DOWNLOADING for row in you.rows())

    you.start()
    for number in numbers:
        you.row(number)
    eventually(lambda: transfers() == 2, PATIENCE_SECONDS, "two transfers")
    queued = next(row.id for row in you.rows() if row.status is S.QUEUED)
    assert "Waiting for a free transfer slot" in you.run("why", str(queued)).stdout
    assert (running(), transfers()) == (2, 2)
    you.kill()
    you.start()
    eventually(lambda: transfers() == 4 and running() == 2, PATIENCE_SECONDS, "two more")
    assert you.run("status").returncode == 0
    assert (running(), transfers()) == (2, 4)
    gate.set()
    for number in numbers:
        you.row(number, S.COMPLETED)
        assert you.file(f"Film {number}.mkv").read_bytes() == content(300 * KIB, number)


@pytest.mark.parametrize("excess", [400 * KIB, SIZE], ids=["shorter", "longer than the film"])
def test_a_part_longer_than_its_row_is_cut_to_the_recorded_offset(
    you: Jack, peer: ScriptedPeer, excess: int
) -> None:
    body, offset, gate = content(SIZE), 1000 * KIB + 7, threading.Event()
    peer.offer(ITEM, body, etag='"v1"')
    you.plant("Film.torrent", peer.url, ITEM, size=SIZE, offset=offset, etag='"v1"')
    # What a power cut can leave behind the last fsync: the length without the bytes.
    you.part().write_bytes(body[:offset] + bytes(excess))
    peer.script(FILE, paused(peer, 0, gate))
    you.start()
    received(you.part(), offset)
    gate.set()
    finished(you, body)
    assert [request.range for request in peer.requests_to(FILE)] == [f"bytes={offset}-"]


@pytest.mark.parametrize("left", [None, 100 * KIB], ids=["gone", "shorter than recorded"])
def test_a_part_with_less_than_its_row_says_starts_again_from_byte_0(
    you: Jack, peer: ScriptedPeer, left: int | None
) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body, etag='"v1"')
    you.plant("Film.torrent", peer.url, ITEM, size=SIZE, offset=1000 * KIB)
    if left is not None:
        you.part().write_bytes(body[:left])
    you.start()
    finished(you, body)
    assert [request.range for request in peer.requests_to(FILE)] == [None]


@pytest.mark.fault("H3")
def test_another_version_at_the_peer_replaces_what_was_fetched_before_a_kill(
    you: Jack, peer: ScriptedPeer
) -> None:
    old, new = content(SIZE), content(SIZE, seed=2)
    peer.offer(ITEM, old, etag='"v1"')
    gate = threading.Event()
    peer.script(FILE, paused(peer, SIZE // 2))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, near(SIZE // 2))
    you.kill()
    peer.offer(ITEM, new, etag='"v2"')
    peer.script(FILE, paused(peer, 0, gate))
    you.start()
    reset = you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes == 0)
    assert reset.error
    gate.set()
    finished(you, new)


def crash_before_the_link(you: Jack, body: bytes) -> None:
    you.part().write_bytes(body)


def crash_between_link_and_unlink(you: Jack, body: bytes) -> None:
    you.part().write_bytes(body)
    os.link(you.part(), you.file())


def crash_between_rename_and_commit(you: Jack, body: bytes) -> None:
    you.file().write_bytes(body)


@pytest.mark.parametrize(
    "crash",
    [crash_before_the_link, crash_between_link_and_unlink, crash_between_rename_and_commit],
)
def test_a_crash_while_the_file_gets_its_name_needs_no_second_transfer(
    new_jack: Callable[..., Jack],
    peer: ScriptedPeer,
    new_arr: Callable[[str], FakeArr],
    crash: Callable[[Jack, bytes], None],
) -> None:
    body, radarr = content(SIZE), new_arr("radarr")
    peer.offer(ITEM, body, etag='"v1"')
    you = new_jack(
        peers=[peer_entry("friend", peer.url)],
        servers=[server_entry("Radarr", "radarr", radarr.url, radarr.api_key)],
    )
    you.plant("Film.torrent", peer.url, ITEM, size=SIZE, offset=SIZE)
    crash(you, body)
    you.start()
    you.row(1, S.IMPORT_QUEUED)
    assert you.file().read_bytes() == body
    assert not you.part().exists()
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stub")
    assert radarr.scanned == [str(you.file())]
    assert peer.requests_to(FILE) == []


def test_a_completed_row_whose_stub_and_import_were_left_is_tidied_up_at_start(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, new_arr: Callable[[str], FakeArr]
) -> None:
    body, radarr = content(SIZE), new_arr("radarr")
    you = new_jack(
        peers=[peer_entry("friend", peer.url)],
        servers=[server_entry("Radarr", "radarr", radarr.url, radarr.api_key)],
    )
    you.plant("Film.torrent", peer.url, ITEM, size=SIZE, offset=SIZE, completed=True)
    you.file().write_bytes(body)
    you.start()
    you.row(1, S.IMPORT_QUEUED)
    assert radarr.scanned == [str(you.file())]
    eventually(lambda: not you.stubs(), PATIENCE_SECONDS, "the end of the stub")
    assert len(you.rows()) == 1
    assert peer.requests_to(FILE) == []


def test_of_several_stale_rows_for_one_file_one_goes_on_and_the_others_say_so(
    you: Jack, peer: ScriptedPeer
) -> None:
    body, offset = content(SIZE), 1000 * KIB
    peer.offer(ITEM, body, etag='"v1"')
    first = you.plant("One.torrent", peer.url, ITEM, size=SIZE, offset=offset, etag='"v1"')
    you.part().write_bytes(body[:offset])
    second = you.plant("Two.torrent", peer.url, ITEM, size=SIZE, behind=first)
    you.start()
    you.row(first, S.COMPLETED)
    assert "superseded by download 1" in str(you.row(second, S.FAILED).error)
    assert you.file().read_bytes() == body
    assert [request.range for request in peer.requests_to(FILE)] == [f"bytes={offset}-"]


def test_a_daemon_without_a_downloads_block_fails_stale_rows_naming_their_part(
    you: Jack, peer: ScriptedPeer
) -> None:
    you.plant("One.torrent", peer.url, ITEM, size=SIZE, offset=5000)
    you.part().write_bytes(content(5000))
    you.plant("Two.torrent", peer.url, "c:movie:2", "Other (2021).mkv", size=SIZE)
    you.configure(downloads=None)
    you.start()
    first, second = you.row(1, S.FAILED), you.row(2, S.FAILED)
    assert f"{you.part()} with 5000 bytes" in str(first.error)
    assert str(you.part("Other (2021).mkv")) in str(second.error)
    assert "not found" in str(second.error)
    assert you.part().exists()
    assert you.stubs() == {"One.torrent", "Two.torrent"}
    assert you.stop() == 0
    assert peer.requests == []


@pytest.mark.fault("C8")
def test_a_stop_checkpoints_everything_and_the_next_start_finishes_all(
    new_jack: Callable[..., Jack],
    new_peer: Callable[[], ScriptedPeer],
    new_arr: Callable[[str], FakeArr],
) -> None:
    friend, busy, radarr = new_peer(), new_peer(), new_arr("radarr")
    you = new_jack(  # whose checkpoints are so rare that only the stop makes one
        downloads={"checkpointBytes": 2**40, "checkpointIntervalMs": 600_000},
        peers=[peer_entry("friend", friend.url), peer_entry("busy", busy.url)],
        servers=[server_entry("Radarr", "radarr", radarr.url, radarr.api_key)],
    )
    bodies = {number: content(SIZE, seed=number) for number in range(1, 6)}
    names = {number: f"Film {number}.mkv" for number in bodies}
    owners = {number: busy if number == 2 else friend for number in bodies}
    for number, owner in owners.items():
        owner.offer(f"c:movie:{number}", bodies[number], filename=names[number], etag='"v1"')
    radarr.go_down()
    busy.script(file_path("c:movie:2"), Answer(503, {"Retry-After": "600"}))
    you.start()

    def drop(number: int) -> None:
        you.drop(f"{number}.torrent", owners[number].url, f"c:movie:{number}")

    drop(1)
    you.row(1, S.COMPLETED, lambda row: row.next_attempt_at is not None)  # *arr is asked again
    drop(2)
    you.row(2, S.WAITING)
    at = 1000 * KIB + 11
    for number in (3, 4, 5):
        friend.script(file_path(f"c:movie:{number}"), paused(friend, at))
        drop(number)
        received(you.part(names[number]), at)
    assert you.stop() == 0
    assert "Traceback" not in you.log
    rows = {row.id: row for row in you.rows()}
    assert [rows[number].status for number in bodies] == [S.COMPLETED, S.WAITING, *[S.QUEUED] * 3]
    # Every byte received before the signal is recorded, not only the last checkpoint.
    assert [rows[number].downloaded_bytes for number in (3, 4, 5)] == [at] * 3
    radarr.come_back()
    you.start()
    assert you.run("retry", "2").returncode == 0  # ten minutes would be long for a test
    for number in bodies:
        you.row(number, S.IMPORT_QUEUED)
        assert you.file(names[number]).read_bytes() == bodies[number]
    for number in (3, 4, 5):
        assert friend.requests_to(file_path(f"c:movie:{number}"))[1].range == f"bytes={at}-"
    assert sorted(radarr.scanned) == sorted(str(you.file(name)) for name in names.values())
    assert len(you.rows()) == len(bodies)


def _silent_url(stack: ExitStack) -> str:
    """Where a connection is neither taken nor refused: the queue of the port is full."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.fault("C8")
def test_a_stop_does_not_wait_for_connections_that_come_to_nothing(
    new_jack: Callable[..., Jack], stack: ExitStack
) -> None:
    url = _silent_url(stack)
    you = new_jack(peers=[peer_entry("full", url)])
    you.plant("Stale.torrent", url, ITEM, size=SIZE)
    you.drop("New.torrent", url, "c:movie:2")
    you.start()
    you.row(1)
    assert you.stop() == 0
    assert you.row(1).is_live
    assert you.stubs() == {"New.torrent", "Stale.torrent"}


def test_a_second_signal_leaves_at_once_and_loses_nothing_recorded(
    new_jack: Callable[..., Jack], peer: ScriptedPeer, stack: ExitStack
) -> None:
    body = content(SIZE)
    peer.offer(ITEM, body, etag='"v1"')
    peer.script(FILE, paused(peer, SIZE // 2))
    silent = _silent_url(stack)
    you = new_jack(peers=[peer_entry("friend", peer.url), peer_entry("silent", silent)])
    you.drop("Film.torrent", peer.url, ITEM)
    # The hanging connection keeps the first signal's stop busy until the second one is there.
    you.drop("Other.torrent", silent, "c:movie:2")
    process = you.start()
    you.row(1, S.DOWNLOADING, near(SIZE // 2))
    # Two different signals: two of one kind may be delivered as one.
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) in {128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert "jack has stopped" not in you.log
    (you.watch / "Other.torrent").unlink()
    you.start()
    finished(you, body)
    sent = sum(request.sent for request in peer.requests_to(FILE))
    assert sent <= SIZE + CHECKPOINT_BYTES


def test_two_signals_at_once_end_a_jack_that_only_shares_too(
    new_jack: Callable[..., Jack], port: Port
) -> None:
    friend = new_jack("friend", jack={"internalUrl": port.url, "apiKey": KEY})
    friend.configure(downloads=None)
    for _ in range(4):  # the kernel gives both to a thread that is not the main one now and then
        process = friend.start()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        # 0 when it had stopped before the second one came
        assert process.wait(PATIENCE_SECONDS) in {0, 128 + signal.SIGTERM, 128 + signal.SIGINT}
    friend.start()
    assert friend.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_jack_leaves_with_0_on_either_signal(you: Jack, number: signal.Signals) -> None:
    process = you.start()
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert "jack has stopped" in you.log


@pytest.mark.fault("C10")
def test_a_second_jack_on_the_same_state_exits_3_naming_the_first(you: Jack) -> None:
    process = you.start()
    second = you.run("run")
    assert second.returncode == 3
    assert f"pid {process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert process.poll() is None
    you.kill()
    you.start()  # the lock of a killed jack is no lock
    assert you.stop() == 0
