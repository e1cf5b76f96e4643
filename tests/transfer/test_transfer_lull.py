"""Bytes that come packet by packet are left to gather; nobody waits for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jack.errors import Interrupted
from jack.support.clock import SystemClock
from jack.transfer import patience
from jack.transfer.body import Way
from jack.transfer.part import Part
from jack.transfer.patience import FIRST_BYTES, Lull
from tests.support.clock import FakeClock
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, Running, film

PACKET_BYTES = 1448
BODY = film(2000 * PACKET_BYTES)
MEBIBYTE = 1024 * 1024
WRITES = frozenset({Way.RECEIVE})
"""Without blocks every read is one write, so that they can be counted."""


@pytest.fixture
def dripping(rig: Rig, peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A line of some MB/s on which each packet comes alone."""
    monkeypatch.setattr(patience, "FIRST_BYTES", 50 * PACKET_BYTES)
    peer.offer(ITEM, BODY, etag=ETAG)
    drip = {"piece_bytes": PACKET_BYTES, "piece_pause_seconds": 0.0003}
    peer.always(FILE, lambda request: replace(peer.honest(request), **drip))
    return rig


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield near, far


def test_packets_that_come_one_by_one_are_read_many_at_a_time(
    dripping: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine makes the packets gather by itself: then there are fewer reads still."""
    writes = []
    real = Part.append

    def append(part: Part, data: memoryview) -> None:
        writes.append(len(data))
        real(part, data)

    monkeypatch.setattr(Part, "append", append)
    dripping.attempt(WRITES)
    assert dripping.dest.read_bytes() == BODY
    assert len(writes) < 1000, "2000 packets were sent, and only the first 0.2 s read one by one"


def test_an_abort_on_such_a_line_ends_the_attempt_at_once_and_keeps_the_bytes(
    dripping: Rig,
) -> None:
    dripping.settings["checkpoint_interval_seconds"] = 0.05
    running = Running(dripping)
    eventually(lambda: dripping.row.offset > 500 * PACKET_BYTES, 20, "half a second of packets")
    running.wire.abort(Interrupted("jack is stopping"))
    running.join()
    assert isinstance(running.error, Interrupted)
    assert dripping.row.offset == dripping.part.stat().st_size


def test_a_pause_is_not_ended_by_what_comes_but_by_the_end_of_the_connection(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(patience, "LULL_SECONDS", 30.0)
    monkeypatch.setattr(patience, "GATHERED_BYTES", 10**9)
    near, far = ends
    lull = Lull(clock)
    lull.received(2 * FIRST_BYTES)
    clock.advance(10_000)
    pausing = threading.Thread(target=lull.pause, args=(near, 10**9))
    pausing.start()
    far.sendall(b"one more packet")
    pausing.join(0.3)
    assert pausing.is_alive()
    near.shutdown(socket.SHUT_RDWR)
    pausing.join(20)
    assert not pausing.is_alive()


@pytest.mark.parametrize(
    ("bytes_per_second", "is_on"),
    [(20_000, True), (11_500_000, True), (110_000_000, True), (200_000_000, False)],
)
def test_a_line_faster_than_a_gigabit_has_no_pause(
    ends: tuple[socket.socket, socket.socket],
    clock: FakeClock,
    bytes_per_second: int,
    is_on: bool,
) -> None:
    near, _ = ends
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MEBIBYTE)
    room = near.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if room < MEBIBYTE:
        pytest.skip(f"this machine allows a receive buffer of {room} bytes only")
    lull = Lull(clock)
    lull.received(100 * bytes_per_second)
    clock.advance(100)
    lull.pause(near, 10**9)
    assert lull.is_on is is_on


def test_a_small_receive_buffer_is_not_filled_by_a_pause(
    ends: tuple[socket.socket, socket.socket], clock: FakeClock
) -> None:
    near, _ = ends
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    lull = Lull(clock)
    lull.received(100 * 11_500_000)
    clock.advance(100)
    lull.pause(near, 10**9)
    assert not lull.is_on


@pytest.mark.parametrize(
    ("received", "left"), [(FIRST_BYTES - 1, 10**9), (10**9, FIRST_BYTES - 1)], ids=["begin", "end"]
)
def test_neither_the_first_bytes_nor_the_last_wait_for_company(
    ends: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    received: int,
    left: int,
) -> None:
    monkeypatch.setattr(patience, "LULL_SECONDS", 30.0)
    monkeypatch.setattr(patience, "GATHERED_BYTES", 10**12)
    monkeypatch.setattr(patience, "MEASURED_SECONDS", 0.0)
    near, _ = ends
    clock = SystemClock()
    lull = Lull(clock)
    lull.received(received)
    begun = clock.monotonic()
    assert lull.pause(near, left) == 0.0
    assert clock.monotonic() - begun < 15
