"""`<statePath>/jack.sock`: the unix socket a running jack listens on. Who may open it may steer
jack, so it is the owner's alone (0600, in a folder of 0700), and no key is asked for.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from jack.errors import StateError
from jack.support.files import printable

SOCKET_NAME = "jack.sock"
_MODE = 0o600
_LONGEST_PATH_BYTES = 100
"""The kernel takes 107 (unix(7), `sun_path`), macOS 103."""


def listen(folder: Path) -> socket.socket:
    """The listening socket. One that an earlier jack has left is replaced: to be called with the
    lock held.

    Raises StateError with the remedy when it cannot be had.
    """
    path = folder / SOCKET_NAME
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove(path)
        with contextlib.suppress(OSError):  # before the bind: nobody opens it in between (Linux)
            os.fchmod(sock.fileno(), _MODE)
        with _address(folder) as address:
            sock.bind(address)
        os.chmod(path, _MODE)
        sock.listen(64)
    except OSError as error:
        sock.close()
        raise StateError(
            f"cannot listen on {printable(str(path))}: {error.strerror or error}; put"
            " jack.statePath on a local file system that has sockets"
        ) from error
    return sock


def connect(folder: Path, timeout_seconds: float) -> socket.socket:
    """A connection to the jack that runs there. Raises OSError when none listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_seconds)
    try:
        with _address(folder) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def remove(folder: Path) -> None:
    """At the end, with the lock held: nobody is to wait for an answer of a jack that has gone."""
    with contextlib.suppress(OSError):
        _remove(folder / SOCKET_NAME)


def _remove(path: Path) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FileExistsError(0, "something that is no socket lies there: move it away")
    os.unlink(path)


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's name for bind and connect, also where the folder's own is too long for it: then
    by way of a descriptor (Linux)."""
    path = str(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= _LONGEST_PATH_BYTES:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
