"""The body's way into the file: the same promises whichever way the bytes are moved."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jack.errors import Interrupted, NoSpace, PermanentError, TooSlow, TransientError
from jack.support.clock import SystemClock
from jack.support.http import Wire
from jack.support.own import Maker
from jack.transfer import body as body_module
from jack.transfer import patience as patience_module
from jack.transfer import sink as sink_module
from jack.transfer.body import ALL_WAYS, Way
from jack.transfer.part import Part
from jack.transfer.sink import Plain
from tests.support.certificates import self_signed
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import (
    ETAG,
    EVERY_WAY,
    FILE,
    ITEM,
    WAY_NAMES,
    Rig,
    Running,
    film,
)

BODY = film(4_000_000)
ways = pytest.mark.parametrize("way", EVERY_WAY, ids=WAY_NAMES)
Ways = frozenset[Way]


@pytest.fixture(autouse=True)
def offered(peer: ScriptedPeer) -> None:
    peer.offer(ITEM, BODY, etag=ETAG)


class FastClock(SystemClock):
    """Real time, a hundred times as fast: ten seconds pass in a tenth."""

    def monotonic(self) -> float:
        return super().monotonic() * 100


@ways
def test_a_whole_file_arrives(rig: Rig, way: Ways) -> None:
    assert rig.attempt(way).size == len(BODY)
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("N6")
@ways
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_link_that_drops_every_700_kb_finishes_in_seven_connections(
    rig: Rig, way: Ways, reset: bool, chunked: bool
) -> None:
    gate = threading.Event()

    def dropping(request: Request) -> Answer:
        answer = replace(rig.peer.honest(request), cut_after=700_000, chunked=chunked)
        if reset:  # RST throws away what is under way, so let it arrive first
            gate.clear()
            return replace(answer, reset=True, pause_at=min(700_000, len(answer.body)), gate=gate)
        return answer

    rig.release_size = len(BODY)
    rig.settings["checkpoint_interval_seconds"] = 0.02
    rig.row.before_checkpoint = lambda at: gate.set() if at % 700_000 == 0 else None
    rig.peer.always(FILE, dropping)
    for connections in range(1, 8):
        try:
            rig.attempt(way)
            break
        except TransientError:
            assert rig.row.offset == connections * 700_000
    assert rig.dest.read_bytes() == BODY
    assert len(rig.asked()) <= 7


@ways
def test_a_body_that_ends_early_says_how_much_is_missing(rig: Rig, way: Ways) -> None:
    rig.peer.script(FILE, Answer(200, {"ETag": ETAG}, BODY[:1000], length=len(BODY)))
    with pytest.raises(TransientError, match="friend: the connection ended 3999000 bytes early"):
        rig.attempt(way)
    assert rig.row.offset == rig.progress.end_offset == 1000


@pytest.mark.fault("P9")
@ways
@pytest.mark.parametrize("chunked", [False, True], ids=["until close", "chunked"])
def test_more_than_expected_is_never_written(rig: Rig, way: Ways, chunked: bool) -> None:
    rig.release_size = len(BODY)
    rig.peer.script(FILE, Answer(200, {}, BODY + film(500_000), length=None, chunked=chunked))
    rig.attempt(way)
    assert rig.dest.read_bytes() == BODY


@ways
@pytest.mark.parametrize("size", [1, 5000, 8192, 70_000])
def test_small_files_that_come_together_with_the_headers_arrive(
    rig: Rig, way: Ways, size: int
) -> None:
    rig.peer.script(FILE, Answer(raw=_together(BODY[:size])))
    rig.attempt(way)
    assert rig.dest.read_bytes() == BODY[:size]


def _together(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data


@pytest.mark.fault("H15")
@ways
def test_a_body_without_a_size_cut_early_is_no_success(rig: Rig, way: Ways) -> None:
    rig.release_size = len(BODY)
    rig.peer.script(FILE, Answer(200, {"ETag": ETAG}, BODY[:2_000_000], length=None))
    with pytest.raises(TransientError, match="2000000 bytes early"):
        rig.attempt(way)
    rig.attempt(way)
    assert rig.asked() == [None, "bytes=2000000-"]
    assert rig.dest.read_bytes() == BODY


@pytest.mark.parametrize("junk", [b"zz\r\n", b"-5\r\n", b"", b"\xff" * 70_000])
def test_broken_chunks_keep_what_came_before(rig: Rig, junk: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    rig.release_size = len(BODY)
    rig.peer.script(FILE, Answer(raw=head + b"3e8\r\n" + BODY[:1000] + b"\r\n" + junk))
    with pytest.raises(TransientError):
        rig.attempt()
    assert rig.row.offset == 1000
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("N7")
@ways
def test_a_stall_ends_with_the_idle_timeout_and_keeps_the_bytes(rig: Rig, way: Ways) -> None:
    rig.settings["idle_timeout_seconds"] = 0.3
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), pause_at=100_000))
    begun = time.monotonic()
    with pytest.raises(TransientError, match=r"stalled, no byte came for 0\.3 s"):
        rig.attempt(way)
    assert time.monotonic() - begun < 15
    assert rig.row.offset == 100_000


@ways
def test_a_slow_disk_is_not_the_peers_stall(
    rig: Rig, way: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time on our side of the socket must not arm the idle timeout."""
    rig.settings["idle_timeout_seconds"] = 0.3
    slow = threading.Event()
    once = iter([0.5])
    name = "write_direct" if Way.BLOCKS in way and hasattr(os, "O_DIRECT") else "append"
    real = getattr(Part, name)

    def append(*arguments: Any) -> Any:
        slow.wait(next(once, 0))
        return real(*arguments)

    monkeypatch.setattr(Part, name, append)
    rig.attempt(way)
    assert rig.dest.read_bytes() == BODY


