"""`jack demo` with a small film: the whole circle with two real jacks and the pretend Radarr."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from jack import demo
from jack.demo.cable import Cable
from jack.demo.radarr import PretendRadarr
from jack.demo.stage import MIB, MOVIE, Stage
from jack.errors import UserError
from tests.support.waiting import eventually

FILM_BYTES = 4 * MIB


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo makes its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def demo_process(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own, in a session of its own as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "jack", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )


def is_empty_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_demo_goes_from_search_to_import_through_a_cut_and_a_kill(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "BYTES_PER_SECOND", 2 * MIB)
    assert demo.run_demo(FILM_BYTES) == 0
    out = capsys.readouterr().out
    ranges = re.findall(r"resumed with  Range: bytes=(\d+)-", out)
    assert len(ranges) >= 2, "after the cut, and after the kill"
    assert 0 < int(ranges[0]) < int(ranges[-1]) < FILM_BYTES
    assert re.search(r"sha256 in Radarr's library +[0-9a-f]{64}  equal", out)
    assert "Status: imported" in out
    assert "the stub is gone" in out
    (film,) = (path for path in temporary.rglob("*") if not path.is_dir())
    assert film.stat().st_size == FILM_BYTES
    assert film.parent.parts[-2:] == ("library", MOVIE.folder)
    assert f"The film is at {film}\n" in out
    assert f"rm -r {temporary / film.relative_to(temporary).parts[0]}\n" in out


def test_without_a_terminal_the_demo_fits_one_screen_and_has_no_control_codes(
    temporary: Path,
) -> None:
    process = demo_process(temporary, "--size-mib", "2")
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0, out
    assert all(character.isprintable() for character in out.replace("\n", "")), out
    assert len(out.splitlines()) <= 24
    eventually(lambda: is_empty_group(process.pid), what="the end of both jacks")


@pytest.mark.usefixtures("signals_of_a_terminal")
def test_ctrl_c_leaves_nothing_behind(temporary: Path) -> None:
    process = demo_process(temporary)
    try:
        eventually(lambda: list(temporary.rglob("you/state/jack.db")), 60.0, "your jack")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert list(temporary.iterdir()) == []
    eventually(lambda: is_empty_group(process.pid), what="the end of both jacks")


def test_another_film_in_the_library_is_a_failure_and_is_not_kept(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Spoiling(PretendRadarr):
        """Its library has something else than what was handed over."""

        @property
        def film(self) -> Path | None:
            return self._film

        @film.setter
        def film(self, path: Path | None) -> None:
            self._film = path
            if path is not None:
                path.write_bytes(b"another film")

    monkeypatch.setattr(demo, "PretendRadarr", Spoiling)
    assert demo.run_demo(MIB) == 1
    digest = hashlib.sha256(b"another film").hexdigest()
    assert f"{digest}  DIFFERENT" in capsys.readouterr().out
    assert list(temporary.iterdir()) == []


def test_a_demo_that_fails_says_why_and_leaves_nothing_behind(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.0)
    assert demo.run_demo(MIB) == 1
    assert "The demo did not work: it took too long" in capsys.readouterr().out
    assert list(temporary.iterdir()) == []


def test_an_import_that_is_refused_ends_the_demo_with_the_reason(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    objection = [{"reason": "Sample", "type": "permanent"}]
    honest = PretendRadarr._dry_run
    monkeypatch.setattr(
        PretendRadarr,
        "_dry_run",
        lambda self, path: [{**one, "rejections": objection} for one in honest(self, path)],
    )
    assert demo.run_demo(MIB) == 1
    assert "Radarr rejects the import: 'Sample'" in " ".join(capsys.readouterr().out.split())
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
