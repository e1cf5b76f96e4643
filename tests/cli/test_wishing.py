"""`jack retry` and `jack cancel` while a daemon runs: the wish reaches it through the row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.model import DownloadStatus
from jack.store.lock import StateLock
from jack.support.clock import SystemClock
from jack.wishing import fulfil
from tests.downloads.world import World, world
from tests.support.scripted_peer import Answer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(256)) * 40
PATH = file_path("c:movie:1")


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A download side that holds the lock, as `jack run` does."""
    monkeypatch.setattr("jack.download_side.WISH_LOOK_SECONDS", 0.02)
    lock = StateLock(tmp_path)
    lock.acquire()
    with world(tmp_path, SystemClock(), retry_base_delay_seconds=3600.0) as made:
        made.settings["retry_max_delay_seconds"] = 3600.0
        yield made
    lock.release()


def wish(world: World, what: str, number: int = 1) -> str:
    return fulfil(what, world.row(number), world.config(), world.database, world.clock)


def test_retry_wakes_a_download_that_waits_for_an_hour(daemon: World) -> None:
    peer = daemon.friend()
    peer.offer("c:movie:1", FILM)
    peer.script(PATH, Answer(500))
    daemon.start()
    daemon.drop(peer)
    daemon.until(S.WAITING)
    assert wish(daemon, "retry").startswith("download 1: ")
    daemon.until(S.COMPLETED)


def test_cancel_ends_a_running_transfer_and_says_so(daemon: World) -> None:
    peer, gate = daemon.friend(), threading.Event()
    peer.offer("c:movie:1", FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=5000, gate=gate))
    daemon.start()
    daemon.drop(peer)
    part = daemon.completed / "film.mkv.part"
    eventually(lambda: part.exists() and part.stat().st_size == 5000)
    assert "Cancelled: cancelled by the user" in wish(daemon, "cancel")
    eventually(lambda: not part.exists())


def test_a_retry_right_after_a_cancel_is_not_lost(daemon: World) -> None:
    """As in `jack cancel 1 && jack retry 1`."""
    peer, gate = daemon.friend(), threading.Event()
    peer.offer("c:movie:1", FILM, filename="film.mkv")
    peer.script(PATH, *[Answer(200, {}, FILM, pause_at=5000, gate=gate)] * 5)
    daemon.start()
    daemon.drop(peer)
    for _ in range(5):
        daemon.until(S.DOWNLOADING)
        wish(daemon, "cancel")
        assert "Cancelled" not in wish(daemon, "retry")
    gate.set()
    assert daemon.until(S.COMPLETED).dest_path.read_bytes() == FILM
