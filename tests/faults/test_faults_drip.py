"""Friends who keep a connection busy without ever getting anywhere, and a jack that must stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.model import DownloadStatus as S
from tests.scenarios.harness import PATIENCE_SECONDS, Jack, peer_entry
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import film

BODY = film(200_000)
PAUSE_SECONDS = 0.02


class Drip:
    """A port whose every answer begins with `first` and goes on with `again`, for ever."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self._first = first
        self._again = again
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.busy = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            if b"/handshake" in request:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(self._first)
            self.busy.set()
            while not self._ended.wait(PAUSE_SECONDS):
                connection.sendall(self._again)


OK = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "nothing": (b"", b""),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"x"),
    "a header": (OK + b"X: ", b"y"),
    "headers": (OK, b"X: y\r\n"),
    "a chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "an extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "a body": (OK + b"Content-Length: 200000\r\n\r\n", b"x"),
    "tiny chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.fixture
def drips() -> Iterator[dict[str, Drip]]:
    with contextlib.ExitStack() as stack:
        made = {kind: Drip(*pieces) for kind, pieces in DRIPS.items()}
        for drip in made.values():
            stack.callback(drip.close)
        yield made


@pytest.mark.fault("N7", "P9")
def test_friends_who_only_drip_hold_up_neither_others_nor_the_end(
    tmp_path: Path, drips: dict[str, Drip]
) -> None:
    """Each holds a transfer and a question about metadata; another friend's film comes at once."""
    with ScriptedPeer() as good, contextlib.ExitStack() as stack:
        good.offer("c:movie:1", BODY, filename="good.mkv")
        urls = {kind: f"http://127.0.0.1:{drip.port}" for kind, drip in drips.items()}
        entries = [peer_entry(kind, url) for kind, url in urls.items()]
        jack = Jack(
            tmp_path / "you",
            downloads={"maxConcurrentDownloads": len(DRIPS) + 1},
            peers=[*entries, peer_entry("good", good.url)],
        )
        stack.callback(jack.close)
        for kind, url in urls.items():
            jack.plant(f"{kind}.torrent", url, "c:movie:2", f"{kind}.mkv", size=len(BODY))
        jack.start()
        for kind, drip in drips.items():
            eventually(drip.busy.is_set, PATIENCE_SECONDS, f"a request for {kind}")
        for kind, url in urls.items():
            jack.drop(f"{kind} too.torrent", url, "c:movie:3")
        jack.drop("good.torrent", good.url, "c:movie:1")
        jack.row(len(DRIPS) + 1, S.COMPLETED)
        assert jack.stop() == 0, "within the time that is promised"
        states = {row.status for row in jack.rows()[: len(DRIPS)]}
        assert states <= {S.QUEUED, S.DOWNLOADING, S.WAITING}
        assert "Traceback" not in jack.log
    assert jack.file("good.mkv").read_bytes() == BODY
