"""Friends with keys of their own, and how much may leave at the same time."""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from jack.downloads.view import DownloadsView
from jack.library.catalog import Catalog
from jack.web import listing
from jack.web import server as server_room
from jack.web.app import create_app
from jack.web.auth import Friend, KeyGuard
from jack.web.channel import TURN_BYTES
from jack.web.pace import MAX_QUANTUM_BYTES, SEGMENT_BYTES, TURNS_PER_SECOND, UploadPace
from jack.web.peer_api import MAX_LONG_LISTS, peer_blueprint
from jack.web.server import Server
from jack.web.status import status_blueprint
from jack.web.uploads import Upload, UploadGate
from tests.support.clock import FakeClock
from tests.support.waiting import eventually
from tests.web.served_peer import KEY, ServedPeer
from tests.web.test_http_server import MIB, read_head, read_rest, requested

ANN = Friend("Ann", "key-of-ann", max_downloads=1)
BEN = Friend("Ben", "key-of-b\u00e9n")
BIG = 64 * MIB


@pytest.fixture
def gate() -> UploadGate:
    return UploadGate(3)


@pytest.fixture
def shared(
    tmp_path: Any,
    clock: Any,
    catalog: Catalog,
    gate: UploadGate,
    serve_blueprints: Callable[..., Server],
) -> ServedPeer:
    """A jack with two friends, three uploads at most, and the owner's side beside it."""
    guard = KeyGuard(KEY, clock, [ANN, BEN])
    status = status_blueprint(guard, DownloadsView(None, None, clock))
    peers = peer_blueprint(catalog, guard, gate, tmp_path)
    server = serve_blueprints(peers, status, threads=1)
    return ServedPeer(server, catalog, tmp_path / "library", clock)


@pytest.fixture
def big(shared: ServedPeer) -> str:
    url = shared.share("big.mkv", b"start") + "/file"
    os.truncate(shared.folder / "big.mkv", BIG)
    return url


def status(shared: ServedPeer, path: str, key: str) -> int:
    headers = {"X-Api-Key": key.encode()}
    answer = requests.get(shared.url + path, headers=headers, timeout=20, stream=True)
    answer.close()
    return answer.status_code