@ways
def test_a_trickle_is_too_slow_to_hold_a_slot(rig: Rig, way: Ways) -> None:
    rig.clock = FastClock()
    rig.settings["idle_timeout_seconds"] = 8.0
    rig.peer.script(
        FILE,
        lambda r: replace(rig.peer.honest(r), piece_bytes=1, piece_pause_seconds=0.01),
    )
    with pytest.raises(TooSlow, match="too slow") as caught:
        rig.attempt(way)
    assert "friend sent" in str(caught.value)
    assert 0 < rig.row.offset < 10_000


def test_chunk_headers_that_never_end_do_not_hold_a_slot(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their bytes keep the idle timeout from coming and bring no body: only a watch ends that."""
    monkeypatch.setattr(patience_module, "MINIMUM_WINDOW_SECONDS", 0.2)
    rig.release_size, rig.settings["idle_timeout_seconds"] = len(BODY), 0.2
    framing = b"3e8\r\n" + BODY[:1000] + b"\r\n1;"
    rig.peer.script(
        FILE,
        lambda r: Answer(
            headers={"Transfer-Encoding": "chunked"},
            body=framing + b"x" * 60_000 * len(framing),
            length=None,
            piece_bytes=len(framing),
            piece_pause_seconds=0.05,
        ),
    )
    with pytest.raises(TransientError, match="friend: a piece took longer"):
        rig.attempt()
    assert rig.row.offset == 1000


@pytest.mark.fault("R7")
@ways
@pytest.mark.parametrize("phase", ["stalled", "trickling", "at full speed"])
def test_an_abort_ends_the_body_within_a_second_after_a_last_checkpoint(
    rig: Rig, way: Ways, phase: str
) -> None:
    faults: dict[str, dict[str, Any]] = {
        "stalled": {"pause_at": 300_000},
        "trickling": {"piece_bytes": 5000, "piece_pause_seconds": 0.01},
        "at full speed": {},
    }
    rig.settings |= {"idle_timeout_seconds": 60.0, "checkpoint_bytes": 10_000}
    rig.peer.offer(ITEM, BODY * 10)
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), **faults[phase]))
    reached = threading.Event()
    rig.row.before_checkpoint = lambda at: reached.set() if at >= 100_000 else None
    running = Running(rig, way)
    assert reached.wait(20)
    running.wire.abort(Interrupted("jack is stopping"))
    running.join()
    assert isinstance(running.error, Interrupted)
    assert rig.part.stat().st_size == rig.row.offset == running.progress.end_offset


@pytest.mark.fault("R7")
def test_an_abort_while_the_headers_are_awaited_ends_the_attempt(rig: Rig) -> None:
    gate = threading.Event()

    def silent(request: Request) -> Answer:
        gate.wait(10)
        return rig.peer.honest(request)

    rig.peer.script(FILE, silent)
    running = Running(rig)
    eventually(lambda: rig.asked(), what="the request")
    running.wire.abort(Interrupted("cancelled"))
    running.join()
    gate.set()
    assert isinstance(running.error, Interrupted)


def test_a_wire_aborted_before_the_start_asks_nobody(rig: Rig) -> None:
    rig.wire.abort(Interrupted("too late"))
    with pytest.raises(Interrupted):
        rig.engine().run(rig.state(), rig.row, rig.open_file, rig.wire)
    assert rig.peer.requests == []


class Breaking:
    """A socket that has some bytes and then is reset."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def recv_into(self, view: memoryview) -> int:
        if not self._pieces:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        piece = self._pieces.pop(0)
        view[: len(piece)] = piece
        return len(piece)


@pytest.mark.fault("N5")
def test_bytes_received_just_before_a_reset_are_written_first(tmp_path: Path) -> None:
    wire = Wire()
    patience = patience_module.Patience("friend", wire, SystemClock(), 1.0)
    nothing: Any = io.BufferedReader(io.BytesIO())  # type: ignore[arg-type]
    sock: Any = Breaking(b"hello ", b"world")
    with Part(tmp_path / "a.part", tmp_path / "a", 0o644, Maker(None, 0)) as part:
        part.create(lambda inode: None)
        reader = body_module.SocketReader(sock, nothing, wire, Plain(part, 1000), patience)
        reader.step(1000)
        assert (tmp_path / "a.part").read_bytes() == b"hello world"
        with pytest.raises(TransientError, match=r"friend: the connection broke .*reset"):
            reader.step(989)


def test_an_interruption_that_finds_no_socket_to_shut_is_noticed_while_waiting() -> None:
    wire = Wire()
    patience = patience_module.Patience("friend", wire, SystemClock(), 5.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timer = threading.Timer(0.1, wire.abort, (Interrupted("stop"),))
        timer.start()
        with pytest.raises(Interrupted):
            patience.wait_for(ours)
        timer.join()


# --- which way is taken ---


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of readers and sinks that have moved bytes, in order of first use."""
    names: list[str] = []

    def watch(kind: type, method: str) -> None:
        real = getattr(kind, method)

        def noted(self: Any, *arguments: Any) -> Any:
            if kind.__name__ not in names:
                names.append(kind.__name__)
            return real(self, *arguments)

        monkeypatch.setattr(kind, method, noted)

    watch(body_module.SocketReader, "step")
    watch(body_module.PortableReader, "step")
    watch(sink_module.Blocks, "put")
    watch(sink_module.Plain, "append")
    return names


direct_only = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="O_DIRECT is not everywhere")


@pytest.mark.fault("D20")
@direct_only
def test_a_long_sized_body_goes_past_the_page_cache(rig: Rig, taken: list[str]) -> None:
    rig.attempt()
    assert taken == ["SocketReader", "Blocks"]


@pytest.mark.parametrize("short", ["body", "checkpoints"])
def test_a_body_or_checkpoints_of_few_blocks_are_written_at_once(
    rig: Rig, taken: list[str], monkeypatch: pytest.MonkeyPatch, short: str
) -> None:
    monkeypatch.setattr(sink_module, "WORTH_BLOCKS_BYTES", 200_000)
    monkeypatch.setattr(sink_module, "WORTH_CHECKPOINT_BYTES", 200_000)
    rig.settings["checkpoint_bytes"] = 10_000 if short == "checkpoints" else 10**9
    rig.peer.offer(ITEM, BODY[: 100_000 if short == "body" else None])
    rig.attempt()
    assert taken == ["SocketReader", "Plain"]


def test_chunks_go_through_urllib3(rig: Rig, taken: list[str]) -> None:
    rig.peer.script(FILE, Answer(200, {}, BODY, chunked=True))
    rig.release_size = len(BODY)
    rig.attempt()
    assert taken == ["PortableReader", "Plain"]


@pytest.mark.parametrize("surprise", ["no _fp", "no reader", "no socket", "no socket below"])
def test_layers_we_do_not_know_are_left_to_urllib3(
    rig: Rig, taken: list[str], surprise: str
) -> None:
    real = rig.open_file

    def open_file(headers: Any, wire: Any) -> Any:
        response = real(headers, wire)
        if surprise == "no _fp":
            inner = response.raw._fp
            response.raw._fp = type("Fp", (), {"read1": inner.read1, "close": inner.close})()
        elif surprise == "no reader":
            response.raw._fp.chunked = 0
        elif surprise == "no socket below":
            response.raw._fp.fp.close()
            response.raw._fp.fp = io.BufferedReader(io.BytesIO(BODY))
        else:
            wire.bind(None)
        return response

    rig.open_file = open_file  # type: ignore[method-assign]
    rig.attempt()
    assert taken == ["PortableReader", "Plain"]
    assert rig.dest.read_bytes() == BODY


class Disk:
    """Stands for os.pwrite: the writes past the page cache fail from the fourth on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, short: int = 0) -> None:
        self._real, self._number, self._short, self.blocks = os.pwrite, number, short, 0
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, descriptor: int, data: memoryview, offset: int) -> int:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            return self._real(descriptor, data, offset)
        self.blocks += 1
        if self.blocks > 3:
            raise OSError(self._number, os.strerror(self._number))
        return self._real(descriptor, data[: self._short or None], offset)


