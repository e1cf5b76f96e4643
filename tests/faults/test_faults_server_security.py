"""Hostile peers, towards jack as a server: half requests, wrong keys, requests with two meanings,
browsers that are made to ask, and jacks that ask each other in a circle.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from jack import http_side
from jack.support.pauses import Pauses
from jack.support.waits import WRONG_KEY_PAUSES, WRONG_KEYS_FORGOTTEN_SECONDS
from jack.web import channel, guesses, server
from jack.web.peer_api import MAX_LONG_LISTS
from tests.scenarios.harness import Jack
from tests.support.clock import FakeClock
from tests.support.ports import Port
from tests.support.sharing_jack import KEY, SharingJack, sharing_jack, status_of
from tests.support.waiting import eventually

FIXED_SEEDS = (1, 2, 3)
SHAPES_PER_SEED = 60
REFUSED = {400, 404, 405, 413, 431}
LONG_LIST = 1000
HOST = b"Host: jack.example\r\n"
PING = b"GET /ping HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[SharingJack]:
    with sharing_jack(tmp_path) as made:
        yield made


def prompt(url: str) -> None:
    """jack answers while others try to keep it busy."""
    assert requests.get(url + "/ping", timeout=10).json() == {"status": "OK"}


# -- half requests -------------------------------------------------------------------------------


@contextlib.contextmanager
def dripping(connect: Callable[[], socket.socket], count: int) -> Iterator[Callable[[], int]]:
    """`count` connections that send one more byte of a request at each call of the result, which
    says how many of them are still open.
    """
    request = b"GET /ping HTTP/1.1\r\nX-Padding: " + b"x" * 10_000
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect()) for _ in range(count)]
        position = 0

        def drip() -> int:
            nonlocal position
            for sock in list(socks):
                try:
                    sock.settimeout(0)
                    sock.sendall(request[position : position + 1])
                    gone = sock.recv(1) == b""
                except BlockingIOError:
                    gone = False
                except OSError:
                    gone = True
                if gone:
                    socks.remove(sock)
            position += 1
            return len(socks)

        yield drip


@pytest.fixture
def you(tmp_path: Path, port: Port) -> Iterator[Jack]:
    """The daemon, on `port`."""
    made = Jack(tmp_path / "you", jack={"internalUrl": port.url, "apiKey": KEY})
    made.start()
    yield made
    made.close()


@pytest.mark.fault("P24")
def test_two_hundred_who_send_a_byte_at_a_time_do_not_slow_the_others_down(
    port: Port, you: Jack
) -> None:
    """Against the daemon, with its own limits."""
    address = ("127.0.0.1", port.number)
    homes = itertools.cycle([(f"127.0.1.{number}", 0) for number in range(1, 11)])
    with dripping(lambda: socket.create_connection(address, 20, next(homes)), 200) as drip:
        for _ in range(5):
            assert drip() == 200
            prompt(port.url)
    assert you.stop() == 0


@pytest.mark.fault("P24")
def test_a_request_that_does_not_come_to_its_end_is_given_up(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is a sign of life; together they must still come in time."""
    url = jack.share("a.mkv") + "/file"
    monkeypatch.setattr(channel, "REQUEST_SECONDS", 0.5)
    with jack.connect() as silent, requests.Session() as patient:
        assert patient.get(f"{jack.url}/ping", timeout=20).ok
        with dripping(jack.connect, 20) as drip:
            eventually(lambda: not drip())
        assert silent.recv(1) == b""
        # Between two requests one may be silent for longer.
        assert patient.get(f"{jack.url}/ping", timeout=20).ok
        assert jack.get(url).content == b"0123456789"


@pytest.mark.fault("P24")
def test_a_body_that_does_not_come_to_its_end_is_given_up_too(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "REQUEST_SECONDS", 0.5)
    with jack.connect() as sock:
        sock.sendall(b"POST /ping HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\nabc")
        assert sock.recv(1) == b""


@pytest.mark.fault("P24")
def test_at_the_limit_of_connections_the_one_that_waits_longest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 20)
    with sharing_jack(tmp_path) as jack, contextlib.ExitStack() as stack:
        url = jack.share("big.mkv") + "/file"
        os.truncate(jack.folder / "big.mkv", 64 * 1024 * 1024)
        reader = stack.enter_context(jack.connect(receive_bytes=4096))
        reader.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n".encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        idle = [stack.enter_context(jack.connect()) for _ in range(60)]
        prompt(jack.url)
        assert idle[0].recv(1) == b""
        assert len(reader.recv(4096)) > 0
        idle[-1].sendall(PING)
        assert idle[-1].recv(12) == b"HTTP/1.1 200"


