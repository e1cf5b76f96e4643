"""Waits: they cost no slot, say why, and survive a restart."""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jack.model import DownloadStatus, WaitReason
from jack.support.clock import SystemClock
from jack.transfer.space import SpaceLedger
from tests.downloads.world import SLOW, World, held, world
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(256)) * 40
PATH = file_path("c:movie:1")
PUT_ASIDE = {WaitReason.UNREACHABLE, WaitReason.REFUSED, WaitReason.COOLDOWN}
"""The last one is a download that came in line just after its friend had failed."""


@pytest.mark.fault("H25", "R5")
def test_a_long_wait_gives_the_slot_back(stepped: World) -> None:
    stepped.settings["max_concurrent_downloads"] = 1
    failing, good = stepped.friend("failing"), stepped.friend("good")
    failing.offer("c:movie:1", FILM, filename="a.mkv")
    failing.script(PATH, Answer(500))
    good.offer("c:movie:1", FILM, filename="b.mkv")
    stepped.start()
    stepped.drop(failing, name="a")
    row = stepped.until(S.WAITING, 1)
    assert row.next_attempt_at == stepped.now() + timedelta(seconds=10)
    stepped.settle()  # and not asleep in a thread of the pool
    assert stepped.row(1).attempts == 1
    stepped.drop(good, name="b")
    stepped.until(S.COMPLETED, 2)
    assert stepped.row(1).status is S.WAITING


def test_a_wait_survives_a_restart_and_ends_on_time(stepped: World) -> None:
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM)
    peer.script(PATH, Answer(503, {"Retry-After": "3600"}))
    stepped.start()
    stepped.drop(peer)
    due = stepped.until(S.WAITING).next_attempt_at
    stepped.stop()
    stepped.clock.advance(600)  # type: ignore[attr-defined]
    before = len(peer.requests)
    stepped.start()
    row = stepped.row()
    assert (row.status, row.next_attempt_at, row.attempts) == (S.WAITING, due, 1)
    stepped.settle()
    stepped.advance(2999)
    assert len(peer.requests) == before
    stepped.advance(1)
    stepped.until(S.COMPLETED, attempts=2)


@pytest.mark.fault("C16")
def test_a_wait_that_ended_while_jack_was_off_goes_on_at_once(stepped: World) -> None:
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM)
    peer.script(PATH, Answer(500))
    stepped.start()
    stepped.drop(peer)
    stepped.until(S.WAITING)
    stepped.stop()
    stepped.clock.advance(11)  # type: ignore[attr-defined]
    stepped.start()
    stepped.until(S.COMPLETED)


@pytest.mark.fault("T2")
def test_a_clock_that_was_years_ahead_does_not_make_a_row_wait_for_years(
    stepped: World,
) -> None:
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM[:1000], filename="film-1.mkv")
    row = stepped.row_of(peer)
    ahead = stepped.now() + timedelta(days=4000)
    stepped.downloads.wait(row.id, WaitReason.RETRY, "broke", ahead, 1)
    stepped.start()
    stepped.settle()
    stepped.advance(6 * 3600)
    stepped.until(S.COMPLETED)


@pytest.mark.fault("N1")
def test_three_dead_friends_delay_no_download_of_a_good_one(running: World) -> None:
    running.settings["max_concurrent_downloads"] = 2
    hangs = running.friend("hangs")
    silent = threading.Event()
    hangs.always("/handshake", held(silent))
    dead = [running.absent_friend("off"), hangs, running.absent_friend("also off")]
    number = 0
    for friend in dead:
        for _ in range(3):
            number += 1
            running.row_of(friend, number)
    good = running.friend("good")
    good.offer("c:movie:1", FILM, filename="good.mkv")
    running.start()
    running.drop(good)
    try:
        running.until(S.COMPLETED, 10)
        assert {row.attempts for row in running.rows()[:9]} == {0}
    finally:
        silent.set()


@pytest.mark.fault("N12")
def test_a_dead_friend_costs_one_connection_per_look_and_not_one_per_file(
    stepped: World, lines: Callable[[], list[str]]
) -> None:
    url = stepped.absent_friend("off")
    for number in range(1, 31):
        stepped.row_of(url, number)
    stepped.start()
    eventually(lambda: all(row.wait_reason in PUT_ASIDE for row in stepped.rows()))
    assert len([line for line in lines() if "cannot be reached" in line]) == 1
    stepped.settle()
    row = stepped.row(30)
    assert (row.attempts, row.fruitless_attempts) == (0, 0)
    assert row.next_attempt_at == stepped.now() + timedelta(seconds=10)
    assert "cannot be reached" in stepped.why(30)


