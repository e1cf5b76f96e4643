"""Files leave by the kernel where it can, by copying where it cannot, and nobody can tell which."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jack.web import channel, server
from tests.web.test_http_server import MIB, eventually, read_head, read_rest, requested, serving

DATA = os.urandom(5 * MIB + 1)
Sendfile = Callable[[int, int, int, int], int]
pytestmark = pytest.mark.skipif(not channel.HAS_SENDFILE, reason="this system has no sendfile")


@pytest.fixture
def url(peer: Any) -> str:
    return str(peer.share("a.mkv", DATA)) + "/file"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each call of sendfile sent."""
    counts: list[int] = []
    real: Sendfile = os.sendfile

    def noting(*arguments: int) -> int:
        counts.append(real(*arguments))
        return counts[-1]

    monkeypatch.setattr(os, "sendfile", noting)
    return counts


def test_the_kernel_sends_every_byte_of_a_file(peer: Any, url: str, sent: list[int]) -> None:
    assert peer.get(url).content == DATA
    assert sum(sent) == len(DATA)


def test_a_range_is_sent_by_the_kernel_too(peer: Any, url: str, sent: list[int]) -> None:
    answer = peer.get(url, headers={"Range": "bytes=7-3000006"})
    assert answer.content == DATA[7:3000007]
    assert sum(sent) == 3_000_000


def test_one_turn_sends_no_more_than_its_share(
    peer: Any, url: str, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much the socket takes: other connections wait."""
    monkeypatch.setattr(channel, "TURN_BYTES", 10_000)
    assert peer.get(url, headers={"Range": "bytes=0-99999"}).content == DATA[:100_000]
    assert max(sent) <= 10_000


def test_without_sendfile_the_bytes_are_copied(
    peer: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "HAS_SENDFILE", False)
    monkeypatch.delattr(os, "sendfile")
    assert peer.get(url).content == DATA
    assert peer.get(url, headers={"Range": "bytes=-9"}).content == DATA[-9:]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("after", [0, 1])
def test_a_file_system_that_cannot_be_sent_from_is_read_instead(
    peer: Any, url: str, monkeypatch: pytest.MonkeyPatch, code: int, after: int
) -> None:
    real: Sendfile = os.sendfile
    calls: list[int] = []

    def refusing(*arguments: int) -> int:
        calls.append(1)
        if len(calls) > after:
            raise OSError(code, "not from here")
        return real(*arguments)

    monkeypatch.setattr(os, "sendfile", refusing)
    assert peer.get(url).content == DATA
    assert len(calls) == after + 1


def test_a_disk_that_fails_while_a_file_is_sent_ends_the_connection_short(
    peer: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: int) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "sendfile", failing)
    with requested(peer, url) as reader:
        head, body = read_head(reader)
        assert f"content-length: {len(DATA)}".encode() in head.lower()
        assert len(body) + read_rest(reader) == 0
    assert eventually(lambda: serving("a.mkv") == 0)
    assert peer.get("/ping").status_code == 200


def test_the_loop_sleeps_while_a_thread_of_the_application_sends(
    peer: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to look at the half-sent answer again and again, on the whole core."""
    entered, release, rounds = threading.Event(), threading.Event(), []
    sendfile, loop = os.sendfile, server.wasyncore.loop

    def waiting(*arguments: int) -> int:
        if threading.current_thread().name.startswith("waitress"):
            entered.set()
            release.wait(20)
        return sendfile(*arguments)

    def counting(*arguments: Any, **options: Any) -> None:
        rounds.append(1)
        loop(*arguments, **options)

    monkeypatch.setattr(os, "sendfile", waiting)
    monkeypatch.setattr(server.wasyncore, "loop", counting)
    with requested(peer, url, "Connection: close") as reader:
        try:
            assert entered.wait(20)
            with requested(peer, url):  # wakes the loop
                release.wait(0.3)
            assert len(rounds) < 20
        finally:
            release.set()
        _, body = read_head(reader)
        assert len(body) + read_rest(reader) == len(DATA)
