"""Trouble that is not the friend's: the disk, the database, and bugs in jack itself."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jack.downloads.service import DownloadService
from jack.errors import StorageError
from jack.model import DownloadStatus, WaitReason
from jack.store.downloads import Downloads
from jack.transfer.engine import Engine
from tests.downloads.world import World, held
from tests.support.scripted_peer import Answer, file_path, item_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(256)) * 40
ITEM = "c:movie:1"
PATH = file_path(ITEM)


def break_once(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception
) -> threading.Event:
    """The next call of that method raises; all others work. Returns what is set then."""
    real, happened = getattr(owner, name), threading.Event()

    def broken(self: object, *args: Any, **kwargs: Any) -> Any:
        if not happened.is_set():
            happened.set()
            raise error
        return real(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, broken)
    return happened


LOCKED = "the database did not take a record: database is locked"


@pytest.mark.fault("D9")
def test_a_disk_that_refuses_costs_no_attempt_and_blames_no_friend(
    stepped: World, lines: Callable[[], list[str]]
) -> None:
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    stepped.start()
    shutil.rmtree(stepped.completed)
    stepped.drop(peer)
    row = stepped.until(S.WAITING, wait_reason=WaitReason.STORAGE)
    assert (row.attempts, row.fruitless_attempts) == (0, 0)
    assert stepped.known_peer(peer).closed_seconds == 0
    assert "cannot open" in stepped.why()
    peer.offer("c:movie:2", FILM, filename="other.mkv")
    stepped.settle()
    stepped.completed.mkdir()
    stepped.drop(peer, "c:movie:2", "b")
    stepped.until(S.COMPLETED, 2)
    assert stepped.row(1).status is S.WAITING
    stepped.advance(30)
    stepped.until(S.COMPLETED, 1, attempts=1)


@pytest.mark.fault("C13")
def test_a_bug_between_two_attempts_fails_that_row_with_a_traceback_and_the_slot_lives_on(
    running: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.offer("c:movie:2", FILM, filename="other.mkv")
    break_once(monkeypatch, DownloadService, "adopt", ZeroDivisionError("a bug"))
    running.start()
    running.drop(peer)
    row = running.until(S.FAILED)
    assert "an error in jack itself (ZeroDivisionError)" in (row.error or "")
    assert "a bug" in caplog.text
    running.drop(peer, "c:movie:2", name="b")
    running.until(S.COMPLETED, 2)


@pytest.mark.fault("C13")
def test_a_bug_inside_an_attempt_fails_that_row_with_a_traceback_and_the_slot_lives_on(
    running: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running.settings["max_concurrent_downloads"] = 1
    break_once(monkeypatch, Engine, "run", ZeroDivisionError("a bug"))
    peer = running.friend()
    peer.offer(ITEM, FILM, filename="a.mkv")
    peer.offer("c:movie:2", FILM, filename="b.mkv")
    running.start()
    running.drop(peer, ITEM, "a")
    row = running.until(S.FAILED, 1)
    assert row.error == "an error in jack itself (ZeroDivisionError); see the log"
    assert "Traceback" in caplog.text
    assert "a bug" in caplog.text
    running.drop(peer, "c:movie:2", "b")
    running.until(S.COMPLETED, 2)
    running.drop_again(running.watch / "failed" / "a.torrent")
    running.until(S.COMPLETED, 1)


@pytest.mark.fault("B5")
@pytest.mark.parametrize(
    "method", ["begin_attempt", "expect", "checkpoint", "complete", "import_postponed", "wait"]
)
def test_a_database_that_refuses_one_statement_only_delays(
    stepped: World, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    happened = break_once(monkeypatch, Downloads, method, StorageError(LOCKED))
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    if method == "wait":
        peer.script(PATH, Answer(500))
    if method == "checkpoint":  # of a small file that is fetched in one go there is none
        peer.script(PATH, lambda request: replace(peer.honest(request), cut_after=4000))
    stepped.start()
    stepped.drop(peer)
    assert happened.wait(20)
    if method in {"expect", "checkpoint"}:
        stepped.until(S.WAITING, wait_reason=WaitReason.STORAGE)
    stepped.settle()
    stepped.advance(30)
    row = stepped.until(S.COMPLETED)
    assert row.dest_path.read_bytes() == FILM
    assert stepped.known_peer(peer).closed_seconds == 0


def test_a_database_that_refuses_after_the_file_is_complete_only_delays_the_rest(
    stepped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = break_once(monkeypatch, Downloads, "followers", StorageError(LOCKED))
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    stepped.start()
    stub = stepped.drop(peer)
    assert happened.wait(20)
    stepped.settle()
    stepped.advance(30)
    eventually(lambda: stepped.row().error)
    assert stepped.row().status is S.COMPLETED
    assert not stub.exists()


def test_a_row_that_cannot_be_read_is_looked_at_again(
    stepped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = stepped.friend()
    peer.offer(ITEM, FILM[:1000], filename="film-1.mkv")
    stepped.row_of(peer)
    happened = break_once(monkeypatch, Downloads, "get", StorageError(LOCKED))
    stepped.start()
    assert happened.wait(20)
    stepped.settle()
    stepped.advance(30)
    stepped.until(S.COMPLETED)


def test_a_stub_that_cannot_be_recorded_is_asked_about_again(
    stepped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = break_once(monkeypatch, Downloads, "create", StorageError(LOCKED))
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    stepped.start()
    stub = stepped.drop(peer)
    assert happened.wait(20)
    eventually(lambda: stepped.is_put_off)
    assert stub.exists()
    stepped.advance(30)
    stepped.until(S.COMPLETED)
    assert len(peer.requests_to(item_path(ITEM))) == 2


def test_a_stub_whose_row_could_not_be_looked_up_is_taken_at_the_next_scan(
    stepped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = break_once(monkeypatch, Downloads, "latest_for_stub", StorageError(LOCKED))
    peer = stepped.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    stepped.start()
    stepped.drop(peer)
    assert happened.wait(20)
    stepped.advance(60 * 60)
    stepped.until(S.COMPLETED)


def test_a_friends_outage_that_cannot_be_recorded_does_not_end_the_looking(
    stepped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = break_once(monkeypatch, Downloads, "hold_peer", StorageError(LOCKED))
    url = stepped.absent_friend("off")
    stepped.row_of(url)
    stepped.start()
    assert happened.wait(20)
    stepped.settle()
    stepped.advance(10)
    stepped.until(S.WAITING, wait_reason=WaitReason.UNREACHABLE)


@pytest.mark.fault("B2")
def test_a_database_locked_by_another_program_for_long_loses_nothing(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.store.database.BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("jack.downloads.job.DATABASE_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("jack.downloads.service.DATABASE_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("jack.downloads.retry.STORAGE_LOOK_SECONDS", 0.05)
    peer, gate = running.friend(), threading.Event()
    peer.offer(ITEM, FILM, filename="film.mkv")
    peer.script(PATH, Answer(200, {}, FILM, pause_at=100, gate=gate))
    running.start()
    running.drop(peer)
    running.until(S.DOWNLOADING)
    eventually(lambda: running.row().expected_bytes)
    other = sqlite3.connect(running.root / "jack.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    gate.set()
    eventually(lambda: (running.completed / "film.mkv").exists())
    other.execute("ROLLBACK")
    other.close()
    assert running.until(S.COMPLETED).dest_path.read_bytes() == FILM


def test_a_stop_while_a_friend_keeps_metadata_and_probe_waiting_is_quick(running: World) -> None:
    peer = running.friend()
    gate = threading.Event()
    peer.always(item_path(ITEM), held(gate))
    other = running.friend("other")
    other.always("/handshake", held(gate))
    running.row_of(other)
    running.start()
    stub = running.drop(peer, ITEM, "a")
    running.drop(peer, "c:movie:2", "b")
    eventually(lambda: peer.requests and other.requests)
    running.stop()
    gate.set()
    assert stub.exists()
    assert running.row().status is S.QUEUED
