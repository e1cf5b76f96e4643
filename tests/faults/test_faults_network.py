"""Names, addresses, certificates and connections that are not what they were."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jack.errors import PeerRefused, PeerUnreachable, TransientError
from jack.model import DownloadStatus as S
from jack.model import WaitReason
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.support import http
from jack.support.clock import SystemClock
from jack.support.http import Wire
from tests.downloads.world import World, world
from tests.support.certificates import LOOPBACK, self_signed
from tests.support.clock import FakeClock
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, film

BODY = film(100_000)
HALF = 40_000
HOST = "friend.example"
Address = tuple[str, int]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, SystemClock()) as made:
        yield made


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], list[Address]]], None]:
    """Lets a function say which addresses the names below example have."""
    real = socket.getaddrinfo

    def use(addresses: Callable[[], list[Address]]) -> None:
        def resolve(host: Any, port: Any, *more: Any, **named: Any) -> Any:
            if not str(host).endswith("example"):
                return real(host, port, *more, **named)
            return [
                (socket.AF_INET6 if ":" in name else socket.AF_INET, socket.SOCK_STREAM, 6, "", at)
                for at in addresses()
                for name in [at[0]]
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return use


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# -- names and addresses ---------------------------------------------------------------------------


@pytest.mark.fault("N13")
def test_a_dead_first_address_does_not_hide_a_living_second_one(
    rig: Rig, peer: ScriptedPeer, resolver: Callable[..., None]
) -> None:
    resolver(lambda: [("::1", closed_port()), ("127.0.0.1", peer.port)])
    peer.offer(ITEM, BODY)
    moved = Rig(rig.folder, peer, url=f"http://{HOST}:5225")
    moved.attempt()
    moved.close()
    assert moved.dest.read_bytes() == BODY


@pytest.mark.fault("N17")
def test_a_friend_who_moves_to_another_address_is_found_there(
    rig: Rig, peer: ScriptedPeer, resolver: Callable[..., None]
) -> None:
    with ScriptedPeer() as before:
        at = [before.port]
        resolver(lambda: [("127.0.0.1", at[0])])
        for friend in (before, peer):
            friend.offer(ITEM, BODY, etag=ETAG)
        before.script(FILE, lambda r: replace(before.honest(r), cut_after=HALF))
        moved = Rig(rig.folder, peer, url=f"http://{HOST}:5225")
        with pytest.raises(TransientError):
            moved.attempt()
        at[0] = peer.port
        moved.attempt()
        moved.close()
    assert moved.dest.read_bytes() == BODY
    assert moved.asked() == [f"bytes={HALF}-"]


@pytest.mark.fault("N3")
@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL])
def test_a_name_that_is_not_found_is_waited_for(
    running: World, resolver: Callable[..., None], number: int
) -> None:
    """Routers forget names: it is never the download's fault."""
    peer = running.friend()
    peer.offer("c:movie:1", BODY, filename="film-1.mkv", size=1000)
    running.peers[0] = replace(running.peers[0], url=f"http://{HOST}:5225")
    found = threading.Event()

    def addresses() -> list[Address]:
        if found.is_set():
            return [("127.0.0.1", peer.port)]
        raise socket.gaierror(number, "no such name")

    resolver(addresses)
    running.row_of(running.peers[0].url)
    running.start()
    row = running.until(S.WAITING, wait_reason=WaitReason.UNREACHABLE)
    assert "its host name was not found" in (row.error or "")
    found.set()
    running.until(S.COMPLETED)


@pytest.mark.fault("N3")
def test_a_slow_resolver_holds_up_nobody_but_its_own_friend(
    running: World, resolver: Callable[..., None]
) -> None:
    slow, good = running.friend("slow"), running.friend("good")
    running.peers[0] = replace(running.peers[0], url=f"http://{HOST}:5225")
    for number, friend in ((1, slow), (2, good)):
        friend.offer(f"c:movie:{number}", BODY, filename=f"film-{number}.mkv")
    gate = threading.Event()
    resolver(lambda: [("127.0.0.1", slow.port)] if gate.wait(30) else [])
    running.start()
    running.drop(running.peers[0].url, "c:movie:1", name="first")
    running.drop(good, "c:movie:2", name="second")
    assert running.until(S.COMPLETED, 1).filename == "film-2.mkv"
    gate.set()
    assert running.until(S.COMPLETED, 2).filename == "film-1.mkv"


@pytest.mark.fault("N2")
def test_a_connection_that_is_never_accepted_ends_after_the_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full backlog: the kernel drops every further SYN, as a firewall does."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_SECONDS", 0.3)
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        url = f"http://127.0.0.1:{hole.getsockname()[1]}"
        client = PeerClient(PeerEntry("0", "ann", url, "key"), connections=1)
        stack.callback(client.close)
        with pytest.raises(PeerUnreachable, match="cannot be reached"):
            client.get_release(ITEM, Wire())


