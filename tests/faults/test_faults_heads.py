"""Heads and frames that http.client takes and that are not what they seem."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from jack.errors import JackError, PeerRefused, ProtocolError, TransientError
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.support.http import Wire
from tests.support.scripted_peer import Answer, ScriptedPeer, item_path
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, film

BODY = film(3000)
HALF = 1000
REST = f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"


def whole(*lines: str | bytes, body: bytes = BODY, status: bytes = b"HTTP/1.1 200 OK") -> Answer:
    """A whole file whose head has these lines."""
    encoded = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    return Answer(raw=b"\r\n".join([status, *encoded, b"", b""]) + body)


def framed(body: bytes, *, first: int = HALF) -> bytes:
    """`body` in two chunks of which the first claims to have `first` bytes."""
    rest = body[HALF:]
    return b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (first, body[:HALF], len(rest), rest)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(autouse=True)
def offered(rig: Rig, peer: ScriptedPeer) -> None:
    peer.offer(ITEM, BODY, etag=ETAG)
    rig.release_size = len(BODY)
    rig.settings["idle_timeout_seconds"] = 2.0


@pytest.fixture
def client(peer: ScriptedPeer) -> Iterator[PeerClient]:
    made = PeerClient(PeerEntry("00000000", "friend", peer.url, "key"), connections=2)
    yield made
    made.close()


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


@pytest.mark.fault("H26")
@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        EARLY,
        b"HTTP/1.1 199\r\n\r\n",
        EARLY * 5 + b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY,
    ],
    ids=["100", "102", "103", "199", "several"],
)
def test_answers_before_the_real_one_are_passed_over(rig: Rig, interim: bytes) -> None:
    """RFC 9110 section 15.2: also by a client that did not ask for them."""
    real = whole(LENGTH).raw
    assert real is not None
    rig.peer.script(FILE, Answer(raw=interim + real))
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("H26")
def test_endless_interim_answers_are_not_waited_through(rig: Rig) -> None:
    rig.peer.script(FILE, Answer(raw=EARLY * 10_000))
    with pytest.raises(ProtocolError, match="not HTTP"):
        rig.attempt()


AMBIGUOUS = {
    "a space before the colon": whole("Transfer-Encoding : chunked", body=framed(BODY)),
    "chunks behind a line without a colon": whole("what is this", CHUNKED, body=framed(BODY)),
    "chunks behind a name with a space": whole("X Y: z", CHUNKED, body=framed(BODY)),
    "chunks behind a name in other bytes": whole(b"\xff\xfe: z", CHUNKED, body=framed(BODY)),
    "chunks behind no name": whole(": z", CHUNKED, body=framed(BODY)),
    "chunks in chunks": whole("Transfer-Encoding: chunked, chunked", body=framed(BODY)),
    "chunks by another name": whole("Transfer-Encoding: xchunked", body=framed(BODY)),
    "chunks in a folded line": whole("Transfer-Encoding:", " chunked", body=framed(BODY)),
    "two lengths": whole(LENGTH, "Content-Length: 5"),
    "two lengths in one line": whole(f"{LENGTH}, 5"),
    "a folded line without a first one": whole(" x", LENGTH),
    "a lone CR in a value": whole("X: a\rContent-Length: 5", LENGTH),
    "lines that end in CR": Answer(raw=b"HTTP/1.1 200 OK\r" + LENGTH.encode() + b"\r\r" + BODY),
    "a status with a sign": whole(LENGTH, status=b"HTTP/1.1 +200 OK"),
    "a status with an underscore": whole(LENGTH, status=b"HTTP/1.1 2_0_0 OK"),
    "another major version": whole(LENGTH, status=b"HTTP/2.0 200 OK"),
    "a hundred and one headers": whole(*[f"X-{n}: y" for n in range(101)], LENGTH),
    "a hundred thousand headers": whole(*[f"X-{n}: y" for n in range(100_000)], LENGTH),
    "a header of a megabyte": whole("X: " + "y" * 1_000_000, LENGTH),
    "a megabyte of headers": whole(*["X: " + "y" * 60_000] * 20, LENGTH),
    "a reason of a megabyte": whole(LENGTH, status=b"HTTP/1.1 200 " + b"y" * 1_000_000),
}


@pytest.mark.fault("H17")
@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_a_head_that_can_be_read_in_two_ways_is_refused(
    rig: Rig, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The frames of chunks that http.client did not notice would end up in the file. The
    connection is closed by then, not by whoever collects the garbage."""
    before = open_files()
    rig.peer.script(FILE, AMBIGUOUS[kind])
    with pytest.raises(ProtocolError) as caught:
        rig.attempt()
    eventually(lambda: open_files() <= before, what="the end of the connection")
    assert caught.tb is not None, "which still holds whatever was left open"
    assert list(rig.folder.iterdir()) == []
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


