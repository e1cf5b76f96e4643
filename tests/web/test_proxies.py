"""Behind a reverse proxy that the config names, the addresses it speaks for count."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.web import crowd, guesses
from jack.web.proxies import Proxies
from tests.support.sharing_jack import KEY, SharingJack, sharing_jack
from tests.support.waiting import eventually

PROXY = "127.0.7.1"
MANY = crowd.PER_ADDRESS + 8
ANN, BEN = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[SharingJack]:
    with sharing_jack(tmp_path, jack={"proxies": ["127.0.7.0/24"]}) as made:
        yield made


def through(jack: SharingJack, asking: str, *, key: str = KEY, proxy: str = PROXY) -> socket.socket:
    """A connection of the proxy on which `asking` has asked."""
    sock = socket.create_connection(("127.0.0.1", jack.port), 20, (proxy, 0))
    lines = (
        "GET /handshake HTTP/1.1",
        "Host: x",
        f"X-Api-Key: {key}",
        f"X-Forwarded-For: {asking}",
    )
    sock.sendall("\r\n".join((*lines, "", "")).encode())
    return sock


def answered(sock: socket.socket) -> bytes:
    """The first line of the answer; nothing when jack has closed."""
    with contextlib.suppress(ConnectionError):
        return sock.recv(4096).split(b"\r\n")[0]
    return b""


def still_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(4096):
            pass
        return False
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("", PROXY),
        (ANN, ANN),
        (f"{BEN}, {ANN}", ANN),
        (f"{ANN}, 127.0.7.9", ANN),
        (f"{ANN}:4711", ANN),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        (f"::ffff:{ANN}", ANN),
        (f"{ANN}, unknown", PROXY),
        ("127.0.7.8", "127.0.7.8"),
    ],
)
def test_the_first_stranger_from_the_end_is_the_one_who_asks(forwarded: str, client: str) -> None:
    proxies = Proxies([ipaddress.ip_network("127.0.7.0/24")])
    assert proxies.client_of(PROXY, forwarded) == client
    assert proxies.client_of(f"::ffff:{PROXY}", forwarded).endswith(client)


def test_nobody_else_is_believed() -> None:
    assert Proxies().client_of(BEN, ANN) == BEN
    assert Proxies([ipaddress.ip_network("127.0.7.0/24")]).client_of(BEN, ANN) == BEN


def test_a_proxy_may_have_more_connections_than_one_address(jack: SharingJack) -> None:
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(through(jack, f"203.0.113.{number}")) for number in range(MANY)
        ]
        assert {answered(sock) for sock in socks} == {b"HTTP/1.1 200 OK"}
        assert all(map(still_open, socks))


@pytest.mark.parametrize("proxy", [PROXY, "127.0.8.1"], ids=["named", "unknown"])
def test_the_bound_of_connections_is_that_of_the_address_it_speaks_for(
    jack: SharingJack, proxy: str
) -> None:
    """One that nobody named can write what it likes: it is one address."""
    with contextlib.ExitStack() as stack:
        socks = []
        for number in range(MANY):
            asking = ANN if proxy == PROXY else f"203.0.113.{number}"
            socks.append(stack.enter_context(through(jack, asking, proxy=proxy)))
            assert answered(socks[-1]) == b"HTTP/1.1 200 OK"
        assert answered(stack.enter_context(through(jack, BEN))) == b"HTTP/1.1 200 OK"
        eventually(lambda: sum(map(still_open, socks)) <= crowd.PER_ADDRESS)


def test_wrong_keys_of_one_address_behind_it_delay_no_other(
    jack: SharingJack, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(guesses.FREE):
        with through(jack, ANN, key="wrong") as sock:
            assert answered(sock).startswith(b"HTTP/1.1 401")
    with through(jack, ANN, key="wrong") as late, through(jack, BEN, key="wrong") as other:
        assert answered(other).startswith(b"HTTP/1.1 401")
        assert still_open(late)
        late.settimeout(20)
        assert answered(late).startswith(b"HTTP/1.1 401")
    assert f"{ANN} asked for '/handshake'" in caplog.text
