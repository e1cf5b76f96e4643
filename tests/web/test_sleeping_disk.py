"""A disk that sleeps, or a folder of another machine that is gone: whoever needs it waits, and
nobody else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from jack.library import catalog as catalog_room
from jack.library import disk_places
from jack.library.catalog import FIRST_SCAN_WAITERS, Catalog
from jack.library.folder_source import FolderSource
from jack.peers.protocol import file_path
from jack.support import waits
from jack.web import readahead
from jack.web.app import create_app
from jack.web.auth import KeyGuard
from jack.web.peer_api import peer_blueprint
from jack.web.server import Server
from jack.web.uploads import UploadGate
from tests.support.waiting import eventually
from tests.web.served_peer import KEY, ServedPeer
from tests.web.test_http_server import MIB, read_head, read_rest, requested, serving

THREADS = 8
DATA = os.urandom(3 * MIB)
needs_nowait = pytest.mark.skipif(not readahead.CAN_ASK, reason="the system cannot be asked")


class Disk:
    """Files named `slow*` lie on it. `wake` ends its sleep."""

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.asked = threading.Semaphore(0)

    def wake(self) -> None:
        self.awake.set()

    def touch(self, name: str) -> None:
        if os.path.basename(name).startswith("slow") and not self.awake.is_set():
            self.asked.release()
            self.awake.wait(20)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Asleep."""
    made = Disk()
    yield made
    made.wake()


@pytest.fixture
def gate() -> UploadGate:
    return UploadGate(100)


@pytest.fixture
def shared(
    peer: ServedPeer, catalog: Catalog, clock: Any, gate: UploadGate, serve: Callable[..., Server]
) -> ServedPeer:
    """With as many threads as the daemon has."""
    app = create_app([peer_blueprint(catalog, KeyGuard(KEY, clock), gate)])
    return ServedPeer(serve(app, THREADS), catalog, peer.folder, clock)


class TestOpening:
    @pytest.fixture(autouse=True)
    def sleeping(self, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.open

        def opening(path: Any, *rest: Any, **options: Any) -> int:
            disk.touch(os.fsdecode(path))
            return real(path, *rest, **options)

        monkeypatch.setattr(os, "open", opening)

    @pytest.mark.fault("V6")
    def test_those_who_wait_leave_threads_for_the_others_and_more_are_told_when_to_come_back(
        self, shared: ServedPeer, disk: Disk
    ) -> None:
        slow = shared.share("slow.mkv", DATA) + "/file"
        answers: list[requests.Response] = []

        def ask() -> None:
            answers.append(shared.get(slow))

        asking = [threading.Thread(target=ask) for _ in range(3 * THREADS)]
        for thread in asking:
            thread.start()
        refused = len(asking) - disk_places.PLACES_PER_FOLDER
        eventually(lambda: len(answers) == refused)
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["Retry-After"] for answer in answers} == {"20"}
        assert requests.get(shared.url + "/ping", timeout=10).ok
        assert shared.get("/peer/search").status_code == 200
        disk.wake()
        for thread in asking:
            thread.join(20)
        served = [answer.content for answer in answers if answer.status_code == 200]
        assert served == [DATA] * disk_places.PLACES_PER_FOLDER
        assert shared.get(slow).content == DATA

    @pytest.mark.fault("V6")
    def test_looking_at_an_item_waits_no_longer_than_fetching_it(
        self, shared: ServedPeer, disk: Disk
    ) -> None:
        item = shared.share("slow.mkv", DATA)
        with contextlib.ExitStack() as stack:
            for _ in range(disk_places.PLACES_PER_FOLDER):
                stack.enter_context(requested(shared, item))
                assert disk.asked.acquire(timeout=20)
            assert shared.get(item).status_code == 503
            assert requests.get(shared.url + "/ping", timeout=10).ok
            disk.wake()


class TestPlaces:
    def test_a_second_disk_is_asked_while_the_first_one_sleeps(self) -> None:
        places = disk_places.DiskPlaces(lambda: 0.0)
        with contextlib.ExitStack() as stack:
            for _ in range(disk_places.PLACES_PER_FOLDER):
                stack.enter_context(places.wait_for("/nas"))
            stack.enter_context(places.wait_for("/local"))

    def test_all_disks_together_leave_threads_for_what_needs_none(self) -> None:
        now = [0.0]
        places = disk_places.DiskPlaces(lambda: now[0])
        with contextlib.ExitStack() as stack:
            for number in range(disk_places.PLACES):
                stack.enter_context(places.wait_for(f"/{number}"))
            now[0] = waits.DISK_PATIENCE_SECONDS
            with pytest.raises(disk_places.TransientError) as caught, places.wait_for("/another"):
                pass
            assert caught.value.retry_after_seconds == waits.DISK_RETRY_SECONDS

    def test_who_leaves_makes_room_for_the_one_who_waits(self) -> None:
        places = disk_places.DiskPlaces()
        entered = threading.Event()

        def enter() -> None:
            with places.wait_for("/nas"):
                entered.set()

        with contextlib.ExitStack() as stack:
            for _ in range(disk_places.PLACES_PER_FOLDER):
                stack.enter_context(places.wait_for("/nas"))
            waiting = threading.Thread(target=enter)
            waiting.start()
            assert not entered.wait(0.05)
        waiting.join(20)
        assert entered.is_set()