@direct_only
@pytest.mark.parametrize("short", [0, 4096], ids=["whole writes", "short writes"])
def test_blocks_that_are_refused_half_way_lose_no_byte(
    rig: Rig, taken: list[str], monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    disk = Disk(monkeypatch, errno.EINVAL, short)
    rig.attempt()
    assert taken == ["SocketReader", "Blocks"]
    assert disk.blocks > 3
    assert rig.dest.read_bytes() == BODY


@direct_only
@pytest.mark.parametrize("short", [0, 4096], ids=["whole writes", "short writes"])
def test_a_disk_error_in_the_writing_thread_is_the_disks_and_leaves_no_hole(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    Disk(monkeypatch, errno.ENOSPC, short)
    with pytest.raises(NoSpace, match="No space left"):
        rig.attempt()
    assert rig.row.offset == rig.part.stat().st_size == 3 * (short or rig.settings["block_bytes"])
    assert rig.part.read_bytes() == BODY[: rig.row.offset]


@direct_only
@pytest.mark.parametrize("missing", ["flag", "file system", "other file"])
def test_without_a_way_past_the_page_cache_the_ordinary_one_is_taken(
    rig: Rig, taken: list[str], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = os.open

    def other_open(path: Any, flags: int, *more: Any) -> int:
        if flags & os.O_DIRECT and missing == "file system":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(__file__ if flags & os.O_DIRECT else path, flags, *more)

    if missing == "flag":
        monkeypatch.delattr(os, "O_DIRECT")
    else:
        monkeypatch.setattr(os, "open", other_open)
    rig.attempt()
    assert taken == ["SocketReader", "Plain"]
    assert rig.dest.read_bytes() == BODY


@direct_only
@pytest.mark.parametrize("offset", [1, 4095, 4096, 4097, 70_001])
def test_blocks_go_on_from_any_offset(rig: Rig, taken: list[str], offset: int) -> None:
    rig.had(BODY[:offset], expected=len(BODY), etag=ETAG)
    rig.attempt()
    assert "Blocks" in taken
    assert rig.asked() == [f"bytes={offset}-"]
    assert rig.dest.read_bytes() == BODY


@direct_only
def test_what_a_slow_peer_sent_is_in_the_file_and_recorded_while_it_pauses(rig: Rig) -> None:
    """A block that is not full must not wait for company longer than a moment."""
    gate = threading.Event()
    rig.settings["checkpoint_interval_seconds"] = 0.05
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), pause_at=70_001, gate=gate))
    running = Running(rig)
    eventually(lambda: rig.row.offset == 70_001, what="the checkpoint of all that came")
    assert rig.part.read_bytes() == BODY[:70_001]
    gate.set()
    running.join()
    assert rig.dest.read_bytes() == BODY