@pytest.mark.fault("N12")
def test_an_outage_of_everybody_costs_a_look_each_and_no_download(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Ten minutes without any network, with forty downloads of four friends."""
    with world(tmp_path, clock, retry_base_delay_seconds=1.0, retry_max_delay_seconds=60.0) as all_:
        friends = [all_.friend(name) for name in ("ann", "bob", "cem", "dee")]
        for number in range(1, 41):
            friend = friends[number % 4]
            friend.offer(f"c:movie:{number}", film(1000), filename=f"film-{number}.mkv")
            all_.row_of(friend, number, peer_name=all_.peers[number % 4].name)
        ports = [friend.port for friend in friends]
        for friend in friends:
            friend.close()
        all_.start()
        for _ in range(20):
            all_.advance(30)
            eventually(lambda: not any(row.status is S.DOWNLOADING for row in all_.rows()))
        assert {row.status for row in all_.rows()} <= {S.QUEUED, S.WAITING}
        back = [ScriptedPeer(api_key="the-friends-key", port=port) for port in ports]
        all_.friends += back
        for number in range(1, 41):
            back[number % 4].offer(f"c:movie:{number}", film(1000), filename=f"film-{number}.mkv")

        def recovered() -> bool:
            all_.advance(10)
            return all(row.status is S.COMPLETED for row in all_.rows())

        eventually(recovered, 30, "the recovery of all")


@pytest.mark.fault("N4", "H28", "H29")
def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one(running: World) -> None:
    """And nothing but GET is ever sent."""
    peer = running.friend()
    peer.offer("c:movie:1", BODY, filename="film-1.mkv")
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"\x00" * 200_000
    head = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n"

    def answer(request: Any) -> Answer:
        body = bytes(peer.honest(request).body)
        return Answer(raw=head.format(len(body)).encode() + body + forged)

    peer.script(item_path("c:movie:1"), answer)
    peer.script(file_path("c:movie:1"), lambda r: replace(peer.honest(r), cut_after=HALF))
    peer.script(file_path("c:movie:1"), Answer(405), Answer(501))
    running.start()
    running.drop(peer)
    assert running.until(S.FAILED).downloaded_bytes == HALF
    assert {request.method for request in peer.requests} == {"GET"}


# -- certificates ----------------------------------------------------------------------------------


@pytest.mark.fault("N7", "N14")
@pytest.mark.parametrize("told", [b"", b"\x16\x03\x03\x3f\xff\x02"], ids=["silent", "byte by byte"])
def test_a_tls_handshake_that_never_ends_is_let_go(
    monkeypatch: pytest.MonkeyPatch, told: bytes
) -> None:
    """The time to connect is for the whole of it, not for each byte."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("jack.peers.peer_client.PROBE_SECONDS", 0.3)
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(told)
            while told and not done.wait(0.05):
                connection.sendall(b"\x00")
            done.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client = PeerClient(PeerEntry("0", "ann", url, "key"), connections=1)
        begun = time.monotonic()
        try:
            with pytest.raises(TransientError):
                client.probe(Wire())
            assert time.monotonic() - begun < 15
        finally:
            done.set()
            thread.join(20)
            client.close()


CERTIFICATES = {
    "expired": (LOOPBACK, ("20200101000000Z", "20200102000000Z"), "expired"),
    "not valid yet": (LOOPBACK, ("20990101000000Z", "20990102000000Z"), "not yet valid"),
    "of another host": ("DNS:other.example", None, "not valid for '127.0.0.1'"),
}


@pytest.mark.fault("N14")
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_certificate_that_does_not_fit_is_refused_for_all_downloads_of_the_friend(
    running: World, kind: str
) -> None:
    """Trusted by caFile, and still: the reason and the remedy are said, and no key is sent."""
    host, valid, reason = CERTIFICATES[kind]
    certificate = self_signed(running.root, host, valid)
    peer = running.friend(tls=certificate.context())
    running.peers[0] = replace(running.peers[0], ca_file=certificate.cert)
    for number in (1, 2, 3):
        running.row_of(peer, number)
    running.start()
    for number in (1, 2, 3):
        row = running.until(S.WAITING, number)
        assert row.attempts == 0
    assert reason in running.why(1)
    assert ("caFile" in running.why(1)) is (valid is None)
    assert "clock" in running.why(1)
    assert peer.requests == [], "the key never leaves"
    client = PeerClient(
        PeerEntry("0", "ann", peer.url, "key", ca_file=str(certificate.cert)), connections=1
    )
    with contextlib.closing(client), pytest.raises(PeerRefused):
        client.probe(Wire())
