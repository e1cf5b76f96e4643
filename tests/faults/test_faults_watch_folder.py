"""What the watch folder can do to jack."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.blackhole import intake
from jack.model import DownloadStatus
from jack.support.clock import SystemClock
from tests.downloads.world import World, world
from tests.scenarios.harness import KIB, PATIENCE_SECONDS, content, paused
from tests.support.hurt_jack import HurtJack
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
BODY = content(1024 * KIB)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, SystemClock(), rescan_interval_seconds=0.1) as made:
        yield made


@pytest.mark.fault("W14")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_watch_folder_that_cannot_be_read_holds_up_no_download_and_is_seen_when_it_can(
    running: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    caplog.set_level("INFO", "jack")
    friend, gate = running.friend(), threading.Event()
    friend.offer(ITEM, BODY, filename="film.mkv")
    friend.offer("c:movie:2", BODY, filename="other.mkv")
    friend.script(FILE, Answer(200, {}, BODY, pause_at=1000, gate=gate))
    running.start()
    running.drop(friend)
    running.until(S.DOWNLOADING)
    refused = threading.Semaphore(0)

    def refuse(path: Any) -> Any:
        refused.release()
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(intake.os, "scandir", refuse)
        for _ in range(3):
            assert refused.acquire(timeout=20)
        gate.set()
        running.until(S.COMPLETED)
        assert caplog.text.count(f"cannot be read ({os.strerror(number)})") == 1
    running.drop(friend, "c:movie:2", "b")
    running.until(S.COMPLETED, 2)
    eventually(lambda: "can be read again" in caplog.text)


@pytest.mark.fault("W11")
def test_a_stub_taken_away_while_its_download_runs_changes_nothing(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    gate = threading.Event()
    friend.offer(ITEM, BODY)
    friend.script(FILE, paused(friend, 300 * KIB, gate))
    stub = you.drop("Film.torrent", friend.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 0)
    stub.unlink()
    gate.set()
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == BODY
    assert "WARNING jack.blackhole" not in you.log
    assert you.stop() == 0


@pytest.mark.fault("W3", "W16", "W17")
def test_odd_files_among_the_stubs_hold_up_none_of_them(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    friend.offer(ITEM, BODY)
    you.watch.mkdir(parents=True)
    (you.watch / "empty.torrent").touch()
    (you.watch / "link.magnet").write_text("magnet:?xt=urn:btih:1")
    (you.watch / "folder.torrent").mkdir()
    (you.watch / "nowhere.torrent").symlink_to(you.folder / "nowhere")
    os.mkfifo(you.watch / "pipe.torrent")
    stub = you.drop("Film.torrent", friend.url, ITEM)
    os.utime(stub, (4_000_000_000, 4_000_000_000))
    before = sorted(os.listdir(you.watch))
    you.configure(downloads={"rescanIntervalMs": 100})
    you.start()
    you.row(1, S.COMPLETED)
    eventually(lambda: not stub.exists(), PATIENCE_SECONDS, "the end of the stub")
    assert sorted([*os.listdir(you.watch), "Film.torrent"]) == before
    assert you.log.count("is a magnet link, which jack cannot download") == 1
    friend.offer("c:movie:2", BODY, filename="Other (2021).mkv")
    late = you.watch / "empty.torrent"
    late.write_bytes(you.drop("x.part", friend.url, "c:movie:2").read_bytes())
    you.row(2, S.COMPLETED)
    assert you.stop() == 0
