"""The server itself: slow, fast, vanishing and shrinking things on the other side of a socket."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from jack.errors import UserError
from jack.web.app import create_app
from jack.web.server import Server, listen
from tests.web.served_peer import KEY

MIB = 1024 * 1024
BIG = 64 * MIB


@pytest.fixture
def big(peer: Any) -> str:
    """A file of 64 MiB that takes no room; its last byte tells that the end was reached."""
    url = peer.share("big.mkv", b"start") + "/file"
    with (peer.folder / "big.mkv").open("r+b") as file:
        file.truncate(BIG)
        file.seek(BIG - 1)
        file.write(b"!")
    return str(url)


@contextlib.contextmanager
def requested(peer: Any, path: str, *extra: str, receive_bytes: int = 0) -> Iterator[socket.socket]:
    """A connection on which `path` was asked for and nothing has been read yet."""
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    with sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", peer.server.port))
        lines = [f"GET {path} HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}", *extra, "", ""]
        sock.sendall("\r\n".join(lines).encode())
        yield sock


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """The header block, and what came of the body with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(4096)
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


def read_rest(sock: socket.socket) -> int:
    """Bytes until the other side closes."""
    total = 0
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(MIB):
            total += len(chunk)
    return total


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def serving(name: str) -> int:
    """How many descriptors of this process lead to a file of that name."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{number}").endswith(name)
    return count


@pytest.mark.usefixtures("sending")
class TestReaders:
    @pytest.mark.fault("V4")
    def test_slow_ones_hold_neither_the_only_thread_nor_memory_nor_disk(
        self, peer: Any, big: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_spooling(*_: object, **__: object) -> None:
            raise AssertionError("the body was spooled to a temporary file")

        monkeypatch.setattr(tempfile, "TemporaryFile", no_spooling)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.ExitStack() as stack:
            readers = [
                stack.enter_context(requested(peer, big, receive_bytes=4096)) for _ in range(5)
            ]
            heads = [read_head(reader)[0] for reader in readers]
            assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
            assert peer.get("/handshake").status_code == 200
            assert peer.get(big, headers={"Range": f"bytes={BIG - 1}-"}).content == b"!"
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert grown_kib < 5 * BIG // 1024 // 4

    def test_a_reader_that_pauses_gets_everything_in_the_end(self, peer: Any, big: str) -> None:
        with requested(peer, big, "Connection: close", receive_bytes=4096) as reader:
            head, body = read_head(reader)
            assert f"content-length: {BIG}".encode() in head.lower()
            assert peer.get("/ping").status_code == 200
            assert len(body) + read_rest(reader) == BIG

    def test_a_reader_as_fast_as_the_disk_leaves_room_for_others(self, peer: Any) -> None:
        """One round of the event loop sends a turn, not the film."""
        url = peer.share("huge.mkv") + "/file"
        os.truncate(peer.folder / "huge.mkv", 64 * 1024 * MIB)
        stop, fast = threading.Event(), threading.Event()

        def devour() -> None:
            with requested(peer, url) as reader:
                buffer = bytearray(4 * MIB)
                total = 0
                while not stop.is_set() and (count := reader.recv_into(buffer)):
                    total += count
                    if total > 256 * MIB:
                        fast.set()

        thread = threading.Thread(target=devour)
        thread.start()
        try:
            assert fast.wait(20)
            for _ in range(20):
                assert requests.get(peer.url + "/ping", timeout=5).ok
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join(20)

    def test_what_follows_a_whole_request_closes_the_connection_after_its_answer(
        self, peer: Any
    ) -> None:
        url = peer.share("a.mkv") + "/file"
        lines = (f"GET {url} HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}")
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", peer.server.port), timeout=20) as sock:
            sock.sendall(request * 3)
            data = b""
            while chunk := sock.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in head
        assert body == b"0123456789"

    def test_an_empty_line_before_a_request_is_not_taken_for_one(self, peer: Any) -> None:
        """RFC 9112, 2.2: some clients end a request with one."""
        with socket.create_connection(("127.0.0.1", peer.server.port), timeout=20) as sock:
            sock.sendall(b"\r\n\r\nGET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            head = sock.recv(65536)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" not in head


@pytest.mark.usefixtures("sending")
class TestVanishing:
    @pytest.mark.fault("V5")
    def test_two_hundred_aborted_requests_leave_no_descriptor(self, peer: Any, big: str) -> None:
        peer.get("/ping")
        before = open_files()
        for number in range(200):
            with requested(peer, big) as sock:
                if number % 2:
                    sock.recv(1)
        assert eventually(lambda: serving("big.mkv") == 0)
        assert eventually(lambda: open_files() <= before)
        assert peer.get("/handshake").status_code == 200

    @pytest.mark.parametrize(
        ("method", "headers"),
        [
            ("GET", {}),
            ("HEAD", {}),
            ("GET", {"Range": "bytes=2-3"}),
            ("GET", {"Range": "bytes=99-"}),
            ("GET", {"Range": "bytes=-3", "If-Range": '"x"'}),
        ],
    )
    def test_every_kind_of_answer_closes_its_file(
        self, peer: Any, method: str, headers: dict[str, str]
    ) -> None:
        url = peer.share("a.mkv") + "/file"
        for _ in range(5):
            peer.get(url, method=method, headers=headers)
        assert eventually(lambda: serving("a.mkv") == 0)

    def test_an_empty_file_is_closed_too(self, peer: Any) -> None:
        peer.get(peer.share("empty.mkv", b"") + "/file")
        assert eventually(lambda: serving("empty.mkv") == 0)


@pytest.mark.usefixtures("sending")
class TestShrinking:
    @pytest.mark.fault("V2")
    def test_a_file_cut_while_it_is_sent_ends_the_connection_short(
        self, peer: Any, big: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with requested(peer, big, receive_bytes=4096) as reader:
            head, body = read_head(reader)
            assert f"content-length: {BIG}".encode() in head.lower()
            os.truncate(peer.folder / "big.mkv", 8 * MIB)
            assert len(body) + read_rest(reader) <= 8 * MIB
        assert eventually(lambda: serving("big.mkv") == 0)
        assert "became shorter" in caplog.text
        assert peer.get("/ping").status_code == 200

    @pytest.mark.fault("V2")
    def test_a_file_cut_between_the_look_and_the_sending_is_never_announced_as_shorter(
        self, peer: Any, big: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A 200 with a smaller Content-Length would pass for a complete file."""
        real = peer.catalog.open

        def open_then_cut(item_id: str) -> Any:
            opened = real(item_id)
            os.truncate(peer.folder / "big.mkv", 3)
            return opened

        monkeypatch.setattr(peer.catalog, "open", open_then_cut)
        with requested(peer, big) as reader:
            head, body = read_head(reader)
            assert f"content-length: {BIG}".encode() in head.lower()
            assert len(body) + read_rest(reader) == 3

    def test_a_file_that_grows_is_sent_up_to_the_announced_end(self, peer: Any, big: str) -> None:
        with requested(peer, big, "Connection: close", receive_bytes=4096) as reader:
            _, body = read_head(reader)
            os.truncate(peer.folder / "big.mkv", BIG + MIB)
            assert len(body) + read_rest(reader) == BIG