class TestFriends:
    @pytest.mark.parametrize("key", [ANN.key, BEN.key, KEY])
    def test_every_key_opens_the_peer_protocol(self, shared: ServedPeer, key: str) -> None:
        item = shared.share("a.mkv")
        for path in ("/handshake", "/peer/search", item, item + "/file"):
            assert status(shared, path, key) == 200

    def test_a_friends_key_opens_nothing_else_and_the_log_says_whose_it_was(
        self, shared: ServedPeer, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert status(shared, "/downloads", KEY) == 200
        assert status(shared, "/downloads", ANN.key) == 401
        assert status(shared, "/downloads/1", ANN.key) == 401
        assert "the key of Ann is for peers only" in caplog.text
        assert ANN.key not in caplog.text

    def test_a_friend_whose_line_is_gone_is_shut_out(
        self, clock: Any, catalog: Catalog, serve_blueprints: Callable[..., Server]
    ) -> None:
        guard = KeyGuard(KEY, clock, [BEN])
        url = f"http://127.0.0.1:{serve_blueprints(peer_blueprint(catalog, guard)).port}"
        answers = [
            requests.get(url + "/handshake", headers={"X-Api-Key": key.encode()}, timeout=20)
            for key in (ANN.key, BEN.key)
        ]
        assert [answer.status_code for answer in answers] == [401, 200]

    def test_the_log_tells_which_friend_fetches_what(
        self, shared: ServedPeer, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = shared.share("a.mkv") + "/file"
        with caplog.at_level(logging.INFO):
            headers = {"X-Api-Key": ANN.key, "Range": "bytes=4-"}
            assert requests.get(shared.url + url, headers=headers, timeout=20).content == b"456789"
        assert "Ann fetches 'a.mkv' from byte 4" in caplog.text

    @pytest.mark.fault("P27")
    def test_every_key_is_compared_whatever_was_given(
        self, shared: ServedPeer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[int] = []
        real = hmac.compare_digest

        def counting(a: Any, b: Any) -> bool:
            compared.append(len(a))
            return real(a, b)

        monkeypatch.setattr(hmac, "compare_digest", counting)
        counts = []
        for key in (KEY, ANN.key, BEN.key, "x", "y" * 500):
            compared.clear()
            status(shared, "/handshake", key)
            counts.append((len(compared), set(compared)))
        assert counts == [(3, {64})] * 5

    def test_a_friend_without_a_key_cannot_be_configured(self, clock: Any) -> None:
        with pytest.raises(ValueError, match="empty"):
            KeyGuard(KEY, clock, [Friend("Eve", "")])


class TestUploads:
    def test_beyond_the_limit_of_all_one_is_told_when_to_come_back(
        self, shared: ServedPeer, big: str, gate: UploadGate
    ) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                read_head(stack.enter_context(requested(shared, big, receive_bytes=4096)))
            answer = shared.get(big)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "30"
            assert answer.json()["error"]["code"] == "TOO_BUSY"
            assert shared.get(big, method="HEAD").status_code == 200
            assert shared.get(big, headers={"Range": f"bytes={BIG}-"}).status_code == 416
            assert shared.get("/peer/search").status_code == 200
        eventually(lambda: gate.open == 0)
        assert shared.get(big, headers={"Range": "bytes=0-4"}).content == b"start"

    def test_a_friends_own_limit_leaves_room_for_the_others(
        self, shared: ServedPeer, big: str, gate: UploadGate
    ) -> None:
        with requested(shared, f"{big}?apikey={ANN.key}", receive_bytes=4096) as reader:
            read_head(reader)
            assert status(shared, big, ANN.key) == 503
            assert status(shared, big, BEN.key) == 200
        eventually(lambda: gate.open == 0)
        assert status(shared, big, ANN.key) == 200

    def test_every_ending_gives_the_place_back(
        self, shared: ServedPeer, big: str, gate: UploadGate
    ) -> None:
        for headers in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=99999999999-"}):
            shared.get(shared.share("a.mkv") + "/file", headers=headers)
        shared.get(big, method="HEAD")
        with requested(shared, big) as reader:
            read_head(reader)
        with requested(shared, big, "Connection: close") as reader:
            read_head(reader)
            os.truncate(shared.folder / "big.mkv", 10)
            read_rest(reader)
        (shared.folder / "big.mkv").unlink()
        shared.get(big)
        eventually(lambda: gate.open == 0)

    def test_a_place_is_given_back_once(self, gate: UploadGate) -> None:
        first, second = gate.enter(BEN), gate.enter(BEN)
        assert isinstance(first, Upload)
        assert isinstance(second, Upload)
        first.leave()
        first.leave()
        assert gate.open == 1

    def test_a_gate_that_lets_nobody_through_cannot_be_made(self) -> None:
        with pytest.raises(ValueError, match="nobody"):
            UploadGate(0)

    @pytest.mark.fault("V4")
    def test_twenty_slow_readers_do_not_stop_ping(
        self,
        peer: ServedPeer,
        clock: Any,
        catalog: Catalog,
        serve_blueprints: Callable[..., Server],
    ) -> None:
        url = peer.share("big.mkv") + "/file"
        os.truncate(peer.folder / "big.mkv", BIG)
        gate = UploadGate(20)
        server = serve_blueprints(peer_blueprint(catalog, KeyGuard(KEY, clock), gate), threads=2)
        slow = ServedPeer(server, catalog, peer.folder, clock)
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                reader = stack.enter_context(requested(slow, url, receive_bytes=4096))
                assert read_head(reader)[0].startswith(b"HTTP/1.1 200")
            assert gate.open == 20
            for _ in range(20):
                assert requests.get(slow.url + "/ping", timeout=5).ok
            assert slow.get("/peer/search").status_code == 200


@pytest.mark.parametrize("memory_bytes", [1000, 1_000_000])
class TestWholeLists:
    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch, memory_bytes: int) -> None:
        monkeypatch.setattr(listing, "PLACELESS_BYTES", 1000)
        monkeypatch.setattr(listing, "MEMORY_BYTES", memory_bytes)

    def test_a_long_answer_goes_through_a_file_that_leaves_nothing_behind(
        self, shared: ServedPeer, tmp_path: Any
    ) -> None:
        for number in range(20):
            (shared.folder / f"{number}.mkv").write_bytes(b"x")
        shared.share("last.mkv")
        before = set(tmp_path.iterdir())
        for _ in range(MAX_LONG_LISTS + 1):
            answer = shared.get("/peer/search")
            assert answer.headers["Content-Type"] == "application/json"
            assert int(answer.headers["Content-Length"]) > listing.PLACELESS_BYTES
            assert len({item["id"] for item in answer.json()["items"]}) == 21
        assert shared.get("/peer/search", method="HEAD").text == ""
        assert set(tmp_path.iterdir()) == before

    def test_slow_readers_of_lists_are_few_and_hold_no_thread(
        self, shared: ServedPeer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def endless(take: Callable[[str], object], **_: object) -> None:
            for _ in range(900):
                take('{"id": "' + "x" * 1000 + '"}')

        monkeypatch.setattr(shared.catalog, "each", endless)
        with contextlib.ExitStack() as stack:
            for _ in range(MAX_LONG_LISTS):
                path = "/peer/search"
                reader = stack.enter_context(requested(shared, path, receive_bytes=4096))
                assert read_head(reader)[0].startswith(b"HTTP/1.1 200")
            answer = shared.get("/peer/search")
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["Retry-After"]) <= 30
            assert shared.get("/handshake").status_code == 200

    def test_a_list_that_cannot_be_made_gives_its_place_back(
        self, shared: ServedPeer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(take: Callable[[str], object], **_: object) -> None:
            take("x" * 2 * listing.PLACELESS_BYTES)
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(shared.catalog, "each", broken)
            for _ in range(MAX_LONG_LISTS + 1):
                assert shared.get("/peer/search").status_code == 500
        assert shared.get("/peer/search").json() == {"items": []}


class TestPace:
    RATE = 160_000

    @pytest.mark.fault("V7")
    def test_no_more_than_the_rate_is_granted(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        granted = 0
        for _ in range(1000):
            granted += pace.take("a", 1_000_000)
            now.advance(0.01)
        assert granted == pytest.approx(10 * self.RATE, rel=0.05)

    @pytest.mark.fault("V7")
    def test_whoever_waits_gets_the_same_whatever_the_order_of_asking(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        granted = dict.fromkeys("abc", 0)
        for _ in range(1200):
            for who in "abc":
                granted[who] += pace.take(who, 1_000_000)
            now.advance(0.01)
        assert sum(granted.values()) == pytest.approx(12 * self.RATE, rel=0.05)
        for count in granted.values():
            assert count == pytest.approx(4 * self.RATE, rel=0.1)

    def test_what_one_leaves_the_others_get(self) -> None:
        now, slow_has_room = FakeClock(), False
        pace = UploadPace(self.RATE, now.monotonic)
        sent = 0
        for step in range(1000):
            sent += pace.take("fast", 1_000_000)
            slow_has_room = slow_has_room or step % 50 == 0
            if slow_has_room and not pace.holds("slow"):
                taken = pace.take("slow", 100)
                slow_has_room = not taken
                sent += taken
            pace.wait_seconds(1.0)
            now.advance(0.01)
        assert sent == pytest.approx(10 * self.RATE, rel=0.1)

    def test_one_who_does_not_take_its_turn_holds_up_the_others_only_briefly(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        pace.take("a", 1_000_000)
        assert pace.take("gone", 1) == 0
        assert pace.take("b", 1) == 0
        now.advance(1)
        assert not pace.holds("gone")
        assert pace.holds("b")
        waits = []
        for _ in range(3):
            waits.append(pace.wait_seconds(1.0))
            now.advance(0.3)
        assert not pace.holds("b")
        assert waits[0] == 0.0

    def test_the_loop_sleeps_until_a_quantum_is_there(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        assert pace.wait_seconds(1.0) == 1.0
        pace.take("a", 1_000_000)
        pace.take("a", 1)
        wait = pace.wait_seconds(1.0)
        assert pace.quantum_bytes / self.RATE < wait < pace.quantum_bytes / self.RATE + 0.002
        now.advance(wait)
        assert not pace.holds("a")
        assert pace.take("a", 1) == 1

    def test_less_than_a_quantum_is_granted_only_to_who_wants_no_more(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        assert pace.take("a", 1_000_000) == pace.quantum_bytes
        grants = []
        while len(grants) < 50:
            now.advance(0.003)
            grants += [granted] if (granted := pace.take("a", 1_000_000)) else []
        assert set(grants) == {pace.quantum_bytes}
        pace.forget("a")
        now.advance(1000 / self.RATE)
        assert pace.take("b", 700) == 700

    @pytest.mark.parametrize("rate", [16 * 1024, 400_000, 100 * MIB])
    @pytest.mark.parametrize("readers", [1, 16])
    def test_a_second_of_sending_takes_few_turns_whatever_the_rate(
        self, rate: int, readers: int
    ) -> None:
        """Each turn is a quantum of whole TCP segments, and the loop wakes twice for it. The clock
        moves as poll's does: in whole milliseconds, which it never sleeps short.
        """
        now, turns, sent, looks = FakeClock(), 0, 0, 0
        pace, end = UploadPace(rate, now.monotonic), now.monotonic() + 60
        while now.monotonic() < end:
            looks += 1
            for who in range(readers):
                while not pace.holds(who) and (granted := pace.take(who, 8 * MIB)):
                    turns += 1
                    sent += granted
            now.advance(int(pace.wait_seconds(1.0) * 1000) / 1000)
        assert sent == pytest.approx(60 * rate, rel=0.05)
        assert turns <= 1.05 * max(60 * TURNS_PER_SECOND, sent / MAX_QUANTUM_BYTES) + readers
        assert turns <= 55 * 60
        assert looks <= 3 * turns + 2
        assert pace.quantum_bytes % SEGMENT_BYTES == 0

    def test_unsent_bytes_come_back_and_the_dead_are_forgotten(self) -> None:
        now = FakeClock()
        pace = UploadPace(self.RATE, now.monotonic)
        granted = pace.take("a", 1_000_000)
        pace.give_back(granted)
        assert pace.take("a", 1_000_000) == granted
        assert pace.take("a", 1) == 0
        pace.forget("a")
        assert pace.wait_seconds(1.0) == 1.0

    def test_no_rate_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="nothing"):
            UploadPace(0)

    @pytest.mark.parametrize("readers", [1, 4])
    def test_a_limited_upload_costs_few_sends_rounds_and_cpu_per_megabyte(
        self,
        readers: int,
        peer: ServedPeer,
        clock: Any,
        catalog: Catalog,
        serve: Callable[..., Server],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Counted, not timed: a busy machine makes fewer of them. The bound on CPU is ten times
        what it takes, and a tenth of what a loop without sleep takes.
        """
        rate, size = 512 * 1024, MIB // readers
        url = peer.share("a.mkv", os.urandom(size)) + "/file"
        app = create_app([peer_blueprint(catalog, KeyGuard(KEY, clock))])
        paced = ServedPeer(serve(app, 2, UploadPace(rate)), catalog, peer.folder, clock)
        sends, rounds, cpu = [], [], []
        sendfile, loop = os.sendfile, server_room.wasyncore.loop

        def noting(*arguments: int) -> int:
            sends.append(sendfile(*arguments))
            return sends[-1]

        def counting(*arguments: Any, **options: Any) -> None:
            rounds.append(1)
            loop(*arguments, **options)
            cpu.append(time.thread_time())

        monkeypatch.setattr(os, "sendfile", noting)
        monkeypatch.setattr(server_room.wasyncore, "loop", counting)
        with contextlib.ExitStack() as stack:
            socks = [
                stack.enter_context(requested(paced, url, "Connection: close"))
                for _ in range(readers)
            ]
            assert [len(read_head(sock)[1]) + read_rest(sock) for sock in socks] == [size] * readers
        assert sum(sends) == MIB
        # A turn is a 16th of a second's bytes; the last one may be short, a full socket cuts one.
        assert len(sends) <= 1.25 * MIB * TURNS_PER_SECOND / rate + 2 * readers
        assert len(rounds) <= 8 * len(sends) + 100
        assert cpu[-1] - cpu[0] < 0.2

    def test_the_kernel_is_asked_for_whole_quanta_and_the_rest_of_the_file(
        self,
        peer: ServedPeer,
        clock: Any,
        catalog: Catalog,
        serve: Callable[..., Server],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """So no segment leaves half full, also where a turn is no multiple of a quantum."""
        size, asked = 8 * MIB, []
        pace = UploadPace(21 * MIB)
        url = peer.share("a.mkv", os.urandom(size)) + "/file"
        app = create_app([peer_blueprint(catalog, KeyGuard(KEY, clock))])
        paced = ServedPeer(serve(app, 2, pace), catalog, peer.folder, clock)
        sendfile = os.sendfile

        def noting(out: int, source: int, offset: int, count: int) -> int:
            asked.append(count in {pace.quantum_bytes, size - offset})
            return sendfile(out, source, offset, count)

        monkeypatch.setattr(os, "sendfile", noting)
        assert len(paced.get(url).content) == size
        assert all(asked)
        assert TURN_BYTES % pace.quantum_bytes

    @pytest.mark.fault("V7")
    @pytest.mark.usefixtures("sending")
    def test_a_file_takes_as_long_as_the_rate_says_and_ping_does_not(
        self, peer: ServedPeer, clock: Any, catalog: Catalog, serve: Callable[..., Server]
    ) -> None:
        """Slower is right, faster never; and the bytes are the bytes."""
        content = os.urandom(512 * 1024)
        url = peer.share("a.mkv", content) + "/file"
        app = create_app([peer_blueprint(catalog, KeyGuard(KEY, clock))])
        server = serve(app, 2, UploadPace(512 * 1024))
        paced = ServedPeer(server, catalog, peer.folder, clock)
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(paced.get(url).content))
            for _ in range(2)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert requests.get(paced.url + "/ping", timeout=5).ok
            threads[0].join(0.05)
        assert answers == [content, content]
        # 1 MiB at 512 KiB/s, less what may go at once at the very start.
        assert time.monotonic() - began > 1.5
