"""`jack demo` with a small film: the whole loop with two real processes."""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from jack import demo
from jack.demo.cable import Cable
from jack.demo.stage import MIB, Stage
from jack.errors import UserError
from tests.support.waiting import eventually

FILM_BYTES = 4 * MIB


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo makes its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_demo_shows_a_cut_a_kill_a_resume_and_equal_hashes(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "BYTES_PER_SECOND", 2 * MIB)
    assert demo.run_demo(FILM_BYTES) == 0
    out = capsys.readouterr().out
    ranges = re.findall(r"resumed with  Range: bytes=(\d+)-", out)
    assert len(ranges) >= 2, "after the cut, and after the kill"
    assert 0 < int(ranges[0]) < int(ranges[-1]) < FILM_BYTES
    assert re.search(r"sha256 at yours +[0-9a-f]{64}  equal", out)
    assert "the stub is gone" in out
    (left,) = temporary.iterdir()
    (film,) = left.iterdir()
    assert film.stat().st_size == FILM_BYTES
    assert str(film) in out.replace("\n", "")


def test_a_demo_that_fails_says_why_and_leaves_nothing_behind(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.0)
    assert demo.run_demo(MIB) == 1
    assert "The demo did not work: it took too long" in capsys.readouterr().out
    assert list(temporary.iterdir()) == []


def test_a_disk_without_room_is_said_before_anything_is_written(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run_demo(2**60) == 1
    assert "set TMPDIR to a folder with more room" in " ".join(capsys.readouterr().out.split())
    assert list(temporary.iterdir()) == []


def test_a_friend_who_does_not_start_is_said_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.demo.stage.START_SECONDS", 0.0)
    stage = Stage(tmp_path, MIB)
    stage.build()
    try:
        with pytest.raises(UserError, match="the friend's jack did not start"):
            stage.start_friend()
    finally:
        stage.stop()
    assert str(stage) == str(tmp_path)


def test_the_cable_carries_both_ways_can_be_cut_and_is_slow_on_purpose() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    far: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                far.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    cable = Cable(listener.getsockname()[1], 100 * MIB)
    near = socket.create_connection(("127.0.0.1", cable.port), 20)
    near.sendall(b"GET / HTTP/1.1\r\nRange: bytes=5-\r\n\r\n")
    eventually(lambda: far)
    assert far[0].recv(100).startswith(b"GET")
    far[0].sendall(b"hello")
    assert near.recv(100) == b"hello"
    assert (cable.ranges, cable.carried) == (["bytes=5-"], 5)
    assert cable.cut() == 1
    with contextlib.suppress(OSError):
        assert near.recv(1) == b"", "the line is dead, by FIN or by RST"
    cable.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)
    for end in (near, *far):
        end.close()