TOLERABLE = {
    "chunked with a space behind": whole("Transfer-Encoding: chunked \t", body=framed(BODY)),
    "chunked in capitals": whole("TRANSFER-ENCODING:CHUNKED", body=framed(BODY)),
    "chunks and a length": whole(CHUNKED, "Content-Length: 5", body=framed(BODY)),
    "a folded value": whole("X: a", "\tb", LENGTH),
    "a folded line of nothing": whole("X: a", " ", "\t ", LENGTH),
    "no reason": whole(LENGTH, status=b"HTTP/1.1 200"),
    "an empty reason": whole(LENGTH, status=b"HTTP/1.1 200 "),
    "a reason in other bytes": whole(LENGTH, status=b"HTTP/1.1 200 \xff\x00"),
    "lines that end in LF": Answer(raw=b"HTTP/1.1 200 OK\n" + LENGTH.encode() + b"\n\n" + BODY),
    "the old version": whole(LENGTH, status=b"HTTP/1.0 200 OK"),
    "no length, until the end": whole(),
    "a length with zeros in front": whole("Content-Length: 0003000"),
    "a value in other bytes": whole(b"X: \xff\x80", LENGTH),
    "more than the length": whole(LENGTH, body=BODY + b"HTTP/1.1 200 OK\r\n\r\n"),
    "promises for later": whole(
        LENGTH,
        'Alt-Svc: h2="127.0.0.1:1"; ma=9',
        "Strict-Transport-Security: max-age=99999",
        "Set-Cookie: a=b; domain=127.0.0.1",
        "Refresh: 0; url=http://127.0.0.1:1/",
        "Location: http://127.0.0.1:1/",
        "Content-Location: /elsewhere",
    ),
}


