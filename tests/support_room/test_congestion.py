"""Sockets that serve files send with BBR where the system lets them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jack.support import congestion
from jack.web.server import Server, listen

pytestmark = pytest.mark.skipif(
    congestion.got() != congestion.WANTED, reason="this system does not let us ask for BBR"
)
real_create_server = socket.create_server
OPTION = getattr(socket, "TCP_CONGESTION", 0)


def reno_server(*arguments: Any, **options: Any) -> socket.socket:
    """A listener on a system whose default is not BBR."""
    listener = real_create_server(*arguments, **options)
    listener.setsockopt(socket.IPPROTO_TCP, OPTION, b"reno")
    return listener


def accepted(client: socket.socket) -> str | None:
    """What the other end of `client`, which is in this process, sends with."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as sock:
            if sock.getpeername() == client.getsockname():
                return congestion.used_by(sock)
    return None


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Any:
    def start() -> Server:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "create_server", reno_server)
            server = Server(lambda *_: [], listen("127.0.0.1", 0), threads=1)
        server.start()
        servers.append(server)
        return server

    servers: list[Server] = []
    yield lambda: start().port
    for server in servers:
        server.stop(20)


def sends_with(port: int) -> str | None:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        client.settimeout(0.2)
        found = None
        for _ in range(50):  # the connection is accepted by the server's thread
            found = accepted(client)
            if found:
                break
            with contextlib.suppress(TimeoutError):
                client.recv(1)
        return found


def test_what_the_server_accepts_sends_with_bbr(port: Callable[[], int]) -> None:
    assert sends_with(port()) == "bbr"


@pytest.mark.parametrize("option", [None, 9999])
def test_where_the_system_refuses_it_goes_on_without(
    port: Callable[[], int], monkeypatch: pytest.MonkeyPatch, option: int | None
) -> None:
    with monkeypatch.context() as patch:
        if option is None:
            patch.delattr(socket, "TCP_CONGESTION")
        else:
            patch.setattr(socket, "TCP_CONGESTION", option)
        taken = port()
        assert congestion.got() is None
    assert sends_with(taken) == "reno"


def test_the_way_to_allow_it_keeps_what_is_allowed_already(
    tmp_path: Path,
) -> None:
    allowed = tmp_path / "tcp_allowed_congestion_control"
    available = tmp_path / "tcp_available_congestion_control"
    allowed.write_text("reno cubic\n")
    available.write_text("reno cubic bbr\n")
    command = 'sysctl -w net.ipv4.tcp_allowed_congestion_control="reno cubic bbr"'
    assert congestion.how_to_allow(tmp_path) == command
    available.write_text("reno cubic\n")
    assert congestion.how_to_allow(tmp_path) == f"modprobe tcp_bbr, then {command}"
