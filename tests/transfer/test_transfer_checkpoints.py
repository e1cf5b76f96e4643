"""Recorded progress: what may be recorded, when, and what a failed sync means."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from jack.errors import Interrupted, JackError, StorageError, TransientError
from jack.support.clock import Clock, SystemClock
from jack.support.threads import NoThread
from jack.transfer import part as part_module
from jack.transfer.body import Way
from jack.transfer.checkpoints import Checkpoints, Rhythm
from tests.support.clock import FakeClock
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, Running, film

BODY = film(3_000_000)


class Bench:
    """Checkpoints over a disk that syncs when it is told to."""

    def __init__(self, clock: Clock, every_bytes: int = 100, every_seconds: float = 1000.0) -> None:
        self.recorded: list[int] = []
        self.syncing = threading.Semaphore(0)
        self.may_sync = threading.Semaphore(0)
        self.aborted: list[JackError] = []
        self.failure: Exception | None = None
        self.checkpoints = Checkpoints(
            self._sync,
            self.recorded.append,
            Rhythm(every_bytes, every_seconds),
            clock,
            0,
            self.aborted.append,
        )

    def _sync(self) -> None:
        self.syncing.release()
        assert self.may_sync.acquire(timeout=20)
        if self.failure is not None:
            raise self.failure

    def let_sync(self) -> None:
        assert self.syncing.acquire(timeout=20), "no sync began"
        self.may_sync.release()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(SystemClock())
    yield bench
    bench.may_sync.release(100)
    bench.checkpoints.close()


def test_a_checkpoint_comes_after_so_many_bytes_and_not_before(bench: Bench) -> None:
    bench.checkpoints.wrote(99)
    assert not bench.syncing.acquire(timeout=0.05)
    bench.checkpoints.wrote(100)
    bench.let_sync()
    eventually(lambda: bench.recorded == [100])
    assert bench.checkpoints.durable == 100


def test_what_was_written_before_the_sync_began_is_recorded_not_what_came_meanwhile(
    bench: Bench,
) -> None:
    bench.checkpoints.wrote(150)
    assert bench.syncing.acquire(timeout=20)
    bench.checkpoints.wrote(5000)
    assert bench.recorded == []
    assert not bench.syncing.acquire(timeout=0.05), "never two syncs at once"
    bench.may_sync.release()
    bench.let_sync()
    eventually(lambda: bench.recorded == [150, 5000])


def test_a_checkpoint_comes_after_so_many_seconds_though_the_link_is_quiet() -> None:
    bench = Bench(SystemClock(), every_bytes=10**9, every_seconds=0.05)
    bench.checkpoints.wrote(7)
    bench.let_sync()
    eventually(lambda: bench.recorded == [7])
    assert not bench.syncing.acquire(timeout=0.15), "nothing new, nothing to sync"
    bench.checkpoints.close()


def test_before_its_time_no_checkpoint_comes() -> None:
    clock = FakeClock()
    bench = Bench(clock, every_bytes=100, every_seconds=10.0)
    bench.checkpoints.wrote(7)
    clock.advance(9.9)
    bench.checkpoints.wrote(8)
    assert not bench.syncing.acquire(timeout=0.05)
    bench.checkpoints.close()
    assert bench.recorded == []


def test_the_end_waits_for_the_running_sync_and_records_the_rest(bench: Bench) -> None:
    bench.checkpoints.wrote(150)
    assert bench.syncing.acquire(timeout=20)
    bench.may_sync.release(2)
    bench.checkpoints.finish(170)
    assert bench.recorded == [150, 170]


def test_the_end_syncs_nothing_when_all_is_recorded(bench: Bench) -> None:
    bench.checkpoints.finish(0)
    assert bench.recorded == []


@pytest.mark.fault("D6")
@pytest.mark.parametrize("error", [StorageError("EIO"), ValueError("a bug"), Interrupted("gone")])
def test_after_a_failure_nothing_is_synced_or_recorded_any_more(
    bench: Bench, error: Exception
) -> None:
    bench.failure = error
    bench.checkpoints.wrote(150)
    bench.let_sync()
    eventually(lambda: bench.aborted, what="the reader being told")
    bench.failure = None
    for end in (lambda: bench.checkpoints.wrote(400), lambda: bench.checkpoints.finish(400)):
        with pytest.raises(type(error)) as caught:
            end()
        assert caught.value is error
    assert not bench.syncing.acquire(timeout=0.05)
    assert (bench.recorded, bench.checkpoints.durable) == ([], 0)


@pytest.mark.fault("R3")
def test_without_a_thread_to_sync_in_jack_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    with pytest.raises(NoThread):
        bench.checkpoints.wrote(1)
    bench.may_sync.release()
    bench.checkpoints.finish(1)
    assert bench.recorded == [1]
    assert [args.exc_type for args in told] == [NoThread]


# --- in a real transfer ---


@pytest.fixture(autouse=True)
def offered(peer: ScriptedPeer) -> None:
    peer.offer(ITEM, BODY, etag=ETAG)


def on_file_sync(monkeypatch: pytest.MonkeyPatch, action: Callable[[int], None]) -> None:
    """Call `action` with the count before every fsync of a file."""
    real, count = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):
            count[0] += 1
            action(count[0])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def eio(*_: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_reading_goes_on_while_a_sync_hangs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    on_file_sync(monkeypatch, lambda n: gate.wait(20) and None)
    running = Running(rig)
    eventually(lambda: rig.part.exists() and rig.part.stat().st_size == len(BODY), what="all bytes")
    assert rig.row.offset == 0
    gate.set()
    running.join(20)
    assert rig.dest.read_bytes() == BODY


def test_a_quiet_link_gets_its_checkpoint_by_time(rig: Rig) -> None:
    rig.settings |= {"checkpoint_bytes": 10**9, "checkpoint_interval_seconds": 0.05}
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), pause_at=100_000))
    running = Running(rig)
    eventually(lambda: rig.row.offset == 100_000, what="the checkpoint")
    running.wire.abort(Interrupted("enough"))
    running.join()


def test_a_failed_sync_while_waiting_for_the_network_ends_the_attempt_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_file_sync(monkeypatch, eio)
    rig.settings |= {"checkpoint_interval_seconds": 0.05, "idle_timeout_seconds": 60.0}
    rig.settings |= {"checkpoint_bytes": 10**9}
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), pause_at=100_000))
    running = Running(rig)
    running.join()
    assert type(running.error) is StorageError
    assert "cannot sync" in str(running.error)
    assert (rig.row.offset, running.progress.end_offset) == (0, 0)


@pytest.mark.fault("D6")
def test_after_a_failed_sync_only_the_last_good_checkpoint_counts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []

    def fail_second(number: int) -> None:
        syncs.append(number)
        if number == 2:
            eio()

    rig.peer.always(
        FILE, lambda r: replace(rig.peer.honest(r), piece_bytes=65536, piece_pause_seconds=0.002)
    )
    with monkeypatch.context() as patch:
        on_file_sync(patch, fail_second)
        with pytest.raises(StorageError):
            rig.attempt()
    good = rig.row.offset
    assert syncs == [1, 2], "a failed sync is never repeated and believed"
    assert 0 < good == rig.progress.end_offset < len(BODY)
    rig.attempt()
    assert rig.asked()[1] == f"bytes={good}-"
    assert rig.dest.read_bytes() == BODY


def test_a_failed_last_sync_is_a_storage_error_whatever_else_happened(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_file_sync(monkeypatch, eio)
    rig.settings["checkpoint_bytes"] = 10**9
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), cut_after=1000))
    with pytest.raises(StorageError):
        rig.attempt()
    assert rig.row.offset == 0


def test_a_row_that_cannot_be_written_ends_the_attempt(rig: Rig) -> None:
    def refuse(offset: int) -> None:
        raise StorageError("the database is locked")

    rig.row.before_checkpoint = refuse
    with pytest.raises(StorageError, match="locked"):
        rig.attempt()
    assert not rig.dest.exists()


@pytest.mark.fault("N4")
def test_a_drop_is_recorded_to_the_last_byte_received(rig: Rig) -> None:
    rig.settings["checkpoint_bytes"] = 10**9
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), cut_after=1_234_567))
    with pytest.raises(TransientError):
        rig.attempt()
    assert rig.row.events[-1] == ("checkpoint", 1_234_567)
    assert (rig.progress.start_offset, rig.progress.end_offset) == (0, 1_234_567)


@pytest.mark.fault("D20")
@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="not everywhere")
@pytest.mark.parametrize("refuses", [False, True])
def test_what_is_on_the_disk_leaves_the_page_cache(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    dropped: list[tuple[int, int]] = []

    def fadvise(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        dropped.append((offset, length))
        if refuses:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(part_module, "WORTH_DROPPING_BYTES", 100_000)
    monkeypatch.setattr(os, "posix_fadvise", fadvise)
    body = film(1_000_000)
    rig.peer.offer(ITEM, body)
    rig.attempt(frozenset({Way.PORTABLE}))
    assert rig.dest.read_bytes() == body
    ends = [0, *(offset + length for offset, length in dropped)]
    assert [offset for offset, _ in dropped] == ends[:-1], "each byte once, in order"
    assert len(body) - ends[-1] < 100_000