@pytest.mark.fault("P24")
def test_a_stumble_of_the_loop_does_not_end_the_http_side(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, stumbles = server.wasyncore.loop, [1]

    def stumbling(*arguments: Any, **options: Any) -> None:
        if stumbles:
            stumbles.clear()
            raise ZeroDivisionError
        real(*arguments, **options)

    monkeypatch.setattr(server.wasyncore, "loop", stumbling)
    prompt(jack.url)
    eventually(lambda: not stumbles)
    prompt(jack.url)
    assert "goes on" in caplog.text


# -- those who do not read -----------------------------------------------------------------------


def asking(path: str, *fields: str, key: str = KEY) -> bytes:
    return "\r\n".join(
        (f"GET {path} HTTP/1.1", "Host: x", f"X-Api-Key: {key}", *fields, "\r\n")
    ).encode()


def long_list(root: Path) -> None:
    """What makes the list of a jack in `root` about 550 kB long."""
    (root / "video").mkdir()
    for number in range(LONG_LIST):
        (root / "video" / f"{number:04}{'x' * 200} (2020).mkv").touch()


@pytest.mark.fault("P24")
@pytest.mark.parametrize("what", ["files", "lists"])
def test_eight_who_ask_on_behind_a_large_answer_that_they_do_not_read_hold_no_thread(
    tmp_path: Path, what: str
) -> None:
    """As many as there are threads, with a friend's key."""
    if what == "lists":
        long_list(tmp_path)
    with sharing_jack(tmp_path) as jack, contextlib.ExitStack() as stack:
        url = "/peer/search"
        if what == "files":
            url = jack.share("big.mkv") + "/file"
            os.truncate(jack.folder / "big.mkv", 64 * 1024 * 1024)
        else:
            assert 540_000 < len(jack.get(url).content) < 1024 * 1024
        for _ in range(8):
            sock = stack.enter_context(jack.connect(receive_bytes=4096))
            sock.sendall(asking(url) * 40)
            assert sock.recv(12) == b"HTTP/1.1 200"
        prompt(jack.url)
        assert jack.get("/handshake").ok


@pytest.mark.fault("P24")
def test_those_who_do_not_read_a_list_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Their sockets never take another byte, so only jack itself can end them."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 20)
    long_list(tmp_path)
    with sharing_jack(tmp_path) as jack, contextlib.ExitStack() as stack:
        readers = [
            stack.enter_context(jack.connect(receive_bytes=4096)) for _ in range(MAX_LONG_LISTS)
        ]
        for reader in readers:
            reader.sendall(asking("/peer/search"))
            assert reader.recv(12) == b"HTTP/1.1 200"
        for _ in range(30):
            stack.enter_context(jack.connect())
            prompt(jack.url)
    said = [line for line in caplog.messages if "too many connections" in line]
    assert len(said) == 1


@pytest.mark.fault("P24")
def test_lists_that_nobody_reads_hold_a_place_each_and_these_are_few(tmp_path: Path) -> None:
    """Of half a megabyte; what is short enough to need no place is still answered."""
    long_list(tmp_path)
    with sharing_jack(tmp_path) as jack, contextlib.ExitStack() as stack:
        for _ in range(MAX_LONG_LISTS):
            reader = stack.enter_context(jack.connect(receive_bytes=4096))
            reader.sendall(asking("/peer/search"))
            assert reader.recv(12) == b"HTTP/1.1 200"
        refused = jack.get("/peer/search")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert jack.get("/peer/search?tmdbId=603").json() == {"items": []}
        stack.close()
        eventually(lambda: jack.get("/peer/search").ok)


@pytest.mark.fault("P24")
def test_strangers_who_do_not_read_their_refusals_keep_nobody_out(port: Port, you: Jack) -> None:
    """More of them than jack takes, from ten addresses; against the daemon."""
    refused = b"GET /peer/search HTTP/1.1\r\n" + HOST + b"\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(260):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.bind((f"127.0.1.{number % 10}", 0))
            sock.settimeout(20)
            sock.connect(("127.0.0.1", port.number))
            sock.sendall(refused)
            if number % 5 == 4:
                prompt(port.url)
    said = [line for line in you.log.splitlines() if "too many connections" in line]
    assert len(said) == 1
    assert re.search(r"closed \d+ on which nothing had moved", said[0])
    assert you.stop() == 0


@pytest.mark.fault("P24")
def test_one_address_has_no_more_than_its_share_of_the_connections(jack: SharingJack) -> None:
    """Uploads do not count: a key and a place are needed for these."""
    url = jack.share("big.mkv") + "/file"
    os.truncate(jack.folder / "big.mkv", 64 * 1024 * 1024)
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(jack.connect(receive_bytes=4096))
        reader.sendall(asking(url))
        assert reader.recv(12) == b"HTTP/1.1 200"
        socks = [stack.enter_context(jack.connect()) for _ in range(32 + 8)]
        assert [sock.recv(1) for sock in socks[:8]] == [b""] * 8
        socks[-1].sendall(PING)
        assert socks[-1].recv(12) == b"HTTP/1.1 200"
        assert reader.recv(4096)


def unread(port: int, ours: int) -> tuple[int, int]:
    """Bytes that wait in the system on the server's side: to be sent, and to be read (proc(5))."""
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        ends = [int(end.rpartition(":")[2], 16) for end in fields[1:3]]
        if ends == [port, ours]:
            to_send, to_read = fields[4].split(":")
            return int(to_send, 16), int(to_read, 16)
    raise AssertionError("the server has closed the connection")


def has_grown(port: int, ours: int, before: int) -> bool:
    return unread(port, ours)[0] > before


@pytest.mark.fault("P24")
@pytest.mark.skipif(not Path("/proc/net/tcp6").exists(), reason="needs Linux")
def test_who_asks_on_without_a_key_and_without_reading_is_not_heard_any_more(
    jack: SharingJack,
) -> None:
    """Else the system would keep megabytes of refusals for each connection."""
    with jack.connect(receive_bytes=4096) as sock:
        ours = sock.getsockname()[1]
        for _ in range(400):
            before = unread(jack.port, ours)[0]
            sock.sendall(b"GET /peer/search HTTP/1.1\r\n" + HOST + b"\r\n")
            if before > channel.UNREAD_ANSWER_BYTES:
                break
            # One that comes before the last is answered would close the connection. The first ones
            # go to the reader's side, which then takes no more.
            with contextlib.suppress(AssertionError):
                eventually(
                    partial(has_grown, jack.port, ours, before), seconds=10 if before else 0.5
                )
        for _ in range(3):
            prompt(jack.url)
        to_send, to_read = unread(jack.port, ours)
        assert to_read > 0
        assert to_send < channel.UNREAD_ANSWER_BYTES + 4096


# -- keys ----------------------------------------------------------------------------------------


@pytest.mark.fault("P27")
def test_every_wrong_key_gets_the_same_answer_and_none_is_logged(
    jack: SharingJack, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [
        b"x",
        KEY[:-1].encode(),
        KEY.encode() + b"x",
        KEY.upper().encode(),
        KEY.encode() + b", " + KEY.encode(),
        b"K" * 30_000,
        bytes(range(0x80, 0x100)),
        b"' OR 1=1 --",
        b"%00",
    ]
    answers = set()
    for key in keys:
        request = b"GET /peer/search HTTP/1.1\r\n" + HOST + b"X-Api-Key: " + key
        answer = jack.raw(request + b"\r\nConnection: close\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        dateless = [line for line in head.split(b"\r\n") if not line.startswith(b"Date:")]
        answers.add((tuple(dateless), body))
    assert len(answers) == 1
    assert status_of(answers.pop()[0][0]) == 401
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert len([line for line in lines if "invalid API key" in line]) == 1
    assert not any(key.decode("latin-1") in line for key in keys[1:] for line in lines)


@pytest.mark.fault("P27")
@pytest.mark.parametrize("where", ["header", "query", "header twice"])
def test_the_right_key_is_not_found_where_it_does_not_belong(jack: SharingJack, where: str) -> None:
    """Two keys are no key: which one counts must not depend on who reads them."""
    right = f"X-Api-Key: {KEY}\r\n"
    path, fields = {
        "header": ("/peer/search", right),
        "query": (f"/peer/search?apikey={KEY}", ""),
        "header twice": ("/peer/search", right + "X-Api-Key: other\r\n"),
    }[where]
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n"
    expected = 401 if where == "header twice" else 200
    assert status_of(jack.raw(request.encode())) == expected


@pytest.mark.fault("P27")
def test_wrong_keys_are_answered_later_and_later_and_the_right_one_at_once(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than there are threads wait at the same time."""
    monkeypatch.setattr(guesses, "WRONG_KEY_PAUSES", Pauses(0.01, 2.5))
    wrong = asking("/handshake", key="no-such-key-0123456789")
    for _ in range(guesses.FREE):
        with jack.connect() as sock:
            sock.sendall(wrong)
            assert sock.recv(12) == b"HTTP/1.1 401"
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(jack.connect()) for _ in range(12)]
        for sock in waiting:
            sock.sendall(wrong)
        jack.get("/handshake")
        assert jack.get("/handshake").ok
        last = waiting[-1]
        last.settimeout(1)
        with pytest.raises(TimeoutError):
            last.recv(1)
        assert jack.get("/handshake").ok
        last.settimeout(30)
        assert last.recv(12) == b"HTTP/1.1 401"


@pytest.mark.fault("P27")
def test_the_memory_of_wrong_keys_is_bounded_and_passes() -> None:
    clock = FakeClock()
    counted = guesses.Guesses(clock)
    waits = [counted.wrong("a") for _ in range(guesses.FREE + 20)]
    assert waits[: guesses.FREE] == [0.0] * guesses.FREE
    assert waits[guesses.FREE :] == sorted(waits[guesses.FREE :])
    assert waits[-1] == WRONG_KEY_PAUSES.longest
    for number in range(guesses.MOST_ADDRESSES):
        counted.wrong(str(number))
    assert counted.wrong("a") == 0.0
    for _ in range(guesses.FREE):
        counted.wrong("b")
    assert counted.wrong("b") > 0
    clock.advance(WRONG_KEYS_FORGOTTEN_SECONDS + 1)
    assert counted.wrong("b") == 0.0


# -- requests with two meanings ------------------------------------------------------------------


def head(*fields: bytes, line: bytes = b"GET /ping HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: jack.example", *fields, b"", b""))


SMUGGLED = {
    "length and coding": head(b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "coding and length": head(b"Transfer-Encoding: chunked", b"Content-Length: 6") + b"0\r\n\r\n",
    "two equal lengths": head(b"Content-Length: 0", b"Content-Length: 0"),
    "two lengths": head(b"Content-Length: 0", b"Content-Length: 44"),
    "lengths in a list": head(b"Content-Length: 0, 0"),
    "length with a sign": head(b"Content-Length: +0"),
    "negative length": head(b"Content-Length: -1"),
    "length in hex": head(b"Content-Length: 0x0"),
    "length with a space": head(b"Content-Length: 0 0"),
    "empty length": head(b"Content-Length:"),
    "length beyond every number": head(b"Content-Length: " + b"9" * 5000),
    "chunk size with a sign": head(b"Transfer-Encoding: chunked") + b"+0\r\n\r\n",
    "chunk size in a bad form": head(b"Transfer-Encoding: chunked") + b"0x0\r\n\r\n",
    "negative chunk size": head(b"Transfer-Encoding: chunked") + b"-1\r\n\r\n",
    "no chunk size": head(b"Transfer-Encoding: chunked") + b"\r\n0\r\n\r\n",
    "chunk size that overflows": head(b"Transfer-Encoding: chunked") + b"F" * 20 + b"\r\n\r\n",
    "chunk ended by a bare LF": head(b"Transfer-Encoding: chunked") + b"0\n\n",
    "chunk extension with a bare LF": head(b"Transfer-Encoding: chunked") + b"0;a\n\r\n\r\n",
    "unknown coding": head(b"Transfer-Encoding: xchunked"),
    "coding twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "coding in a list": head(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "coding with a tab": head(b"Transfer-Encoding:\tchunked") + b"0\r\n\r\n",
    "coding in HTTP/1.0": head(b"Transfer-Encoding: chunked", line=b"GET /ping HTTP/1.0"),
    "space before the colon": head(b"Content-Length : 0"),
    "folded line": head(b"X-A: 1", b" Content-Length: 44"),
    "folded first line": b"GET /ping HTTP/1.1\r\n X: 1\r\n" + HOST + b"\r\n",
    "bare LF between lines": b"GET /ping HTTP/1.1\nHost: x\n\n",
    "bare LF in a line": head(b"X-A: 1\nContent-Length: 44"),
    "bare CR in a line": head(b"X-A: 1\rContent-Length: 44"),
    "zero byte in a value": head(b"X-A: 1\x002"),
    "zero byte in a name": head(b"X\x00-A: 1"),
    "line without a colon": head(b"Content-Length 44"),
    "line without a name": head(b": 44"),
    "no host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two hosts": head(b"Host: other.example"),
    "host with a path": b"GET /ping HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a user": b"GET /ping HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "absolute form": head(line=b"GET http://evil.example/ping HTTP/1.1"),
    "absolute form without a host": head(line=b"GET http:///ping HTTP/1.1"),
    "other scheme": head(line=b"GET file:///etc/passwd HTTP/1.1"),
    "authority form": head(line=b"GET evil.example:80 HTTP/1.1"),
    "path without a slash": head(line=b"GET ping HTTP/1.1"),
    "asterisk": head(line=b"GET * HTTP/1.1"),
    "connect": head(line=b"CONNECT evil.example:443 HTTP/1.1"),
    "trace": head(b"Connection: close", line=b"TRACE /ping HTTP/1.1"),
    "options for all": head(b"Connection: close", line=b"OPTIONS * HTTP/1.1"),
    "post": head(b"Connection: close", line=b"POST /ping HTTP/1.1"),
    "unknown method": head(b"Connection: close", line=b"BREW /ping HTTP/1.1"),
    "small letters": head(line=b"get /ping HTTP/1.1"),
    "two spaces": head(line=b"GET  /ping HTTP/1.1"),
    "tab": head(line=b"GET\t/ping HTTP/1.1"),
    "space in the path": head(line=b"GET /pi ng HTTP/1.1"),
    "control character in the path": head(line=b"GET /ping\x01 HTTP/1.1"),
    "no version": b"GET /ping\r\n\r\n",
    "later version": head(line=b"GET /ping HTTP/2.0"),
    "unknown minor version": head(line=b"GET /ping HTTP/1.2"),
    "other protocol": head(line=b"GET /ping HTTPS/1.1"),
    "start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "huge path": head(line=b"GET /" + b"a" * 40_000 + b" HTTP/1.1"),
    "huge header": head(b"X-A: " + b"a" * 40_000),
    "many headers": head(*(b"X-%d: 1" % number for number in range(5000))),
    "a gigabyte announced": head(b"Content-Length: 1073741824"),
    "a gigabyte announced politely": head(b"Content-Length: 1073741824", b"Expect: 100-continue"),
}


@pytest.mark.fault("P28")
@pytest.mark.parametrize("shape", SMUGGLED)
def test_a_request_with_two_meanings_is_refused_and_nothing_behind_it_is_read(
    jack: SharingJack, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    def no_spooling(*_: object, **__: object) -> None:
        raise AssertionError("a body was written to the disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_spooling)
    answer = jack.raw(SMUGGLED[shape] + PING)
    assert answer.count(b"HTTP/1.") == 1, answer
    assert status_of(answer) in REFUSED, answer
    prompt(jack.url)


@pytest.mark.fault("P28")
def test_a_body_of_a_gigabyte_is_refused_before_it_has_come_and_never_kept(
    jack: SharingJack,
) -> None:
    """Its sender is told why, although it goes on sending."""
    before = set(os.listdir(jack.database.path.parent))
    with jack.connect() as sock:
        sock.sendall(head(b"Content-Length: 1073741824", line=b"GET /ping HTTP/1.1"))
        with contextlib.suppress(ConnectionError):
            for _ in range(8):
                sock.sendall(b"x" * 8192)
        assert status_of(sock.recv(4096)) == 413
    assert set(os.listdir(jack.database.path.parent)) == before


@pytest.mark.fault("P28")
def test_a_refusal_is_not_overtaken_by_a_reset(jack: SharingJack) -> None:
    """The system sends one when a connection is closed on bytes that nobody has read."""
    with jack.connect() as sock:
        sock.sendall(SMUGGLED["huge path"])
        answer = b""
        while data := sock.recv(65_536):
            answer += data
    assert status_of(answer) == 431


@pytest.mark.fault("P28")
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "[::1]:5225", "a.b-c_d~e:1", ""])
def test_any_host_in_its_right_form_is_answered_and_none_is_believed(
    jack: SharingJack, host: str
) -> None:
    """A proxy may pass on whatever name it is known by; no link is ever made of it."""
    request = f"GET /torznab/api?t=search&cat=2000&apikey={KEY} HTTP/1.1\r\nHost: {host}\r\n"
    answer = jack.raw((request + "Connection: close\r\n\r\n").encode())
    assert status_of(answer) == 200
    assert b"<enclosure" in answer
    assert b'url="http://127.0.0.1:%d/torznab/download' % jack.port in answer


def _random_head(chance: random.Random) -> tuple[bytes, bool]:
    """A request, and whether it has one meaning only."""
    line, is_good = chance.choice(
        [
            (b"GET /ping HTTP/1.1", True),
            (b"HEAD /ping HTTP/1.1", True),
            (b"GET /ping?a=b HTTP/1.1", True),
            (b"GET http://a/ping HTTP/1.1", False),
            (b"GET /ping HTTP/1.3", False),
            (b"GET /ping ", False),
        ]
    )
    good = [b"Accept: */*", b"X-A:", b"X-A:  b", b"Content-Length: 0", b"x_b: 1", b"Cookie: a=b"]
    bad = [
        b"Content-Length: 0",
        b"Content-Length: 0\r\nContent-Length: 0",
        b"Transfer-Encoding: " + chance.choice([b"chunked", b"CHUNKED", b"gzip", b"", b'"'])[:],
        b" " + chance.choice([b"folded", b"Host: b"]),
        b"\tfolded",
        b"Host: b",
        b"X A: 1",
        b"X-A\x0b: 1",
        b"Content-Length: " + chance.choice([b"1_0", b"\xb2", b"1e1", b"00x", b"0;"]),
        b"X-A: \x7f",
    ]
    fields = [b"Host: a"]
    for field in chance.sample(good, chance.randrange(4)):
        fields.insert(chance.randrange(len(fields) + 1), field)
    if chance.random() < 0.5:
        # A second Content-Length is bad, a first one is not.
        field = chance.choice(bad[1:] if b"Content-Length: 0" not in fields else bad)
        fields.insert(chance.randrange(1, len(fields) + 1), field)
        is_good = False
    return b"\r\n".join((line, *fields, b"", b"")), is_good


@pytest.mark.fault("P28")
@pytest.mark.parametrize("seed", FIXED_SEEDS)
def test_of_random_requests_those_with_one_meaning_are_answered(
    jack: SharingJack, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(SHAPES_PER_SEED):
        request, is_good = _random_head(chance)
        answer = jack.raw(request + PING)
        said = (seed, number, request, answer)
        assert answer.count(b"HTTP/1.") == 1, said
        assert (status_of(answer) == 200) == is_good, said
        assert is_good or status_of(answer) in REFUSED, said


# -- browsers ------------------------------------------------------------------------------------


@pytest.mark.fault("P29")
def test_no_route_believes_a_browser_without_the_key_and_none_changes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every route there is, asked as a page of somebody else could have a browser of the house ask,
    also when its name resolves to jack's address.
    """
    apps: list[Flask] = []
    real = http_side.create_app

    def creating(blueprints: Any) -> Flask:
        apps.append(real(blueprints))
        return apps[-1]

    monkeypatch.setattr(http_side, "create_app", creating)
    with sharing_jack(tmp_path) as jack:
        rules = list(apps[0].url_map.iter_rules())
        assert len(rules) > 6
        headers = {
            "Host": "evil.example",
            "Origin": "http://evil.example",
            "Referer": "http://evil.example/",
            "Cookie": f"apikey={KEY}; X-Api-Key={KEY}; session={KEY}",
            "Authorization": f"Bearer {KEY}",
            "X-Forwarded-For": "127.0.0.1",
            "X-Real-Ip": "127.0.0.1",
        }
        for rule in rules:
            assert rule.methods is not None
            changes = {"POST"} if str(rule).startswith("/manage/") else set()
            assert rule.methods <= {"GET", "HEAD", "OPTIONS"} | changes, rule
            path = str(rule).replace("<item_id>", "a").replace("<text>", "1")
            path = path.replace("<token>", "nothing").replace("<action>", "retry")
            assert "<" not in path
            for method in ("GET", "OPTIONS", "POST", "PUT", "DELETE"):
                answer = requests.request(
                    method, jack.url + path, headers=headers, data={"apikey": KEY}, timeout=20
                )
                is_open = path == "/ping" and method in {"GET", "OPTIONS"}
                is_refused = (
                    answer.status_code in {401, 405} or b'<error code="100"' in answer.content
                )
                assert is_refused != is_open, (method, path, answer.status_code)
                assert not [name for name in answer.headers if name.startswith("Access-Control")]
                assert "Set-Cookie" not in answer.headers


# -- circles of jacks ----------------------------------------------------------------------------


@pytest.mark.fault("P30")
def test_two_jacks_that_are_each_others_friends_answer_with_their_own_files_only(
    tmp_path: Path,
) -> None:
    with contextlib.ExitStack() as stack:
        for root, name in (
            ("a", "Film (2020) {tmdb-603}.mkv"),
            ("b", "Other (2021) {tmdb-604}.mkv"),
        ):
            (tmp_path / root / "video").mkdir(parents=True)
            (tmp_path / root / "video" / name).write_bytes(b"0123456789")
        friend = {"name": "b", "apiKey": KEY[::-1]}
        first = stack.enter_context(sharing_jack(tmp_path / "a", friends=[friend]))  # type: ignore[arg-type]
        entry = {"name": "a", "url": first.url, "apiKey": KEY[::-1]}
        second = stack.enter_context(sharing_jack(tmp_path / "b", peers=[entry]))  # type: ignore[arg-type]
        item = first.item("Film (2020) {tmdb-603}.mkv")
        found = second.get(f"/torznab/api?t=movie&tmdbid=603&apikey={KEY}")
        assert b"Film" in found.content
        for path in ("/peer/search?tmdbId=603", "/peer/search"):
            names = {one["filename"] for one in second.get(path).json()["items"]}
            assert names <= {"Other (2021) {tmdb-604}.mkv"}
        assert second.get(item).status_code == 404
        assert second.get(item + "/file").status_code == 404


@pytest.mark.fault("P30")
def test_half_downloads_and_jacks_own_state_are_never_shared(tmp_path: Path) -> None:
    """Even when somebody shares the folder that jack downloads into, or the one it lives in."""
    with sharing_jack(tmp_path) as jack:
        state = jack.database.path.parent
        (jack.folder / "Half (2020).mkv.part").write_bytes(b"half")
        (jack.folder / "Link (2020).mkv").symlink_to("Half (2020).mkv.part")
        for name in ("jack.db", "jack.lock", "jack.yaml", "jack.db-wal", "x.torrent"):
            (jack.folder / name).write_bytes(b"state")
            (jack.folder / f"{name}.mkv").symlink_to(name)
        (jack.folder / "outside.mkv").symlink_to(state / "jack.db")
        os.link(state / "jack.db", jack.folder / "linked.db")
        whole = jack.share("Whole (2020).mkv")
        items = jack.get("/peer/search").json()["items"]
        assert [item["filename"] for item in items] == ["Whole (2020).mkv"]
        # Nor when a file that was shared becomes such a thing.
        (jack.folder / "Whole (2020).mkv").unlink()
        (jack.folder / "Whole (2020).mkv").symlink_to("Half (2020).mkv.part")
        assert jack.get(whole + "/file").status_code == 404


@pytest.mark.fault("P30")
@pytest.mark.parametrize(
    "name", ["jack.db", "jack.db-wal", "jack.db-shm", "jack.lock", "jack.yaml"]
)
def test_a_hard_link_of_jacks_own_files_is_not_served_and_costs_the_database_no_lock(
    tmp_path: Path, name: str
) -> None:
    """Closing any descriptor of a file drops the locks that SQLite has on it (fcntl(2))."""
    with sharing_jack(tmp_path) as jack:
        state = jack.database.path.parent
        (state / "jack.lock").touch()
        own = (tmp_path if name == "jack.yaml" else state) / name
        item = jack.share("Linked (2020).mkv")
        assert jack.get(item + "/file").ok
        (jack.folder / "Linked (2020).mkv").unlink()
        os.link(own, jack.folder / "Linked (2020).mkv")
        other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('BEGIN IMMEDIATE')"
        with jack.database.transaction():
            assert jack.get(item + "/file").status_code == 404
            assert jack.get(item).status_code == 404
            command = [sys.executable, "-c", other, str(jack.database.path)]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert "locked" in said.stderr
