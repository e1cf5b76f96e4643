"""Logs nobody takes, closed descriptors, signals at any moment, a machine that has run out."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jack.downloads import retry
from jack.errors import Interrupted
from jack.model import DownloadStatus
from jack.support.clock import SystemClock
from jack.support.http import Wire, new_session, send
from jack.transfer.engine import Engine
from tests.downloads.world import world
from tests.scenarios.harness import KEY, KIB, PATIENCE_SECONDS, Jack, content, cut, peer_entry
from tests.support.hurt_jack import HurtJack
from tests.support.scripted_peer import ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FULL = Path("/dev/full")


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with ScriptedPeer(api_key=KEY) as friend:
        friend.offer(ITEM, content(300 * KIB), etag='"v1"')
        yield friend


@pytest.fixture
def you(tmp_path: Path, peer: ScriptedPeer) -> Iterator[Jack]:
    jack = Jack(tmp_path / "you", peers=[peer_entry("friend", peer.url)])
    yield jack
    jack.close()


def delivers(you: Jack, peer: ScriptedPeer) -> None:
    """A stub becomes a file, and a stop is graceful: so jack is alive and well."""
    you.drop("Film.torrent", peer.url, ITEM)
    you.row(1, S.COMPLETED)
    assert you.file().read_bytes() == content(300 * KIB)
    assert you.stop() == 0


@pytest.fixture
def stuck_pipe() -> Iterator[int]:
    """The end to write to of a pipe that is full and whose reader has stopped reading."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    yield writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.fault("R8")
@pytest.mark.parametrize("log", ["full disk", "closed pipe", "stuck pipe"])
def test_a_log_that_nobody_takes_holds_up_nothing(
    you: Jack, peer: ScriptedPeer, log: str, closed_pipe: int, stuck_pipe: int
) -> None:
    if log == "full disk":
        with FULL.open("wb") as full:
            you.start("--log-level", "trace", wait=False, stdout=full, stderr=full)
    else:
        pipe = {"closed pipe": closed_pipe, "stuck pipe": stuck_pipe}[log]
        you.start("--log-level", "trace", wait=False, stdout=pipe, stderr=pipe)
    delivers(you, peer)


@pytest.mark.fault("R9")
def test_descriptors_that_came_closed_are_never_given_to_the_database(
    you: Jack, peer: ScriptedPeer
) -> None:
    shell = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']
    process = you.start(wait=False, before=shell)
    you.drop("Film.torrent", peer.url, ITEM)
    you.row(1, S.COMPLETED)
    folder = Path(f"/proc/{process.pid}/fd")
    assert {os.readlink(folder / str(number)) for number in range(3)} == {os.devnull}
    assert you.stop() == 0


@pytest.mark.fault("R14")
def test_signals_at_any_moment_never_leave_a_jack_behind(you: Jack, peer: ScriptedPeer) -> None:
    """Two signals are a stop and an "at once"; whatever was going on then, neither waits."""
    peer.offer(ITEM, content(4096 * KIB), etag='"v1"')
    peer.script(file_path(ITEM), *[cut(peer, 80 * KIB)] * 200)
    you.drop("Film.torrent", peer.url, ITEM)
    pause = threading.Event()
    for number in range(3):
        process = you.start("--log-level", "trace", "--log-json")
        if number == 1:
            eventually(lambda: peer.requests_to(file_path(ITEM)), PATIENCE_SECONDS, "a transfer")
        while process.poll() is None:
            process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3])
            if number == 2:  # hang-ups end nothing
                process.send_signal(signal.SIGTERM)
            pause.wait(0.001)
        assert process.wait(PATIENCE_SECONDS) in {0, 128 + signal.SIGTERM, 128 + signal.SIGINT}
    you.start()
    you.row(1, S.COMPLETED)
    assert you.stop() == 0


@pytest.mark.fault("R14")
@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("by_nohup", [False, True])
def test_a_terminal_that_is_closed_ends_nothing(
    you: Jack, peer: ScriptedPeer, by_nohup: bool
) -> None:
    process = you.start(before=["nohup"] if by_nohup else [])
    process.send_signal(signal.SIGHUP)
    if not by_nohup:
        eventually(lambda: "SIGHUP: jack goes on" in you.log, PATIENCE_SECONDS, "the line")
    delivers(you, peer)
    assert you.log.count("SIGHUP") == (0 if by_nohup else 1)


def _descriptors(pid: int) -> int:
    return max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1


WARM = 6


