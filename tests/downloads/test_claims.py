"""Who is at work on what: never two on one file, and a stub of an earlier run is nobody's grab."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jack.downloads.claims import Claims
from jack.model import Stub

DEST = Path("completed/film.mkv")
STUB = Stub("0123abcd", "c:movie:1")


def test_of_two_at_once_only_the_first_may_work_on_a_file() -> None:
    claims = Claims()
    with claims.at_work_on(DEST) as first:
        with claims.at_work_on(DEST) as second, claims.at_work_on(DEST.with_name("b.mkv")) as other:
            assert (first, second, other) == (True, False, True)
        with claims.at_work_on(DEST) as third:
            assert not third, "who was kept away has given nothing back"
    with claims.at_work_on(DEST) as later:
        assert later


def test_a_file_is_free_again_after_an_error() -> None:
    claims = Claims()
    with pytest.raises(ZeroDivisionError), claims.at_work_on(DEST):
        raise ZeroDivisionError
    with claims.at_work_on(DEST) as again:
        assert again


def test_of_many_threads_exactly_one_gets_the_file() -> None:
    claims, barrier, got = Claims(), threading.Barrier(8), []

    def work() -> None:
        barrier.wait(20)
        with claims.at_work_on(DEST) as is_ours:
            got.append(is_ours)
            barrier.wait(20)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == [False] * 7 + [True]


def test_a_reenqueued_stub_is_owned_until_its_row_settles() -> None:
    claims = Claims()
    claims.reenqueue("a.torrent", STUB)
    assert claims.is_reenqueued("a.torrent", STUB)
    assert not claims.is_reenqueued("a.torrent", Stub(STUB.peer_id, "c:movie:2")), "another grab"
    assert not claims.is_reenqueued("b.torrent", STUB)
    claims.release("a.torrent", STUB)
    claims.release("a.torrent", STUB)
    assert not claims.is_reenqueued("a.torrent", STUB)
