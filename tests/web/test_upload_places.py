"""Who gets a place for a file when there are few, when to ask again, and who has to leave."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from jack.library.catalog import Catalog
from jack.web.app import create_app
from jack.web.auth import Friend, KeyGuard
from jack.web.pace import UploadPace
from jack.web.peer_api import peer_blueprint
from jack.web.server import Server
from jack.web.uploads import SLOW_SECONDS, Refusal, Upload, UploadGate
from tests.support.clock import FakeClock
from tests.support.waiting import eventually
from tests.web.served_peer import KEY, ServedPeer
from tests.web.test_http_server import MIB, read_head

FRIENDS = [Friend(name, f"the-key-of-{name.lower()}") for name in ("Ann", "Ben", "Cat", "Dan")]
ANN, BEN, CAT, DAN = FRIENDS
NAMES = [friend.name for friend in FRIENDS]
BIG = 256 * MIB


def entered(gate: UploadGate, friend: Friend | None, item: str = "film", length: int = 0) -> Upload:
    found = gate.enter(friend, length, item)
    assert isinstance(found, Upload), f"{friend} was refused"
    return found


def refused(gate: UploadGate, friend: Friend | None, item: str = "film") -> int:
    found = gate.enter(friend, MIB, item)
    assert isinstance(found, Refusal), f"{friend} got a place"
    return found.retry_after_seconds


def nothing_waits() -> int:
    return 0


class TestWhenToComeBack:
    @pytest.mark.parametrize(
        ("bytes_per_second", "left", "seconds"),
        [
            (100_000, 1_000_000, 10),
            (1_000_000, 8_000_000_000, 30),
            (50_000_000, 1000, 1),
            (0, 9, 30),
        ],
    )
    def test_is_when_the_first_upload_ends_at_its_speed(
        self, clock: FakeClock, bytes_per_second: int, left: int, seconds: int
    ) -> None:
        gate = UploadGate(2, monotonic=clock.monotonic)
        for length in (left, 10 * left + 10**12):
            upload = entered(gate, ANN, str(length), 5 * bytes_per_second + length)
            for second in range(1, 6):
                clock.advance(1)
                upload.look(second * bytes_per_second, nothing_waits)
        clock.advance(-5)  # the first one has just been looked at
        assert refused(gate, BEN) == seconds

    def test_of_a_friend_at_his_own_limit_is_when_one_of_his_ends(self, clock: FakeClock) -> None:
        gate = UploadGate(9, monotonic=clock.monotonic)
        ann = Friend("Ann", "x", max_downloads=1)
        entered(gate, ann, length=12_000_000)
        entered(gate, BEN, length=2_000_000)
        assert refused(gate, ann) == 12

    def test_one_place_and_four_small_films_of_four_friends_take_seconds(
        self,
        clock: FakeClock,
        peer: ServedPeer,
        catalog: Catalog,
        serve_blueprints: Callable[..., Server],
    ) -> None:
        gate = UploadGate(1, NAMES, clock.monotonic)
        guard = KeyGuard(KEY, clock, FRIENDS)
        server = serve_blueprints(peer_blueprint(catalog, guard, gate), threads=2)
        shared = ServedPeer(server, catalog, peer.folder, clock)
        content = os.urandom(MIB)
        urls = [shared.share(f"{name}.mkv", content) + "/file" for name in NAMES]
        began = clock.monotonic()
        held = entered(gate, ANN, length=MIB)
        due = dict.fromkeys(range(1, 4), began)
        while due:
            who = min(due, key=lambda one: due[one])
            clock.advance(max(0.0, due[who] - clock.monotonic()))
            if clock.monotonic() > began:
                held.leave()
            answer = shared.get(urls[who], headers={"X-Api-Key": FRIENDS[who].key})
            if answer.status_code == 200:
                assert answer.content == content
                del due[who]
                eventually(lambda: gate.open == 0)
            else:
                due[who] = clock.monotonic() + int(answer.headers["Retry-After"])
        assert clock.monotonic() - began < 10


class TestWhoComesNext:
    def test_who_was_refused_longest_and_not_who_asks_first(self, clock: FakeClock) -> None:
        gate = UploadGate(1, monotonic=clock.monotonic)
        held = entered(gate, ANN)
        for friend in (BEN, CAT, DAN):
            clock.advance(0.1)
            refused(gate, friend)
        clock.advance(0.1)
        order = []
        for expected in (BEN, CAT, DAN):
            held.leave()
            for other in (ANN, DAN, CAT, BEN):
                if isinstance(found := gate.enter(other, 0, "film"), Upload):
                    order.append(other)
                    held = found
            assert order[-1] == expected
            clock.advance(0.5)
        assert order == [BEN, CAT, DAN]

    def test_many_films_of_one_friend_do_not_stand_before_one_of_another(
        self, clock: FakeClock
    ) -> None:
        gate = UploadGate(1, monotonic=clock.monotonic)
        held = entered(gate, ANN, "0")
        for number in range(1, 20):
            clock.advance(0.01)
            refused(gate, ANN, str(number))
        clock.advance(0.01)
        refused(gate, BEN)
        clock.advance(0.01)
        held.leave()
        held = entered(gate, ANN, "1")  # refused longest
        held.leave()
        refused(gate, ANN, "2")
        held = entered(gate, BEN)
        held.leave()
        entered(gate, ANN, "2")

    def test_a_place_is_not_kept_for_one_who_does_not_come(self, clock: FakeClock) -> None:
        gate = UploadGate(1, monotonic=clock.monotonic)
        held = entered(gate, ANN)
        seconds = refused(gate, BEN)
        clock.advance(0.1)
        held.leave()
        refused(gate, CAT)
        clock.advance(seconds + 6)
        entered(gate, CAT)

    def test_one_friend_cannot_hold_all_places_while_others_have_none(
        self, clock: FakeClock
    ) -> None:
        gate = UploadGate(16, NAMES, clock.monotonic)
        for number in range(13):
            entered(gate, ANN, str(number))
        refused(gate, ANN, "13")
        for friend in (BEN, CAT, DAN):
            entered(gate, friend)

    def test_of_few_places_most_can_be_used_by_one(self, clock: FakeClock) -> None:
        gate = UploadGate(2, NAMES, clock.monotonic)
        entered(gate, ANN, "1")
        entered(gate, ANN, "2")

    def test_the_owners_key_always_finds_one(self, clock: FakeClock) -> None:
        gate = UploadGate(1, NAMES, clock.monotonic)
        entered(gate, ANN)
        refused(gate, BEN)
        entered(gate, None)
        refused(gate, None, "another")


@contextlib.contextmanager
def requested_by(friend: Friend, peer: ServedPeer, url: str) -> Iterator[socket.socket]:
    """A connection of a reader who has asked and reads only what he is told to."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", peer.server.port))
        head = f"GET {url} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {friend.key}\r\n\r\n"
        sock.sendall(head.encode())
        yield sock