@pytest.mark.parametrize("transfers", [1, 2, 3, 7, 8, 20, 500])
def test_the_blocks_of_all_transfers_together_are_small_and_aligned(transfers: int) -> None:
    size = sink_module.block_bytes(transfers)
    assert size % sink_module.ALIGNMENT_BYTES == 0
    assert sink_module.MIN_BLOCK_BYTES <= size <= sink_module.MAX_BLOCK_BYTES
    all_minimal = 2 * transfers * sink_module.MIN_BLOCK_BYTES
    assert 2 * transfers * size <= max(sink_module.ALL_BLOCKS_BYTES, all_minimal)


# --- the connection afterwards ---


def _asks_again_on_a_fresh_connection(rig: Rig) -> bool:
    wire = Wire()
    with contextlib.closing(rig.open_file({}, wire)):
        return wire.fresh


@ways
@pytest.mark.parametrize("offset", [0, 1000])
def test_a_connection_that_has_brought_its_whole_body_carries_the_next_request(
    rig: Rig, way: Ways, offset: int
) -> None:
    rig.had(BODY[:offset], expected=len(BODY), etag=ETAG)
    rig.attempt(way)
    assert rig.dest.read_bytes() == BODY
    assert not _asks_again_on_a_fresh_connection(rig)


@pytest.mark.parametrize("surprise", ["more than announced", "closes", "unread"])
def test_a_connection_in_doubt_is_not_used_again(rig: Rig, surprise: str) -> None:
    rig.release_size = len(BODY)
    if surprise == "more than announced":
        # What comes behind the body would be taken for the next answer.
        answer = Answer(200, {}, BODY + b"HTTP/1.1 200 OK\r\n\r\n", length=len(BODY))
    elif surprise == "closes":
        answer = Answer(200, {"Connection": "close"}, BODY)
    else:
        answer = Answer(200, {}, BODY + b"x" * 100)
        rig.row.expected = len(BODY)
        rig.settings["max_file_bytes"] = len(BODY)
    rig.peer.script(FILE, answer)
    with contextlib.suppress(PermanentError):
        rig.attempt()
    assert _asks_again_on_a_fresh_connection(rig)


