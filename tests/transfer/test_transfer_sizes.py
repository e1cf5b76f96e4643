"""How big the file is, who says so, and whether there is room for it."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jack.errors import Interrupted, NoSpace, PermanentError, StorageError
from jack.support.text import size_text
from jack.transfer.space import SpaceLedger
from tests.support.scripted_peer import Answer, ScriptedPeer
from tests.support.waiting import eventually
from tests.transfer.rig import ETAG, FILE, ITEM, Rig, Running, film

BODY = film(40_000)


@pytest.fixture(autouse=True)
def offered(peer: ScriptedPeer) -> None:
    peer.offer(ITEM, BODY, etag=ETAG)


def unsized(rig: Rig, *, chunked: bool = False) -> None:
    rig.peer.always(
        FILE, lambda request: replace(rig.peer.honest(request), length=None, chunked=chunked)
    )


def test_a_size_the_release_and_the_transfer_agree_on_is_recorded_once(rig: Rig) -> None:
    rig.release_size = len(BODY)
    rig.attempt()
    assert rig.row.kinds()[:2] == ["identify", "expect"]
    assert (rig.row.source, rig.row.mismatch) == ("content_length", False)
    assert "reread" not in rig.row.kinds()


@pytest.mark.parametrize("chunked", [False, True])
def test_the_release_decides_when_the_transfer_states_no_size(rig: Rig, chunked: bool) -> None:
    rig.release_size = len(BODY)
    unsized(rig, chunked=chunked)
    rig.attempt()
    assert (rig.row.expected, rig.row.source) == (len(BODY), "release_size")
    assert rig.dest.read_bytes() == BODY


def test_a_size_that_is_not_stated_is_learnt_by_a_range_of_everything(rig: Rig) -> None:
    """A chunked 200 says nothing of the size; the Content-Range of a 206 does."""
    unsized(rig, chunked=True)
    assert rig.attempt().size == len(BODY)
    assert rig.asked() == [None, "bytes=0-"]
    assert (rig.row.expected, rig.row.source) == (len(BODY), "content_range")
    assert rig.dest.read_bytes() == BODY


UNSIZED = Answer(200, {"ETag": ETAG}, BODY, length=None)


@pytest.mark.parametrize(
    "second",
    [
        UNSIZED,
        Answer(206, {"Content-Range": f"bytes 0-{len(BODY) - 1}/*"}, BODY, length=None),
        Answer(416, {"Content-Range": "bytes */*"}),
    ],
)
def test_a_size_nobody_knows_is_refused(rig: Rig, second: Answer) -> None:
    rig.peer.script(FILE, UNSIZED, second)
    with pytest.raises(PermanentError, match="how big"):
        rig.attempt()
    assert rig.asked() == [None, "bytes=0-"]
    assert list(rig.folder.iterdir()) == []


@pytest.mark.parametrize("offset", [0, 1000])
def test_no_content_means_that_the_file_is_empty(rig: Rig, offset: int) -> None:
    """What Bun answers for a file of no bytes (HTTP 204), first or after a while."""
    rig.had(BODY[:offset], expected=len(BODY))
    rig.peer.always(FILE, Answer(204, length=None))
    with pytest.raises(PermanentError, match="the file is empty at friend"):
        rig.attempt()
    assert not rig.dest.exists()


@pytest.mark.parametrize("release_size", [0, 7])
def test_an_empty_file_is_refused(rig: Rig, release_size: int) -> None:
    rig.release_size = release_size
    rig.peer.offer(ITEM, b"")
    with pytest.raises(PermanentError, match="empty"):
        rig.attempt()
    assert list(rig.folder.iterdir()) == []


@pytest.mark.fault("H14")
@pytest.mark.parametrize("stated", [True, False])
def test_a_file_beyond_the_limit_is_refused_before_its_first_byte(rig: Rig, stated: bool) -> None:
    rig.settings["max_file_bytes"] = len(BODY) - 1
    if not stated:
        unsized(rig)
        rig.release_size = len(BODY)
    with pytest.raises(PermanentError, match="maxFileBytes"):
        rig.attempt()
    assert list(rig.folder.iterdir()) == []


def test_an_oversized_answer_to_a_range_leaves_the_part_alone(rig: Rig) -> None:
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    rig.settings["max_file_bytes"] = len(BODY)
    rig.peer.script(FILE, Answer(200, {}, b"x", length=10**12))
    with pytest.raises(PermanentError, match=r"931\.3 GiB"):
        rig.attempt()
    assert (rig.row.events, rig.part.read_bytes()) == ([], BODY[:1000])


def test_metadata_read_again_that_agrees_settles_the_size(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.release_size, rig.row.reread = 7, lambda: len(BODY)
    rig.attempt()
    assert rig.row.kinds().count("reread") == 1
    assert (rig.row.expected, rig.row.mismatch) == (len(BODY), False)
    assert caplog.records == []


@pytest.mark.fault("H14")
@pytest.mark.parametrize("again", [7, None, 0])
def test_otherwise_the_transfers_size_wins_flagged_and_said_once(
    rig: Rig, again: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    rig.release_size, rig.row.reread = 7, lambda: again
    with caplog.at_level(logging.INFO):
        rig.attempt()
    assert (rig.row.expected, rig.row.mismatch) == (len(BODY), True)
    (line,) = caplog.messages
    assert "40000 bytes, though 7 were announced" in line
    assert rig.dest.read_bytes() == BODY


def test_later_attempts_compare_with_the_recorded_size_not_with_the_release(rig: Rig) -> None:
    rig.release_size = 7
    rig.had(BODY[:1000], expected=len(BODY), etag=ETAG)
    assert not rig.attempt().restarted
    assert rig.row.kinds() == ["checkpoint", "outdated?"]


def test_the_first_206_may_contradict_the_release_too(rig: Rig) -> None:
    rig.release_size = 7
    rig.had(BODY[:1000], etag=ETAG)
    assert not rig.attempt().restarted
    assert (rig.row.expected, rig.row.source, rig.row.mismatch) == (
        *(len(BODY), "content_range"),
        True,
    )
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("H3")
def test_a_changed_file_gets_its_new_size(rig: Rig) -> None:
    rig.release_size, rig.row.reread = 39_000, lambda: len(BODY)
    rig.had(film(1000, seed=3), expected=39_000)
    assert rig.attempt().restarted
    assert "39000 before" in rig.row.reasons[0]
    assert (rig.row.expected, rig.row.mismatch) == (len(BODY), False)
    assert rig.dest.read_bytes() == BODY


def test_a_changed_file_that_states_no_size_is_looked_up_again(rig: Rig) -> None:
    """Its old size would cut the new version short."""
    rig.had(film(1000, seed=3), expected=39_000, etag='"v0"')
    rig.row.reread = lambda: len(BODY)
    rig.peer.script(
        FILE,
        Answer(200, {"ETag": ETAG}, BODY, chunked=True),
    )
    assert rig.attempt().restarted
    assert rig.row.expected == len(BODY)
    assert rig.dest.read_bytes() == BODY


def test_an_interruption_while_metadata_is_read_again_ends_the_attempt(rig: Rig) -> None:
    def interrupted() -> int | None:
        raise Interrupted("jack is stopping")

    rig.release_size, rig.row.reread = 7, interrupted
    with pytest.raises(Interrupted):
        rig.attempt()
    assert list(rig.folder.iterdir()) == []


# --- space ---


def disk(free: int, blocks: int = 10**9) -> Callable[[Path], Any]:
    return lambda folder: SimpleNamespace(
        f_blocks=blocks, f_bavail=free // 4096, f_frsize=4096, f_bsize=4096
    )


MIB = 1024 * 1024


@pytest.mark.fault("D21")
def test_two_that_fit_alone_do_not_fit_together(tmp_path: Path) -> None:
    space = SpaceLedger(10 * MIB, disk(100 * MIB))
    with space.reserve(tmp_path, 60 * MIB):
        assert not space.can_hold(tmp_path, 60 * MIB)
        with pytest.raises(NoSpace, match=r"60\.0 MiB needed, 100\.0 MiB free.*60\.0 MiB are") as e:
            space.reserve(tmp_path, 60 * MIB)
        assert "10.0 MiB stay free (minFreeBytes)" in str(e.value)
        assert space.can_hold(tmp_path, 30 * MIB)
        assert not space.can_hold(tmp_path, 30 * MIB + 1)
    assert space.can_hold(tmp_path, 90 * MIB)


def test_what_is_written_is_no_promise_any_more(tmp_path: Path) -> None:
    space = SpaceLedger(0, disk(100 * MIB))
    with space.reserve(tmp_path, 60 * MIB) as reservation:
        reservation.used(50 * MIB)
        assert space.can_hold(tmp_path, 90 * MIB)
        reservation.used(50 * MIB)
        assert reservation.remaining == 0


def test_a_promise_counts_on_its_own_file_system_only(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or os.stat(other).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("no second file system at hand")
    space = SpaceLedger(0, disk(100 * MIB))
    with space.reserve(tmp_path, 60 * MIB):
        assert space.can_hold(other, 60 * MIB)


def test_many_threads_never_promise_more_than_there_is(tmp_path: Path) -> None:
    space, got, start = SpaceLedger(0, disk(100 * MIB)), [], threading.Barrier(8)

    def take() -> None:
        start.wait()
        for _ in range(50):
            try:
                got.append(space.reserve(tmp_path, MIB))
            except NoSpace:
                return

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 100


@pytest.mark.fault("D22")
@pytest.mark.parametrize("lie", ["raises", "no blocks", "more free than there is"])
def test_a_file_system_that_does_not_know_is_warned_of_once(
    tmp_path: Path, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(folder: Path) -> Any:
        raise OSError(errno.ENOSYS, "Function not implemented")

    lies = {
        "raises": raising,
        "no blocks": disk(0, blocks=0),
        "more free than there is": disk(2**63, blocks=5),
    }
    space = SpaceLedger(10**18, lies[lie])
    assert space.can_hold(tmp_path, 10**15)
    with space.reserve(tmp_path, 10**15):
        pass
    assert len(caplog.records) == 1


def test_a_folder_that_is_gone_does_not_break_the_bookkeeping(tmp_path: Path) -> None:
    space = SpaceLedger(0, disk(100 * MIB))
    with space.reserve(tmp_path / "gone", 60 * MIB):
        assert not space.can_hold(tmp_path / "gone", 60 * MIB)


def test_sizes_are_told_in_units_people_use() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 1536 * 1024, 5 * 2**40, 2**70)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB", "1048576.0 PiB"),
    ]


def test_space_is_reserved_before_the_first_byte_and_given_back(rig: Rig) -> None:
    rig.space = SpaceLedger(0, disk(30_000))
    with pytest.raises(NoSpace):
        rig.attempt()
    assert list(rig.folder.iterdir()) == []
    rig.space = SpaceLedger(0, disk(45_056))
    rig.attempt()
    assert rig.space.can_hold(rig.folder, 45_056)


def test_a_running_transfer_promises_only_what_it_has_not_written(rig: Rig) -> None:
    rig.space = SpaceLedger(0, disk(45_056))
    rig.settings["checkpoint_interval_seconds"] = 0.02
    rig.peer.script(FILE, lambda r: replace(rig.peer.honest(r), pause_at=30_000))
    running = Running(rig)
    eventually(lambda: rig.row.offset == 30_000, what="the checkpoint")
    assert rig.space.can_hold(rig.folder, 35_056)
    assert not rig.space.can_hold(rig.folder, 35_057)
    running.wire.abort(Interrupted("enough"))
    running.join()
    assert rig.space.can_hold(rig.folder, 45_056)


def test_a_resume_needs_room_for_the_rest_only(rig: Rig) -> None:
    rig.had(BODY[:30_000], expected=len(BODY), etag=ETAG)
    rig.space = SpaceLedger(0, disk(12_288))
    rig.attempt()
    assert rig.dest.read_bytes() == BODY


# --- the disk says no ---

DISK_ERRORS = [
    (errno.ENOSPC, NoSpace),
    (errno.EDQUOT, NoSpace),
    (errno.EFBIG, PermanentError),
    (errno.EIO, StorageError),
    (errno.EROFS, StorageError),
]


@pytest.mark.fault("D2")
@pytest.mark.parametrize(("number", "kind"), DISK_ERRORS)
def test_a_disk_that_refuses_bytes_keeps_those_before(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    real, room = os.pwrite, [10_000]

    def full_after_room(descriptor: int, data: memoryview, position: int) -> int:
        if not room[0]:
            raise OSError(number, os.strerror(number))
        taken = real(descriptor, data[: room[0]], position)
        room[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full_after_room)
        with pytest.raises(kind) as caught:
            rig.attempt()
    assert type(caught.value) is kind
    assert os.strerror(number) in str(caught.value)
    assert rig.row.offset == rig.progress.end_offset == 10_000
    rig.attempt()
    assert rig.asked() == [None, "bytes=10000-"]
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("D9")
def test_a_folder_that_cannot_be_written_is_the_disks_fault(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_CREAT | getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        rig.attempt()
