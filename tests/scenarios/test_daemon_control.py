"""The commands and the running daemon: live figures, orders that are done when the command returns,
and one clear line where there is nobody to answer.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from jack.model import DownloadStatus
from tests.scenarios.harness import KEY, KIB, PATIENCE_SECONDS, Jack, content, environment, paused
from tests.scenarios.harness import peer_entry as entry
from tests.support.ports import Port
from tests.support.scripted_peer import ScriptedPeer, file_path
from tests.support.terminal import shown
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
SIZE = 1000 * KIB
HALF = 500 * KIB
ROWS, COLUMNS = 24, 80


@pytest.fixture
def you(new_jack: Callable[..., Jack], peer: ScriptedPeer) -> Jack:
    """A checkpoint every 16 MiB: what arrives of a small film is not safe before its end."""
    return new_jack(peers=[entry("friend", peer.url)], downloads={"checkpointBytes": 16 * 1024**2})


def half_way(you: Jack, peer: ScriptedPeer, gate: threading.Event) -> None:
    peer.offer(ITEM, content(SIZE))
    peer.script(FILE, paused(peer, HALF, gate))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    eventually(
        lambda: [row["receivedBytes"] for row in you.status()] == [HALF],
        PATIENCE_SECONDS,
        "half of the film",
    )


def trickle(you: Jack, peer: ScriptedPeer) -> None:
    """80 kB a second, twelve seconds in all."""
    peer.offer(ITEM, content(SIZE))
    pieces = {"piece_bytes": 8 * KIB, "piece_pause_seconds": 0.1}
    peer.script(FILE, lambda request: replace(peer.honest(request), **pieces))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()


def test_status_shows_what_has_arrived_before_it_is_safe_and_how_fast(
    you: Jack, peer: ScriptedPeer
) -> None:
    trickle(you, peer)
    row = eventually(
        lambda: next((row for row in you.status() if row["bytesPerSecond"]), None),
        PATIENCE_SECONDS,
        "a speed",
    )
    assert row["downloadedBytes"] < row["receivedBytes"] < SIZE
    missing = SIZE - row["receivedBytes"]
    assert row["etaSeconds"] == pytest.approx(missing / row["bytesPerSecond"], abs=1)
    you.row(1, S.COMPLETED)
    (row,) = you.status()
    assert (row["receivedBytes"], row["bytesPerSecond"], row["etaSeconds"]) == (SIZE, None, None)


def test_without_a_daemon_status_is_what_the_database_knows(you: Jack, peer: ScriptedPeer) -> None:
    half_way(you, peer, threading.Event())
    assert you.stop() == 0
    (row,) = you.status()
    assert row["receivedBytes"] == row["downloadedBytes"] == HALF
    assert row["bytesPerSecond"] is None


def test_a_cancel_is_done_when_the_command_returns(you: Jack, peer: ScriptedPeer) -> None:
    half_way(you, peer, threading.Event())
    done = you.run("cancel", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("download 1: Cancelled: cancelled by the user")
    assert you.rows()[0].status is S.CANCELLED
    assert not you.part().exists()
    again = you.run("retry", "1")
    assert again.returncode == 0
    assert "Cancelled" not in again.stdout
    assert you.rows()[0].status is not S.CANCELLED


def test_the_socket_is_the_owners_alone_and_goes_with_its_jack(
    you: Jack, peer: ScriptedPeer
) -> None:
    you.start()
    eventually(lambda: you.run("status").returncode == 0, PATIENCE_SECONDS, "an answer")
    found = (you.state / "jack.sock").stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert you.stop() == 0
    assert not (you.state / "jack.sock").exists()


def test_what_a_killed_jack_has_left_neither_answers_nor_is_in_the_way(
    you: Jack, peer: ScriptedPeer
) -> None:
    half_way(you, peer, threading.Event())
    you.kill()
    assert (you.state / "jack.sock").exists()
    assert you.run("status").returncode == 0
    you.start()
    eventually(lambda: you.run("why", "1").returncode == 0, PATIENCE_SECONDS, "an answer")


def test_a_jack_that_hangs_is_said_in_one_line(you: Jack, peer: ScriptedPeer) -> None:
    """Stopped by SIGSTOP it holds the lock and does not answer; nothing is done behind its back."""
    half_way(you, peer, threading.Event())
    process = you.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    (you.state / "jack.sock").unlink()
    try:
        done = you.run("cancel", "1")
    finally:
        process.send_signal(signal.SIGCONT)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "does not answer on its socket" in done.stderr
    assert you.rows()[0].status is S.DOWNLOADING


def test_the_owners_key_opens_the_same_on_the_port_and_a_friends_key_does_not(
    new_jack: Callable[..., Jack], peer: ScriptedPeer
) -> None:
    port, friends_key = Port(), "the-key-of-a-friend-17"
    jack = {"internalUrl": port.url, "apiKey": KEY[::-1]}
    you = new_jack(
        jack=jack,
        peers=[entry("friend", peer.url)],
        friends=[{"name": "ann", "apiKey": friends_key}],
    )
    half_way(you, peer, threading.Event())

    def ask(method: str, path: str, key: str | None) -> requests.Response:
        headers = {} if key is None else {"X-Api-Key": key}
        return requests.request(method, port.url + path, headers=headers, timeout=PATIENCE_SECONDS)

    for method, path in (
        ("GET", "/manage/overview"),
        ("GET", "/manage/downloads/1"),
        ("POST", "/manage/downloads/1/cancel"),
    ):
        assert ask(method, path, None).status_code == 401
        assert ask(method, path, friends_key).status_code == 401
    moving = {"bytesPerSecond": None, "etaSeconds": None}
    told = ask("GET", "/manage/downloads/1", KEY[::-1]).json()
    assert {**told, **moving} == {**you.status()[0], **moving}
    said = ask("POST", "/manage/downloads/1/cancel", KEY[::-1]).json()
    assert said["status"] == "cancelled"


class Terminal:
    """`jack status --watch` on a terminal of 80 columns and 24 rows."""

    def __init__(self, you: Jack) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        variables = {name: value for name, value in environment().items() if name != "COLUMNS"}
        self._ours = ours
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jack", "status", "--watch", "-c", str(you.config_path)],
            cwd=you.folder,
            env={**variables, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._written = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:
                return
            if not data:
                return
            self._written += data.decode()

    def screen(self) -> list[str]:
        return shown(self._written)

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)
        os.close(self._ours)
        self._reader.join(PATIENCE_SECONDS)


@pytest.mark.usefixtures("signals_of_a_terminal")
def test_watched_on_80_columns_a_download_is_two_lines_that_move(
    you: Jack, peer: ScriptedPeer, stack: Any
) -> None:
    trickle(you, peer)
    terminal = Terminal(you)
    stack.callback(terminal.close)
    eventually(lambda: " left" in "".join(terminal.screen()[:1]), PATIENCE_SECONDS, "its picture")
    head, name, *_, totals = terminal.screen()
    assert re.fullmatch(
        r" +1  downloading +█*▓*░+ +[0-9]+ % +1000\.0 KiB +[0-9.]+ [KM]?i?B/s +[0-9:]+ left", head
    )
    assert name.startswith("      Film (2020).mkv  Downloading from friend, attempt 1; ")
    assert re.match(r"1 running, [0-9.]+ [KM]?i?B/s; 0 waiting; .* free", totals)
    assert all(len(line) <= COLUMNS for line in terminal.screen())
    eventually(lambda: "completed" in terminal.screen()[0], PATIENCE_SECONDS, "the end")
    assert "100 %" in terminal.screen()[0]
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(PATIENCE_SECONDS) == 0


def test_status_is_the_same_json_with_and_without_a_daemon(you: Jack, peer: ScriptedPeer) -> None:
    peer.offer(ITEM, content(KIB))
    you.drop("Film.torrent", peer.url, ITEM)
    you.start()
    you.row(1, S.COMPLETED, lambda row: row.error is not None)
    with_one = json.loads(you.run("status", "--json").stdout)
    assert you.stop() == 0
    assert json.loads(you.run("status", "--json").stdout) == with_one
    assert Path(with_one["downloads"][0]["destPath"]) == you.file()


def test_a_stub_whose_friend_is_away_is_in_the_list_with_its_reason(
    new_jack: Callable[..., Jack],
) -> None:
    port = Port()
    you = new_jack(
        peers=[entry("friend", port.url)],
        downloads={"retryBaseDelayMs": 60_000, "retryMaxDelayMs": 60_000},
    )
    you.drop("Film.torrent", port.url, ITEM)
    you.start()

    def stubs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(you.run("status", "--json").stdout)["stubs"]
        return found

    (stub,) = eventually(
        lambda: [each for each in stubs() if "cannot be reached" in each["why"]],
        PATIENCE_SECONDS,
        "the reason",
    )
    assert set(stub) == set(
        "torrentFilename infoHash peerId peerName itemId title size since why".split()
    )
    assert (stub["torrentFilename"], stub["peerName"]) == ("Film.torrent", "friend")
    assert (stub["itemId"], stub["title"], stub["size"]) == (ITEM, "Film", 1000)
    assert re.search(r"looked at again in [0-9]+ s\.$", stub["why"])
    said = you.run("status").stdout
    assert "Film  " in said
    assert "cannot be reached" in " ".join(said.split())