@pytest.mark.fault("N12")
def test_a_friend_who_comes_back_gets_all_his_downloads_again(
    stepped: World, lines: Callable[[], list[str]]
) -> None:
    gone = ScriptedPeer()
    gone.close()
    stepped.absent_friend("off")
    stepped.peers[-1] = stepped.peers[-1].__class__("ann", gone.url, stepped.peers[-1].api_key)
    for number in (1, 2, 3):
        stepped.row_of(gone, number)
    stepped.start()
    eventually(lambda: all(row.wait_reason in PUT_ASIDE for row in stepped.rows()))
    stepped.settle()
    back = ScriptedPeer(port=gone.port)
    stepped.friends.append(back)
    for number in (1, 2, 3):
        back.offer(f"c:movie:{number}", FILM[:1000], filename=f"film-{number}.mkv")
    stepped.advance(10)
    for number in (1, 2, 3):
        stepped.until(S.COMPLETED, number, attempts=1)
    assert back.requests[0].path == "/handshake"
    assert any("ann is back" in line for line in lines())


def test_a_friend_lost_in_the_middle_is_probed_outside_the_slots(stepped: World) -> None:
    stepped.settings["max_concurrent_downloads"] = 1
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM, filename="film.mkv")

    closing = threading.Thread(target=peer.close)

    def vanish(request: Request) -> Answer:
        closing.start()
        eventually(lambda: peer.is_closed, what="the end of the port")
        return Answer(raw=b"")

    peer.script(PATH, vanish)
    stepped.start()
    stepped.drop(peer)
    row = stepped.until(S.WAITING, wait_reason=WaitReason.UNREACHABLE)
    assert row.attempts == 1
    closing.join(20)
    stepped.settle()
    back = peer.back()
    stepped.friends.append(back)
    stepped.advance(10)
    stepped.until(S.COMPLETED, attempts=2)
    assert [request.path for request in back.requests] == ["/handshake", PATH]


def test_a_friend_who_is_unreachable_for_longer_than_patience_fails_his_downloads(
    stepped: World,
) -> None:
    stepped.settings["max_download_attempts"] = 2  # patience: 24 base delays
    url = stepped.absent_friend("off")
    stepped.row_of(url, 1)
    stepped.row_of(url, 2)
    stepped.start()
    for _ in range(30):
        stepped.settle()
        stepped.advance(10)
    stepped.settle()
    for row in stepped.rows():
        assert row.status is S.FAILED
        found = re.search(r"it has been like that for (\d+) s", row.error or "")
        assert found
        assert int(found[1]) >= 240


def test_a_friend_who_refuses_the_probe_is_paused_like_one_who_refuses_a_file(
    stepped: World,
) -> None:
    peer = stepped.friend(key="a wrong key")
    for number in range(1, 11):
        stepped.row_of(peer, number)
    stepped.start()
    eventually(lambda: all(row.wait_reason in PUT_ASIDE for row in stepped.rows()))
    assert [request.path for request in peer.requests] == ["/handshake"]
    assert "does not accept our key (HTTP 401)" in stepped.why(10)


def test_downloads_whose_probe_stands_behind_a_pause_say_that_they_wait_for_it(
    stepped: World,
) -> None:
    peer, gate = stepped.friend(), threading.Event()
    peer.script(item_path("c:movie:2"), held(gate, Answer(503, {"Retry-After": "3600"})))
    stepped.row_of(peer)
    stepped.downloads.fail(1, "earlier")
    stepped.start()
    stepped.drop(peer, "c:movie:2", name="b")
    eventually(lambda: peer.requests_to(item_path("c:movie:2")))
    stepped.steer("retry")
    stepped.advance(1)
    stepped.until(S.QUEUED)
    gate.set()
    row = stepped.until(S.WAITING, wait_reason=WaitReason.COOLDOWN)
    assert row.next_attempt_at is not None
    assert (row.next_attempt_at - stepped.now()).total_seconds() == pytest.approx(3600, abs=2)
    assert "HTTP 503" in stepped.why()
    stepped.stop()