@pytest.mark.fault("H17", "H29")
@pytest.mark.parametrize("kind", TOLERABLE)
def test_a_head_that_is_only_unusual_is_taken(
    rig: Rig, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig.peer.script(FILE, TOLERABLE[kind])
    rig.attempt()
    assert rig.dest.read_bytes() == BODY
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


TIRING = {
    "cookies": [f"Set-Cookie: {'a=b; ' * 1000}"] * 90,
    "dates of cookies": ["Set-Cookie: a=b; expires=1-a-1" + " " * 5000 + "x"] * 90,
    "waits": ["Retry-After: " + "," * 50_000] * 9,
    "spans": ["Content-Range: bytes " + " " * 60_000],
    "types": ["Content-Type: " + ";" * 60_000],
    "codings": ["Content-Encoding: " + "," * 60_000],
    "tags": ['ETag: "' + "x" * 60_000],
    "dates": ["Date: Wed, " + " " * 60_000, "Last-Modified: Wed, " + " " * 60_000],
}


@pytest.mark.fault("H9", "H25")
@pytest.mark.parametrize("status", [b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Busy"])
@pytest.mark.parametrize("kind", TIRING)
def test_no_header_takes_long_to_read(rig: Rig, kind: str, status: bytes) -> None:
    """Of processor time: what is read by bad patterns costs thousands of times as much as a head
    of the same length that means nothing."""
    plain = [f"X-{number}: {'x' * len(line)}" for number, line in enumerate(TIRING[kind])]
    rig.peer.script(FILE, whole(*plain, LENGTH, status=status))
    usual = _processor_seconds(rig)
    rig.dest.unlink(missing_ok=True)
    rig.row.offset, rig.row.expected = 0, None
    rig.peer.script(FILE, whole(*TIRING[kind], LENGTH, status=status))
    assert _processor_seconds(rig) < 100 * usual


def _processor_seconds(rig: Rig) -> float:
    begun = time.process_time()
    with contextlib.suppress(TransientError):
        rig.attempt()
    return time.process_time() - begun


HEAD_OF_REST = f"HTTP/1.1 206 Partial Content\r\nContent-Range: {REST}\r\nETag: {ETAG}\r\n\r\n"


@pytest.mark.fault("N4", "N5")
@pytest.mark.parametrize("cut", range(1, len(HEAD_OF_REST), 5))
def test_a_link_that_breaks_within_the_head_costs_no_byte_on_disk(rig: Rig, cut: int) -> None:
    """Half of a Content-Range says something else than the whole one."""
    rig.had(BODY[:HALF], expected=len(BODY), etag=ETAG)
    rig.peer.script(FILE, Answer(raw=HEAD_OF_REST[:cut].encode()))
    with pytest.raises(TransientError) as caught:
        rig.attempt()
    assert type(caught.value) is TransientError
    assert (rig.row.offset, rig.row.events) == (HALF, [])
    rig.attempt()
    assert rig.dest.read_bytes() == BODY
    assert rig.asked()[-1] == f"bytes={HALF}-"


@pytest.mark.fault("H17")
@pytest.mark.parametrize("first", [HALF - 1, HALF + 1, HALF - 2, HALF + 7])
def test_chunks_that_do_not_fit_together_give_up_all_that_may_be_wrong(
    rig: Rig, first: int
) -> None:
    """What was read before the misfit was seen may hold a byte of the frames."""
    rig.settings["checkpoint_bytes"] = 100
    rig.peer.script(FILE, whole(CHUNKED, body=framed(BODY, first=first)))
    with pytest.raises(ProtocolError, match="do not fit together"):
        rig.attempt()
    assert (rig.row.offset, rig.progress.end_offset) == (0, 0)
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


SIZES = [b"-1", b"-bb8", b"+bb8", b"0xbb8", b"b_b8", b"f" * 16, b"f" * 5000, b"", b" bb8", b"zz"]


@pytest.mark.fault("H17")
@pytest.mark.parametrize("size", SIZES)
def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(rig: Rig, size: bytes) -> None:
    rig.peer.script(FILE, whole(CHUNKED, body=size + b"\r\n" + BODY * 4))
    with pytest.raises(TransientError):
        rig.attempt()
    assert rig.row.offset == 0
    assert not rig.dest.exists()


@pytest.mark.fault("P11", "P13")
@pytest.mark.parametrize(
    "frames",
    [b"-1\r\n" + b"x" * 50_000_000, b"1" * 50_000_000, b"5;" + b"x" * 50_000_000],
    ids=["a negative size", "an endless size", "an endless extension"],
)
def test_frames_cannot_make_jack_read_more_than_the_limit(
    peer: ScriptedPeer, client: PeerClient, frames: bytes
) -> None:
    """urllib3 itself would take -1 for "everything there is", and a line of any length."""
    peer.script(item_path(ITEM), whole(CHUNKED, body=frames))
    tracemalloc.start()
    try:
        with pytest.raises(TransientError):
            client.get_release(ITEM, Wire())
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.fault("N15")
def test_tls_behind_an_http_url_is_said(peer: ScriptedPeer, client: PeerClient) -> None:
    peer.script(item_path(ITEM), Answer(raw=b"\x15\x03\x01\x00\x02\x02\x46"))
    with pytest.raises(PeerRefused, match=r"answers TLS; its url should start with https://"):
        client.get_release(ITEM, Wire())
    assert len(peer.requests) == 1, "the key is not sent twice"


@pytest.mark.fault("H21", "P13")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_the_body_of_a_redirect_is_not_fetched_and_its_target_not_parsed(
    rig: Rig, status: int
) -> None:
    """requests prepares the next request and reads the body for that, to any length, unpacked."""
    for location in ("http://127.0.0.1:1/", "http://\xff\xfe[", "http://[::1", "//", "\x7f", "."):
        rig.peer.script(FILE, Answer(status, {"Location": location}, b"", length=10**12))
        with pytest.raises(JackError) as caught:
            rig.attempt()
        assert type(caught.value) is ProtocolError
        assert "a redirect" in str(caught.value)