class TestLife:
    def test_a_port_in_use_is_a_users_error_with_a_remedy(self) -> None:
        before = threading.active_count()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(UserError, match=rf"port {port}.*internalUrl"):
                Server(create_app([]), listen("127.0.0.1", port))
        assert threading.active_count() == before

    @pytest.mark.parametrize(
        ("host", "port"), [("203.0.113.1", 0), ("no.such.host.invalid", 0), ("127.0.0.1", 70000)]
    )
    def test_an_impossible_address_is_a_users_error(self, host: str, port: int) -> None:
        with pytest.raises(UserError, match="cannot be used"):
            Server(create_app([]), listen(host, port))

    @pytest.mark.parametrize("host", ["", "*", "0.0.0.0", "::"])
    def test_any_address_includes_ipv4(self, host: str) -> None:
        server = Server(create_app([]), listen(host, 0))
        server.start()
        try:
            assert requests.get(f"http://127.0.0.1:{server.port}/ping", timeout=20).ok
        finally:
            server.stop(20)

    def test_stop_frees_the_port_the_connections_and_the_descriptors(self) -> None:
        before, threads = open_files(), set(threading.enumerate())
        server = Server(create_app([]), listen("127.0.0.1", 0))
        server.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as idle:
            assert requests.get(f"http://127.0.0.1:{server.port}/ping", timeout=20).ok
            server.stop(20)
            assert idle.recv(1) == b""
        server.stop(20)
        socket.create_server(("127.0.0.1", server.port)).close()
        assert eventually(lambda: set(threading.enumerate()) <= threads)
        assert open_files() <= before

    def test_stop_ends_a_transfer_and_closes_its_file(self, peer: Any, big: str) -> None:
        with requested(peer, big, receive_bytes=4096) as reader:
            read_head(reader)
            began = time.monotonic()
            peer.server.stop(20)
            assert time.monotonic() - began < 15
            assert read_rest(reader) < BIG
        assert serving("big.mkv") == 0

    def test_stop_before_start_gives_the_port_back(self) -> None:
        server = Server(create_app([]), listen("127.0.0.1", 0))
        server.stop(1)
        socket.create_server(("127.0.0.1", server.port)).close()

    def test_stop_does_not_wait_for_a_request_that_hangs(
        self, serve: Callable[..., Server]
    ) -> None:
        entered, release = threading.Event(), threading.Event()

        def hang(_: Any, start_response: Any) -> list[bytes]:
            entered.set()
            release.wait(20)
            start_response("200 OK", [("Content-Length", "0")])
            return []

        server = serve(hang)
        asking = threading.Thread(target=_ask_quietly, args=(server.port,))
        asking.start()
        try:
            assert entered.wait(20)
            began = time.monotonic()
            server.stop(0.3)
            assert time.monotonic() - began < 15
        finally:
            release.set()
            asking.join(20)

    def test_ordinary_requests_write_nothing_above_debug(
        self, peer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = peer.share("a.mkv") + "/file"
        with caplog.at_level(logging.INFO):
            threads = [threading.Thread(target=peer.get, args=(url,)) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        ours = [r for r in caplog.records if not r.name.startswith("urllib3")]
        assert [r.getMessage() for r in ours] == []


def _ask_quietly(port: int) -> None:
    with contextlib.suppress(requests.RequestException):
        requests.get(f"http://127.0.0.1:{port}/", timeout=20)