def read_exactly(sock: socket.socket, count: int) -> None:
    while count > 0 and (got := len(sock.recv(min(count, 4096)))):
        count -= got


class TestSlowReaders:
    @pytest.fixture
    def gate(self, clock: FakeClock) -> UploadGate:
        return UploadGate(16, monotonic=clock.monotonic)

    @pytest.fixture
    def started(
        self,
        clock: FakeClock,
        catalog: Catalog,
        gate: UploadGate,
        serve: Callable[..., Server],
        peer: ServedPeer,
    ) -> Callable[..., ServedPeer]:
        def start(pace: UploadPace | None = None) -> ServedPeer:
            app = create_app([peer_blueprint(catalog, KeyGuard(KEY, clock, FRIENDS), gate)])
            return ServedPeer(serve(app, 2, pace), catalog, peer.folder, clock)

        return start

    @pytest.fixture
    def big(self, peer: ServedPeer) -> str:
        url = peer.share("big.mkv", b"start") + "/file"
        os.truncate(peer.folder / "big.mkv", BIG)
        return url

    def test_sixteen_at_2_kb_a_second_give_a_place_to_the_next_after_a_minute(
        self, started: Callable[..., ServedPeer], big: str, clock: FakeClock, gate: UploadGate
    ) -> None:
        shared = started()
        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(requested_by(ANN, shared, big)) for _ in range(16)]
            for reader in readers:
                assert read_head(reader)[0].startswith(b"HTTP/1.1 200")
            assert ask(shared, big, BEN).status_code == 503
            pass_time(shared, clock, lambda: [read_exactly(one, 2000) for one in readers])
            assert gate.open == 16
            answer = ask(shared, big, BEN)
            assert answer.status_code == 206
            eventually(lambda: gate.open == 15)
            assert ends_early(readers), "the one that gave its place up must end"

    def test_nobody_has_to_leave_when_our_own_limit_is_the_brake(
        self, started: Callable[..., ServedPeer], big: str, clock: FakeClock, gate: UploadGate
    ) -> None:
        shared = started(UploadPace(16 * 1024))
        stop = threading.Event()

        def devour(sock: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set() and sock.recv(65_536):
                    pass

        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(requested_by(ANN, shared, big)) for _ in range(16)]
            for reader in readers:
                read_head(reader)
            threads = [threading.Thread(target=devour, args=(one,)) for one in readers]
            for thread in threads:
                thread.start()
            pass_time(shared, clock, lambda: None)
            assert ask(shared, big, BEN).status_code == 503
            assert gate.open == 16
            stop.set()
            for reader in readers:
                reader.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(20)


def ask(peer: ServedPeer, url: str, friend: Friend) -> requests.Response:
    return peer.get(url, headers={"X-Api-Key": friend.key, "Range": "bytes=0-4"})


def pass_time(peer: ServedPeer, clock: FakeClock, each: Callable[[], Any]) -> None:
    """More than SLOW_SECONDS in steps of two; each ping is a round of the server's loop."""
    for _ in range(int(SLOW_SECONDS / 2) + 3):
        clock.advance(2)
        each()
        assert requests.get(peer.url + "/ping", timeout=10).ok


def ends_early(readers: list[socket.socket]) -> bool:
    """Whether one of these connections comes to an end; 8 MiB are more than the systems keep."""
    for reader in readers:
        reader.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for _ in range(2048):
                if not reader.recv(4096):
                    return True
    return False