# --- TLS ---


@pytest.fixture
def tls_rig(tmp_path: Path) -> Iterator[Rig]:
    certificate = self_signed(tmp_path)
    with ScriptedPeer(tls=certificate.context()) as peer:
        peer.offer(ITEM, BODY, etag=ETAG)
        rig = Rig(tmp_path, peer, ca_file=str(certificate.cert))
        yield rig
        rig.close()


@pytest.mark.parametrize("way", [ALL_WAYS, frozenset({Way.PORTABLE})], ids=["fastest", "portable"])
def test_tls_drops_and_finishes_without_losing_a_byte(
    tls_rig: Rig, way: Ways, taken: list[str]
) -> None:
    rig = tls_rig
    rig.peer.always(FILE, lambda r: replace(rig.peer.honest(r), cut_after=700_000))
    for _ in range(7):
        try:
            rig.attempt(way)
            break
        except TransientError:
            assert rig.row.offset % 700_000 == 0
    assert rig.dest.read_bytes() == BODY
    assert len(rig.asked()) == 6
    assert taken[0] == ("SocketReader" if way == ALL_WAYS else "PortableReader")


def test_tls_headers_without_a_body_stall(tls_rig: Rig) -> None:
    tls_rig.settings |= {"idle_timeout_seconds": 0.2}
    tls_rig.peer.script(FILE, lambda r: replace(tls_rig.peer.honest(r), pause_at=0))
    with pytest.raises(TransientError, match="stalled"):
        tls_rig.attempt()
    assert tls_rig.row.kinds() == ["identify", "expect", "made"]


def test_tls_stalls_and_aborts_like_plain_http(tls_rig: Rig) -> None:
    rig = tls_rig
    rig.settings |= {"idle_timeout_seconds": 0.3}
    rig.peer.always(FILE, lambda r: replace(rig.peer.honest(r), pause_at=100_000))
    with pytest.raises(TransientError, match="stalled"):
        rig.attempt()
    assert rig.row.offset == 100_000
    rig.settings |= {"idle_timeout_seconds": 60.0, "checkpoint_interval_seconds": 0.05}
    running = Running(rig)
    eventually(lambda: rig.row.offset == 200_000, what="a checkpoint")
    running.wire.abort(Interrupted("jack is stopping"))
    running.join()
    assert isinstance(running.error, Interrupted)


@pytest.mark.parametrize("behind", [0, 20])
def test_a_tls_connection_is_kept_unless_something_stands_behind_the_body(
    tls_rig: Rig, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    monkeypatch.setattr(ssl.SSLSocket, "pending", lambda sock: behind)
    tls_rig.attempt()
    assert tls_rig.dest.read_bytes() == BODY
    assert _asks_again_on_a_fresh_connection(tls_rig) is bool(behind)
