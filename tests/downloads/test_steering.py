"""Pause, resume and remove, in a running jack and without one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jack.errors import UserError
from jack.model import DownloadStatus, WaitReason
from tests.downloads.world import World
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
PATH = file_path(ITEM)
FILM = bytes(range(256)) * 40


def half_way(running: World) -> ScriptedPeer:
    """5000 bytes of download 1 have arrived; the next request is answered honestly."""
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {"ETag": '"v1"'}, FILM, pause_at=5000, gate=threading.Event()))
    running.start()
    running.drop(peer)
    part = running.completed / "film.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 5000)
    return peer


def test_a_paused_transfer_keeps_its_bytes_frees_its_slot_and_counts_no_attempt(
    running: World,
) -> None:
    running.settings["max_concurrent_downloads"] = 1
    peer = half_way(running)
    running.steer("pause")
    row = running.row()
    assert (row.status, row.downloaded_bytes, row.attempts) == (S.QUEUED, 5000, 0)
    assert row.paused_at is not None
    assert "Paused since" in running.why()
    assert "`jack resume 1`" in running.why()
    peer.offer("c:movie:2", FILM, filename="other.mkv")
    running.drop(peer, "c:movie:2", "b")
    running.until(S.COMPLETED, 2)
    assert len(peer.requests_to(PATH)) == 1
    running.steer("resume")
    row = running.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert peer.requests_to(PATH)[-1].range == "bytes=5000-"
    assert (row.attempts, row.paused_at) == (1, None)


@pytest.mark.parametrize("resumed_by", ["the running jack", "a jack that does not run"])
def test_a_pause_survives_a_restart(running: World, resumed_by: str) -> None:
    peer = half_way(running)
    running.steer("pause")
    running.stop()
    running.start()
    running.settle()
    assert running.row().status is S.QUEUED
    assert len(peer.requests_to(PATH)) == 1
    if resumed_by == "the running jack":
        running.steer("resume")
    else:
        running.stop()
        running.steer("resume")
        running.start()
    running.until(S.COMPLETED)


def test_a_pause_without_a_running_jack_holds_at_the_next_start(running: World) -> None:
    peer = running.friend()
    running.row_of(peer)
    running.steer("pause")
    running.start()
    running.settle()
    assert running.row().status is S.QUEUED
    assert peer.requests_to(file_path("c:movie:1")) == []


def test_a_pause_lets_the_wait_for_a_friend_go_on(stepped: World) -> None:
    """When he is back the others go on, and the paused one does not."""
    stepped.settings |= {"retry_base_delay_seconds": 10.0, "retry_max_delay_seconds": 10.0}
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(503, {"Retry-After": "60"}))
    stepped.start()
    stepped.drop(peer)
    row = stepped.until(S.WAITING)
    stepped.steer("pause")
    assert stepped.row().status is S.WAITING
    assert stepped.row().next_attempt_at == row.next_attempt_at
    stepped.advance(61)
    stepped.settle()
    assert len(peer.requests_to(PATH)) == 1
    stepped.steer("resume")
    stepped.until(S.COMPLETED)


def test_what_waits_behind_a_paused_one_goes_on_when_that_is_cancelled(running: World) -> None:
    peer = half_way(running)
    running.drop(peer, name="b")
    running.until(S.WAITING, 2, wait_reason=WaitReason.BLOCKED)
    running.steer("pause")
    running.steer("cancel")
    assert running.row().paused_at is None
    running.until(S.COMPLETED, 2)


def test_a_retry_ends_a_pause(running: World) -> None:
    half_way(running)
    running.steer("pause")
    running.steer("cancel")
    running.steer("retry")
    assert running.until(S.COMPLETED).paused_at is None


def test_pausing_twice_and_resuming_what_is_not_paused_change_nothing(running: World) -> None:
    half_way(running)
    running.steer("resume")
    running.steer("pause")
    since = running.row().paused_at
    running.steer("pause")
    assert running.row().paused_at == since


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_what_has_ended_is_neither_paused_nor_resumed(running: World, action: str) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    with pytest.raises(UserError, match=f"download 1 is completed: there is nothing to {action}"):
        running.steer(action)


def test_all_that_is_live_is_paused_and_resumed_at_once(running: World) -> None:
    peer = half_way(running)
    peer.offer("c:movie:2", FILM, filename="other.mkv")
    peer.script(file_path("c:movie:2"), Answer(200, {}, FILM, pause_at=9, gate=threading.Event()))
    running.drop(peer, "c:movie:2", "b")
    running.until(S.DOWNLOADING, 2)
    assert running.side is not None
    steering = running.side.service.steering
    assert steering.steer_all("pause") == 2
    assert [row.status for row in running.rows()] == [S.QUEUED, S.QUEUED]
    assert steering.steer_all("resume") == 2
    running.until(S.COMPLETED, 1)
    running.until(S.COMPLETED, 2)


@pytest.mark.parametrize("is_running", [True, False])
def test_remove_cancels_what_is_under_way_and_leaves_neither_row_nor_part_nor_stub(
    running: World, is_running: bool
) -> None:
    half_way(running)
    if not is_running:
        running.stop()
    running.steer("remove")
    assert running.rows() == []
    assert list(running.completed.iterdir()) == []
    assert running.parked == []
    assert not (running.watch / "a.torrent").exists()
    if is_running:
        running.stop()
    running.start()
    running.settle()
    assert running.rows() == [], "no stub that is left makes it a new grab"


def complete(running: World) -> Path:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    running.start()
    running.drop(peer)
    running.until(S.COMPLETED)
    eventually(lambda: not (running.watch / "a.torrent").exists())
    return running.completed / "film.mkv"


@pytest.mark.parametrize("files", [True, False])
def test_remove_takes_the_finished_file_only_where_that_is_asked_for(
    running: World, files: bool
) -> None:
    path = complete(running)
    running.steer("remove", files=files)
    assert running.rows() == []
    assert path.exists() is not files


def another_of_that_size(path: Path) -> None:
    path.rename(path.with_name("mine.mkv"))
    path.write_bytes(bytes(len(FILM)))


def another_size(path: Path) -> None:
    path.write_bytes(b"mine")


def second_name(path: Path) -> None:
    os.link(path, path.with_name("library.mkv"))


def link(path: Path) -> None:
    path.rename(path.with_name("mine.mkv"))
    path.symlink_to("mine.mkv")


@pytest.mark.parametrize("change", [another_of_that_size, another_size, second_name, link])
def test_a_file_that_is_not_the_finished_one_alone_stays_and_so_does_the_row(
    running: World, change: object
) -> None:
    path = complete(running)
    assert callable(change)
    change(path)
    with pytest.raises(UserError, match="stays"):
        running.steer("remove", files=True)
    assert os.path.lexists(path)
    assert len(running.rows()) == 1
    running.steer("remove")
    assert running.rows() == []


def test_the_number_of_a_removed_download_is_not_given_to_another(running: World) -> None:
    complete(running)
    running.steer("remove")
    running.drop(running.friends[0], name="b")
    running.until(S.COMPLETED, 2)
