"""The unix socket in the state folder: the owner's alone, replaced when stale."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from jack.control.running import Daemon
from jack.control.sockets import SOCKET_NAME, connect, listen, remove
from jack.errors import StateError, UserError
from jack.support.clock import SystemClock


def test_it_is_readable_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with listen(tmp_path):
            mode = (tmp_path / SOCKET_NAME).stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_one_that_a_killed_jack_has_left_is_replaced(tmp_path: Path) -> None:
    listen(tmp_path).close()
    with listen(tmp_path) as listener, connect(tmp_path, 5) as there:
        here, _ = listener.accept()
        with here:
            here.sendall(b"x")
            assert there.recv(1) == b"x"


def test_a_file_of_that_name_is_left_alone_and_named(tmp_path: Path) -> None:
    (tmp_path / SOCKET_NAME).write_text("mine")
    with pytest.raises(StateError, match="no socket lies there: move it away"):
        listen(tmp_path)
    remove(tmp_path)
    assert (tmp_path / SOCKET_NAME).read_text() == "mine"


def test_a_folder_with_a_name_too_long_for_a_socket_has_one_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 120)
    deep.mkdir()
    with listen(deep), connect(deep, 5):
        assert (deep / SOCKET_NAME).is_socket()
    remove(deep)
    assert list(deep.iterdir()) == []


def test_a_jack_that_holds_the_lock_and_does_not_listen_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jack.control.running.CONTROL_START_SECONDS", 0.2)
    listen(tmp_path).close()  # stale: of a jack that was killed
    with pytest.raises(UserError, match="starting, stopping or of an older version"):
        Daemon(tmp_path, SystemClock()).get("overview")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", b"no\r\n"]
)
def test_a_jack_that_breaks_off_is_one_clear_line(tmp_path: Path, answer: bytes) -> None:
    with listen(tmp_path) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65_536)
                sock.sendall(answer)
                sock.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UserError, match="try again in a few seconds"):
            Daemon(tmp_path, SystemClock()).get("overview")
        thread.join(20)
