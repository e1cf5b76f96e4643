"""More stubs than memory should hold: some of each friend are in it, and all get their turn."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jack.downloads import service
from jack.model import DownloadStatus
from jack.peers import peer as peer_module
from tests.downloads.world import KEY, World, held
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, item_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(250)) * 4
ROOM = 8
FLOOD = 60


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "MAX_STUBS", ROOM)


def sharing(world: World, count: int, name: str = "ann") -> ScriptedPeer:
    peer = world.friend(name)
    for number in range(count):
        peer.offer(f"c:movie:{number}", FILM, filename=f"{name}-{number}.mkv")
    return peer


def in_memory(world: World) -> int:
    return sum(peer.open_stubs() for peer in world.known)


@pytest.mark.fault("R6", "W7")
def test_a_flood_of_stubs_is_resolved_a_few_at_a_time_and_none_is_lost(running: World) -> None:
    peer, gate = sharing(running, FLOOD), threading.Event()
    first = item_path("c:movie:0")
    metadata = peer.honest(Request("GET", first, {"x-api-key": KEY}))
    peer.script(first, held(gate, metadata))
    for number in range(FLOOD):
        running.drop(peer, f"c:movie:{number}", f"{number:03}")
    running.start()
    eventually(lambda: in_memory(running) == ROOM)
    eventually(lambda: len(running.waiting_stubs()) == FLOOD)
    assert in_memory(running) == ROOM
    gate.set()
    for number in range(1, FLOOD + 1):
        running.until(S.COMPLETED, number)
    assert {row.item_id for row in running.rows()} == {f"c:movie:{n}" for n in range(FLOOD)}
    assert in_memory(running) == 0


@pytest.mark.fault("R6")
def test_the_stubs_of_a_dead_friend_do_not_block_those_of_a_healthy_one(running: World) -> None:
    gone = running.absent_friend("gone")
    good = sharing(running, 1, "good")
    for number in range(FLOOD):
        running.drop(gone, f"c:movie:{number}", f"a{number:03}")
    running.start()
    eventually(lambda: in_memory(running) == ROOM)
    running.drop(good, "c:movie:0", "b")
    running.until(S.COMPLETED)
    assert len(list(running.watch.glob("a*.torrent"))) == FLOOD


@pytest.mark.fault("R6")
def test_stubs_that_fail_one_by_one_wait_in_the_folder_and_not_in_the_way(stepped: World) -> None:
    peer = sharing(stepped, ROOM + 1)
    for number in range(ROOM):
        peer.always(item_path(f"c:movie:{number}"), Answer(500))
    for number in range(ROOM + 1):
        stepped.drop(peer, f"c:movie:{number}", f"{number:03}")
    stepped.start()
    stepped.until(S.COMPLETED)
    assert stepped.row().item_id == f"c:movie:{ROOM}"
    eventually(lambda: in_memory(stepped) == 0)
    eventually(lambda: len(stepped.waiting_stubs()) == ROOM)
    in_ten_seconds = stepped.now() + timedelta(seconds=10)
    assert all(in_ten_seconds == stub.next_look for stub in stepped.waiting_stubs())
    for number in range(ROOM):
        peer.always(item_path(f"c:movie:{number}"), None)
    stepped.advance(10)
    for number in range(2, ROOM + 2):
        stepped.until(S.COMPLETED, number)


@pytest.mark.fault("R6")
def test_the_rows_of_the_last_run_go_on_some_at_a_time(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STEPS_AT_ONCE", 2)
    peer = sharing(running, 7)
    for number in range(7):
        running.row_of(peer, number, filename=f"ann-{number}.mkv")
    running.start()
    for number in range(1, 8):
        running.until(S.COMPLETED, number)