@pytest.mark.fault("R3")
def test_a_jack_without_free_descriptors_delays_downloads_and_loses_none(
    you: Jack, peer: ScriptedPeer
) -> None:
    you.configure(downloads={"rescanIntervalMs": 200, "maxConcurrentDownloads": 4})
    process = you.start()
    kind = resource.RLIMIT_NOFILE
    _, hard = resource.prlimit(process.pid, kind)
    pause = threading.Event()
    wanted = {}
    for number in range(WARM):  # so that every thread has its connection to the database
        peer.offer(f"c:movie:{number}", content(KIB, number), filename=f"Warm {number}.mkv")
        you.drop(f"{number}.torrent", peer.url, f"c:movie:{number}")
    for number in range(WARM):
        you.row(number + 1, S.COMPLETED)
    for spare in (0, 2, 5):
        resource.prlimit(process.pid, kind, (_descriptors(process.pid) + spare, hard))
        for _ in range(4):
            number = WARM + len(wanted)
            name = f"Film {number}.mkv"
            wanted[name] = content(300 * KIB, number)
            peer.offer(f"c:movie:{number}", wanted[name], filename=name)
            you.drop(f"{number}.torrent", peer.url, f"c:movie:{number}")
        pause.wait(0.7)
        resource.prlimit(process.pid, kind, (hard, hard))
        pause.wait(0.1)
    for name, body in wanted.items():
        eventually(you.file(name).exists, PATIENCE_SECONDS, f"{name} in\n{you.log}")
        assert you.file(name).read_bytes() == body
    rows = range(1, WARM + len(wanted) + 1)
    assert {you.row(number, S.COMPLETED).status for number in rows} == {S.COMPLETED}
    assert "Traceback" not in you.log, you.log
    assert you.stop() == 0


_REFUSED = """
import threading
genuine = threading._start_new_thread
def refused(*arguments):
    if arguments[0].__self__.name.startswith({name!r}):
        raise RuntimeError("can't start new thread")
    return genuine(*arguments)
threading._start_new_thread = refused
"""


@pytest.mark.fault("R3")
@pytest.mark.parametrize("name", ["line", "transfer"])
def test_a_jack_that_gets_no_thread_ends_with_a_line_and_the_next_one_loses_nothing(
    tmp_path: Path, peer: ScriptedPeer, name: str
) -> None:
    you = HurtJack(tmp_path / "you", peers=[peer_entry("friend", peer.url)])
    you.patches = _REFUSED.format(name=name)
    try:
        process = you.start(wait=False)
        you.drop("Film.torrent", peer.url, ITEM)
        assert process.wait(PATIENCE_SECONDS) == 1, you.log
        said = "this machine has no thread left for jack; jack leaves so that it can be restarted"
        assert said in you.log
        assert "Traceback" not in you.log
        you.patches = ""
        you.start()
        row = you.row(1, S.COMPLETED)
        assert row.fruitless_attempts == 0
        assert you.file().read_bytes() == content(300 * KIB)
        assert you.stop() == 0
    finally:
        you.close()


@pytest.mark.fault("R3")
def test_a_jack_without_a_thread_for_deadlines_does_not_even_start(
    tmp_path: Path, peer: ScriptedPeer
) -> None:
    you = HurtJack(tmp_path / "you", peers=[peer_entry("friend", peer.url)])
    you.patches = _REFUSED.format(name="deadlines")
    try:
        assert you.start(wait=False).wait(PATIENCE_SECONDS) == 1
        assert "this machine has no thread left for jack" in you.log
    finally:
        you.close()


@pytest.mark.fault("R3")
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread"), OSError(errno.EMFILE, "x")]
)
def test_a_shortage_inside_an_attempt_is_not_a_bug_and_costs_no_attempt(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "SHORTAGE_LOOK_SECONDS", 0.05)
    genuine, left = Engine.run, [error, error]

    def run(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return genuine(*arguments)

    monkeypatch.setattr(Engine, "run", run)
    with world(tmp_path, SystemClock()) as made:
        ann = made.friend("ann")
        ann.offer(ITEM, content(KIB), filename="Film.mkv")
        made.start()
        made.drop(ann, ITEM)
        assert made.until(S.COMPLETED).fruitless_attempts == 0


@pytest.mark.fault("R7")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_cancel_ends_a_request_that_stands_in_its_handshake_or_before_its_headers(
    scheme: str,
) -> None:
    wire = Wire()
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        session = new_session({}, None, 1)
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
        request = pool.submit(send, session, "GET", url, who="ann", wire=wire)
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1), "it waits for our part of the handshake now"
            wire.abort(Interrupted("cancelled"))
            with pytest.raises(Interrupted):
                request.result(timeout=1.0)
        session.close()