@pytest.mark.fault("V6")
def test_a_first_look_into_the_library_that_takes_long_does_not_hold_all_threads(
    shared: ServedPeer, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    real, search = os.scandir, "/peer/search?tmdbId=603"

    def scanning(path: Any) -> Any:
        disk.asked.release()
        disk.awake.wait(20)
        return real(path)

    monkeypatch.setattr(os, "scandir", scanning)
    answers: list[requests.Response] = []
    looks, *waits = [
        threading.Thread(target=lambda: answers.append(shared.get(search)))
        for _ in range(1 + FIRST_SCAN_WAITERS + 1)
    ]
    looks.start()
    assert disk.asked.acquire(timeout=20)
    shared.clock.advance(7)
    for waiting in waits:
        waiting.start()
    (refused,) = eventually(lambda: list(answers), what="the answer to one too many")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "7")
    assert requests.get(shared.url + "/ping", timeout=10).ok
    disk.wake()
    for asking in (looks, *waits):
        asking.join(20)
    assert [answer.status_code for answer in answers] == [503] + [200] * (1 + FIRST_SCAN_WAITERS)


def test_whoever_asks_a_fresh_jack_at_once_is_served_when_it_has_looked_into_its_library(
    shared: ServedPeer, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    """Up to `maxUploads`, and more than there are threads: a first look takes a moment."""
    (shared.folder / "a.mkv").write_bytes(DATA)
    (found,) = FolderSource(shared.folder).scan()
    real = os.scandir

    def scanning(path: Any) -> Any:
        disk.asked.release()
        disk.awake.wait(20)
        return real(path)

    monkeypatch.setattr(os, "scandir", scanning)
    monkeypatch.setattr(catalog_room, "FIRST_SCAN_PATIENCE_SECONDS", 20.0)
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(requested(shared, file_path(found.release.id), "Connection: close"))
            for _ in range(2 * THREADS)
        ]
        assert disk.asked.acquire(timeout=20)
        disk.wake()
        for sock in socks:
            head, body = read_head(sock)
            assert head.startswith(b"HTTP/1.1 200")
            assert len(body) + read_rest(sock) == len(DATA)


@needs_nowait
class TestReading:
    """Open files of which nothing is in memory."""

    @pytest.fixture(autouse=True)
    def cold(self, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.preadv

        def reading(descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            is_slow = os.path.basename(name).startswith("slow")
            if flags and is_slow and not disk.awake.is_set():
                raise BlockingIOError(errno.EAGAIN, "not in memory")
            disk.touch(name)
            return real(descriptor, buffers, offset, flags)

        monkeypatch.setattr(os, "preadv", reading)

    @pytest.mark.fault("V6")
    def test_a_file_that_comes_slowly_from_its_disk_stops_no_other(
        self, shared: ServedPeer, disk: Disk
    ) -> None:
        slow = shared.share("slow.mkv", DATA) + "/file"
        fast = shared.share("fast.mkv", DATA) + "/file"
        with requested(shared, slow, "Connection: close") as reader:
            head, body = read_head(reader)
            assert head.startswith(b"HTTP/1.1 200")
            assert disk.asked.acquire(timeout=20)
            assert shared.get(fast).content == DATA
            assert requests.get(shared.url + "/ping", timeout=10).ok
            disk.wake()
            assert len(body) + read_rest(reader) == len(DATA)

    def test_many_who_wait_are_all_served_in_the_end(self, shared: ServedPeer, disk: Disk) -> None:
        slow = shared.share("slow.mkv", DATA) + "/file"
        answers: list[bytes] = []
        asking = [
            threading.Thread(target=lambda: answers.append(shared.get(slow).content))
            for _ in range(2 * THREADS)
        ]
        for thread in asking:
            thread.start()
        assert disk.asked.acquire(timeout=20)
        assert requests.get(shared.url + "/ping", timeout=10).ok
        disk.wake()
        for thread in asking:
            thread.join(20)
        assert answers == [DATA] * len(asking)

    def test_a_cache_that_keeps_nothing_makes_it_slow_and_not_endless(
        self, shared: ServedPeer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file system that never knows (NFS, FUSE) looks the same."""
        monkeypatch.setattr(readahead, "is_cached", lambda *_: False)
        slow = shared.share("a.mkv", DATA) + "/file"
        assert shared.get(slow).content == DATA
        assert shared.get(slow, headers={"Range": "bytes=-7"}).content == DATA[-7:]

    def test_who_leaves_while_the_disk_sleeps_frees_everything_when_it_wakes(
        self, shared: ServedPeer, disk: Disk, gate: UploadGate
    ) -> None:
        slow = shared.share("slow.mkv", DATA) + "/file"
        with requested(shared, slow) as reader:
            read_head(reader)
            assert disk.asked.acquire(timeout=20)
        disk.wake()
        eventually(lambda: gate.open == 0)
        eventually(lambda: serving("slow.mkv") == 0)

    def test_stop_does_not_wait_for_the_disk(self, shared: ServedPeer, disk: Disk) -> None:
        slow = shared.share("slow.mkv", DATA) + "/file"
        with requested(shared, slow) as reader:
            read_head(reader)
            assert disk.asked.acquire(timeout=20)
            shared.server.stop(10)
            assert read_rest(reader) == 0
        disk.wake()
        shared.server.stop(10)
        eventually(lambda: not any(t.name.startswith("read-ahead") for t in threading.enumerate()))
        assert serving("slow.mkv") == 0


@needs_nowait
def test_what_the_file_system_says_about_its_cache_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, expected in ((errno.EAGAIN, False), (errno.EOPNOTSUPP, False), (errno.EIO, True)):

        def answer(*_: Any, code: int = code) -> int:
            raise OSError(code, "so it is")

        monkeypatch.setattr(os, "preadv", answer)
        assert readahead.is_cached(0, 0, 10) is expected