def test_a_probe_that_is_answered_with_nonsense_lets_the_files_speak(running: World) -> None:
    peer = running.friend()
    peer.offer("c:movie:1", FILM[:1000], filename="film-1.mkv")
    peer.always("/handshake", Answer(raw=b"what?\r\n\r\n"))
    running.row_of(peer)
    running.start()
    running.until(S.COMPLETED)


def test_a_friend_removed_from_the_config_is_waited_for_with_a_remedy(stepped: World) -> None:
    peer = stepped.friend()
    stepped.row_of(peer)
    stepped.peers.clear()
    stepped.start()
    row = stepped.until(S.WAITING, wait_reason=WaitReason.UNKNOWN_PEER)
    assert row.next_attempt_at is None
    assert "not in the config any more" in stepped.why()
    assert peer.requests == []


# -- free space ------------------------------------------------------------------------------------


class Disk:
    """A statvfs whose free space the test sets, in bytes."""

    def __init__(self) -> None:
        self.free = 0

    def __call__(self, folder: Path) -> Any:
        return SimpleNamespace(f_blocks=1 << 40, f_bavail=self.free, f_frsize=1, f_bsize=1)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(
        "jack.download_side.SpaceLedger", functools.partial(SpaceLedger, statvfs=made)
    )
    return made


@pytest.mark.fault("D1")
def test_a_download_waits_for_space_and_starts_by_itself(stepped: World, disk: Disk) -> None:
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM, filename="film.mkv")
    stepped.start()
    stepped.drop(peer)
    row = stepped.until(S.WAITING, wait_reason=WaitReason.SPACE, attempts=0)
    assert not row.part_path.exists(), "nothing is written where there is no room"
    assert row.expected_bytes == len(FILM), "so much has to be free before it is asked for again"
    assert "too little space" in stepped.why()
    assert "by itself" in stepped.why()
    stepped.settle()
    asked = len(peer.requests)
    stepped.advance(5)
    stepped.settle()
    assert len(peer.requests) == asked, "a look costs a statvfs, not a request"
    disk.free = 2 * len(FILM)
    stepped.advance(5)
    stepped.until(S.COMPLETED, attempts=1)


@pytest.mark.fault("D1")
def test_min_free_bytes_stays_free(tmp_path: Path, clock: Any, disk: Disk) -> None:
    with world(tmp_path, clock, **{**SLOW, "min_free_bytes": 1000}) as made:
        disk.free = len(FILM) + 999
        peer = made.friend()
        peer.offer("c:movie:1", FILM)
        made.start()
        made.drop(peer)
        made.until(S.WAITING, wait_reason=WaitReason.SPACE)
        made.settle()
        disk.free += 1
        made.advance(5)
        made.until(S.COMPLETED)


@pytest.mark.fault("D2")
def test_waiting_for_space_survives_a_restart_and_is_looked_at_at_once(
    stepped: World, disk: Disk
) -> None:
    peer = stepped.friend()
    peer.offer("c:movie:1", FILM)
    stepped.start()
    stepped.drop(peer)
    stepped.until(S.WAITING, wait_reason=WaitReason.SPACE)
    stepped.stop()
    disk.free = 2 * len(FILM)
    stepped.start()
    stepped.until(S.COMPLETED, attempts=1)


@pytest.mark.fault("D21")
def test_space_promised_to_a_running_download_is_not_promised_twice(
    tmp_path: Path, disk: Disk
) -> None:
    with world(tmp_path, SystemClock()) as made:
        peer, gate = made.friend(), threading.Event()
        for number in (1, 2):
            peer.offer(f"c:movie:{number}", FILM, filename=f"f{number}.mkv", title="F")
        peer.script(PATH, Answer(200, {}, FILM, pause_at=100, gate=gate))
        disk.free = len(FILM) * 3 // 2
        made.start()
        made.drop(peer, name="a")
        eventually(lambda: peer.requests_to(PATH))
        made.until(S.DOWNLOADING, 1)
        eventually(lambda: (made.completed / "f1.mkv.part").exists())
        made.drop(peer, "c:movie:2", name="b")
        made.until(S.WAITING, 2, wait_reason=WaitReason.SPACE)
        gate.set()
        made.until(S.COMPLETED, 1)
        assert os.path.getsize(made.completed / "f1.mkv") == len(FILM)
