"""Stale rows at start, with and without a `downloads` block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jack.downloads.reconcile import reconcile_without_downloads
from jack.errors import StateError
from jack.model import DownloadStatus, Expectation, Validator, WaitReason
from jack.store.downloads import Downloads
from tests.downloads.world import World
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(250)) * 4
ITEM = "c:movie:1"
PATH = file_path(ITEM)


def sharing(world: World, *numbers: int) -> ScriptedPeer:
    peer = world.friend()
    for number in numbers:
        peer.offer(f"c:movie:{number}", FILM, filename=f"film-{number}.mkv", etag='"v1"')
    return peer


def half_done(world: World, peer: ScriptedPeer, number: int = 1) -> None:
    """A row that was `downloading` when the process died: 400 bytes safe, some more on disk."""
    row = world.row_of(peer, number)
    world.completed.mkdir(exist_ok=True)
    row.part_path.write_bytes(FILM[:400] + b"unsynced garbage")
    world.downloads.begin_attempt(row)
    version = Validator('"v1"', None)
    expected = Expectation(len(FILM), "content_length", False)
    world.downloads.expect(row.id, expected, version)
    world.downloads.checkpoint(row.id, 400)


def test_queued_downloading_and_waiting_rows_go_on(running: World) -> None:
    peer = sharing(running, 1, 2, 3)
    half_done(running, peer, 1)
    running.row_of(peer, 2)
    running.row_of(peer, 3)
    running.downloads.wait(3, WaitReason.RETRY, "broke", running.now() - timedelta(hours=1), 2)
    running.start()
    for number in (1, 2, 3):
        assert running.until(S.COMPLETED, number).dest_path.read_bytes() == FILM
    (request,) = peer.requests_to(PATH)
    assert request.range == "bytes=400-", "only what is not safe yet is fetched again"


def test_stale_rows_come_before_the_observer_and_the_first_scan(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = sharing(running, 1)
    half_done(running, peer)
    order: list[str] = []

    def noted(room: str, name: str) -> None:
        module = __import__(f"jack.{room}", fromlist=["x"])
        owner = getattr(module, name.split(".")[0])
        method = name.split(".")[1]
        real = getattr(owner, method)

        def wrapped(*args: object) -> object:
            order.append(name)
            return real(*args)

        monkeypatch.setattr(owner, method, wrapped)

    noted("downloads.entry", "Entry.redrive")
    noted("blackhole.watcher", "Watcher.start")
    noted("blackhole.intake", "Intake.step")
    running.start()
    eventually(lambda: "Intake.step" in order)
    assert order[:3] == ["Entry.redrive", "Watcher.start", "Intake.step"]


def test_the_stub_of_a_re_driven_row_is_not_a_second_grab(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, gate = sharing(running, 1), threading.Event()
    peer.script(PATH, Answer(200, {}, FILM, pause_at=10, gate=gate))
    running.start()
    running.drop(peer, ITEM, "stub")
    running.until(S.DOWNLOADING)
    running.stop()
    peer.script(PATH, Answer(200, {}, FILM, pause_at=10, gate=gate))
    real, asked_for = Downloads.latest_for_stub, []
    monkeypatch.setattr(
        Downloads,
        "latest_for_stub",
        lambda self, name, *stub: (asked_for.append(name), real(self, name, *stub))[1],
    )
    running.drop("http://nobody", name="dropped later")
    running.start()
    running.until(S.DOWNLOADING, attempts=2)
    eventually(running.waiting_stubs, what="a look at the stub that was dropped after it")
    assert not asked_for, "it is known as reenqueued: no look into the database for each"
    gate.set()
    running.until(S.COMPLETED)
    eventually(lambda: not (running.watch / "stub.torrent").exists())
    assert len(running.rows()) == 1
    running.drop(peer, ITEM, "stub")
    eventually(lambda: asked_for, what="a look for what is a new grab now")


def test_of_several_stale_rows_for_one_destination_one_goes_on(running: World) -> None:
    peer = sharing(running, 1)
    half_done(running, peer)
    for number in (2, 3):
        same = {"id": "c:movie:1", "filename": "film-1.mkv"}
        running.row_of(peer, number, release=same, blocked_by=1, sentence="waits")
    running.start()
    running.until(S.COMPLETED, 1)
    for number in (2, 3):
        row = running.until(S.FAILED, number)
        assert (row.error or "").startswith("superseded by download 1")


def test_a_stale_row_of_another_item_goes_on_under_a_name_of_its_own(running: World) -> None:
    """A jack of before put it in line behind the first, which has the same file name."""
    peer = sharing(running, 1, 2)
    half_done(running, peer)
    running.row_of(peer, 2, filename="film-1.mkv", blocked_by=1, sentence="waits")
    running.start()
    running.until(S.COMPLETED, 1)
    row = running.until(S.COMPLETED, 2)
    assert row.dest_path.name.startswith("film-1.")
    assert row.dest_path != running.row(1).dest_path


@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
def test_a_row_that_waited_for_one_that_has_settled_meanwhile_goes_on(
    running: World, ending: str
) -> None:
    peer = sharing(running, 1)
    running.row_of(peer, 1)
    running.row_of(peer, 2, filename="film-1.mkv", blocked_by=1, release={"id": ITEM})
    if ending == "completed":
        running.completed.mkdir()
        running.row(1).dest_path.write_bytes(FILM)
        running.downloads.complete(1, len(FILM))
    elif ending == "failed":
        running.downloads.fail(1, "gone")
    else:
        running.downloads.cancel(1, "cancelled by the user")
    running.start()
    running.until(S.COMPLETED, 2)
    assert running.row(1).dest_path.read_bytes() == FILM
    assert len(peer.requests_to(PATH)) == (0 if ending == "completed" else 1)


def test_stubs_left_behind_by_the_last_run_are_tidied(running: World) -> None:
    peer = sharing(running, 1, 2)
    for number, name in ((1, "stub-1"), (2, "stub-2")):
        running.row_of(peer, number)
        running.drop(peer, f"c:movie:{number}", name)
    running.downloads.complete(1, 1000)
    running.downloads.fail(2, "gone")
    running.start()
    eventually(lambda: running.parked == ["stub-2.torrent"])
    eventually(lambda: list(running.watch.glob("*.torrent")) == [])
    assert len(running.rows()) == 2
    assert peer.requests == []


def test_without_a_downloads_block_stale_rows_fail_naming_their_part(
    running: World, lines: Callable[[], list[str]]
) -> None:
    peer = sharing(running, 1, 2)
    half_done(running, peer)
    running.row_of(peer, 2)
    running.row_of(peer, 3)
    running.downloads.complete(3, 1000)
    assert reconcile_without_downloads(running.downloads) == 2
    first, second, third = running.rows()
    assert (first.status, second.status, third.status) == (S.FAILED, S.FAILED, S.COMPLETED)
    assert f"found {first.part_path} with 416 bytes" in (first.error or "")
    assert f"{second.part_path} was not found" in (second.error or "")
    assert first.part_path.exists()
    assert len([line for line in lines() if "stale" in line]) == 2


def test_both_folders_are_created_with_their_parents(running: World) -> None:
    running.watch = running.root / "deep" / "er" / "watch"
    running.completed = running.root / "deep" / "completed"
    running.start()
    assert running.watch.is_dir()
    assert running.completed.is_dir()


def test_a_folder_that_cannot_be_made_is_said_with_a_remedy(running: World) -> None:
    (running.root / "file").write_text("not a folder")
    running.watch = running.root / "file" / "watch"
    with pytest.raises(StateError, match=r"cannot create .*file/watch.*jack runs as uid"):
        running.start()
    running.side = None


def test_a_stop_in_the_middle_leaves_a_row_that_goes_on_from_the_last_byte(
    running: World, tmp_path: Path
) -> None:
    peer, gate = sharing(running, 1), threading.Event()
    peer.script(PATH, Answer(200, {"ETag": '"v1"'}, FILM, pause_at=600, gate=gate))
    running.start()
    running.drop(peer)
    part = tmp_path / "completed" / "film-1.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 600)
    running.stop()
    row = running.row()
    assert (row.status, row.downloaded_bytes) == (S.QUEUED, 600)
    assert row.error is None
    running.start()
    running.until(S.COMPLETED)
    assert [request.range for request in peer.requests_to(PATH)] == [None, "bytes=600-"]
