"""Every step of a download is a guarded transition in a real SQLite file."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from jack.errors import StorageError
from jack.model import DownloadStatus, Validator, WaitReason
from jack.store.database import Database
from jack.store.downloads import Downloads
from tests.store.conftest import Make
from tests.support.clock import FakeClock

S = DownloadStatus


def test_a_row_survives_closing_and_opening_the_file(
    database: Database, make: Make, tmp_path: Path, clock: FakeClock
) -> None:
    made = make()
    database.close()
    again = Database(tmp_path)
    try:
        assert Downloads(again, clock).get(made.id) == made
    finally:
        again.close()


def test_a_stub_name_in_any_bytes_comes_back_as_it_was(downloads: Downloads, make: Make) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.torrent")
    made = make(torrent_filename=name)
    found = downloads.latest_for_stub(name, made.peer_id, made.item_id)
    assert found is not None
    assert found.torrent_filename == name


def test_an_attempt_is_counted_when_it_begins(downloads: Downloads, make: Make) -> None:
    row = make()
    first = downloads.begin_attempt(row)
    assert first is not None
    second = downloads.begin_attempt(first)
    assert second is not None and downloads.get(row.id) == second
    assert (first.status, first.attempts, second.attempts) == (S.DOWNLOADING, 1, 2)
    downloads.uncount_attempt(row.id)
    again = downloads.get(row.id)
    assert again is not None and again.attempts == 1


def test_a_checkpoint_moves_the_offset_and_the_best_offset_never_shrinks(
    downloads: Downloads, make: Make
) -> None:
    row = make()
    downloads.checkpoint(row.id, 700)
    downloads.restart(row.id, "the peer ignored the range", Validator('"b"', None))
    downloads.checkpoint(row.id, 300)
    now = downloads.get(row.id)
    assert now is not None
    assert (now.downloaded_bytes, now.best_bytes) == (300, 700)
    assert now.validator == Validator('"b"', None)
    assert now.error == "the peer ignored the range"


def test_a_restart_records_offset_zero_the_new_validator_and_why_in_one_commit(
    downloads: Downloads, make: Make
) -> None:
    row = make()
    downloads.checkpoint(row.id, 700)
    downloads.restart(row.id, "file changed at the peer", Validator('"new"', None))
    now = downloads.get(row.id)
    assert now is not None
    assert now.downloaded_bytes == 0
    assert now.status is S.QUEUED


def test_completing_clears_what_no_longer_matters(
    downloads: Downloads, make: Make, clock: FakeClock
) -> None:
    row = make()
    downloads.wait(row.id, WaitReason.RETRY, "broke", clock.now(), 2)
    assert downloads.complete(row.id, 1000)
    now = downloads.get(row.id)
    assert now is not None
    assert (now.status, now.error, now.next_attempt_at, now.wait_reason) == (
        S.COMPLETED,
        None,
        None,
        None,
    )
    assert now.completed_at == clock.now()
    assert now.downloaded_bytes == 1000


@pytest.mark.parametrize("settle", ["fail", "cancel", "complete"])
def test_a_settled_row_takes_no_more_progress(
    downloads: Downloads, make: Make, settle: str
) -> None:
    row = make()
    {
        "fail": lambda: downloads.fail(row.id, "gone"),
        "cancel": lambda: downloads.cancel(row.id, "no"),
        "complete": lambda: downloads.complete(row.id, 1000),
    }[settle]()
    before = downloads.get(row.id)
    assert not downloads.checkpoint(row.id, 5)
    assert not downloads.restart(row.id, "x", Validator())
    assert not downloads.wait(row.id, WaitReason.RETRY, "x", None, 0)
    assert downloads.begin_attempt(row) is None
    assert downloads.get(row.id) == before


def test_two_live_rows_for_one_destination_are_refused_by_the_database(make: Make) -> None:
    make(filename="same.mkv")
    with pytest.raises(StorageError):
        make(filename="same.mkv")


def test_a_row_behind_the_owner_of_its_destination_is_allowed_and_goes_on_later(
    downloads: Downloads, make: Make
) -> None:
    owner = make(filename="same.mkv")
    behind = make(filename="same.mkv", blocked_by=owner.id)
    assert behind.status is S.WAITING
    assert behind.wait_reason is WaitReason.BLOCKED
    assert [row.id for row in downloads.followers(owner)] == [behind.id]
    downloads.fail(owner.id, "gone")
    assert downloads.unblock(behind.id)
    now = downloads.get(behind.id)
    assert now is not None and now.status is S.QUEUED and now.blocked_by is None


def test_a_failed_row_is_revived_with_its_durable_offset(downloads: Downloads, make: Make) -> None:
    row = make()
    downloads.checkpoint(row.id, 700)
    downloads.fail(row.id, "gone")
    downloads.stubs_gone([row.id])
    assert downloads.revive(row.id, "9:9:9")
    now = downloads.get(row.id)
    assert now is not None
    assert (now.status, now.downloaded_bytes, now.error) == (S.QUEUED, 700, None)
    assert now.stub_present and now.stub_fingerprint == "9:9:9"


@pytest.mark.fault("B15")
def test_newest_change_comes_first_and_ties_are_broken_by_id(
    downloads: Downloads, make: Make, clock: FakeClock
) -> None:
    first, second, third = make(), make(), make()
    assert [row.id for row in downloads.all()] == [third.id, second.id, first.id]
    clock.advance(1)
    downloads.checkpoint(first.id, 1)
    assert [row.id for row in downloads.all()] == [first.id, third.id, second.id]


def test_holding_a_peer_touches_its_idle_rows_only(
    downloads: Downloads, make: Make, clock: FakeClock
) -> None:
    queued, running, other = make(), make(), make(peer_id="00000000")
    downloads.begin_attempt(running)
    until = clock.now() + timedelta(seconds=60)
    assert downloads.hold_peer("15ee3276", WaitReason.UNREACHABLE, "asleep", until) == 1
    held = downloads.get(queued.id)
    assert held is not None
    assert (held.status, held.wait_reason, held.next_attempt_at) == (
        S.WAITING,
        WaitReason.UNREACHABLE,
        until,
    )
    for untouched, status in ((running, S.DOWNLOADING), (other, S.QUEUED)):
        row = downloads.get(untouched.id)
        assert row is not None and row.status is status


def test_stubs_left_behind_are_those_of_settled_rows(downloads: Downloads, make: Make) -> None:
    live, done = make(), make()
    downloads.complete(done.id, 1000)
    assert [row.id for row in downloads.stubs_left_behind()] == [done.id]
    downloads.stubs_gone([done.id])
    assert list(downloads.stubs_left_behind()) == []
    assert [row.id for row in downloads.live()] == [live.id]


@pytest.mark.fault("B3")
def test_two_threads_reading_then_writing_never_meet_a_locked_database(
    database: Database, downloads: Downloads, make: Make
) -> None:
    row = make()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with database.connection():
                for offset in range(100):
                    downloads.get(row.id)
                    downloads.checkpoint(row.id, offset)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.fault("B4")
def test_a_hundred_short_threads_leave_no_descriptor_behind(
    database: Database, downloads: Downloads, make: Make
) -> None:
    row = make()

    def work() -> None:
        with database.connection():
            downloads.checkpoint(row.id, 1)

    def once() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        once()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.fault("B5")
def test_a_full_disk_under_the_database_is_a_storage_error(
    database: Database, downloads: Downloads, make: Make
) -> None:
    row = make()
    database.raw.execute_sql("PRAGMA max_page_count = 1")
    with pytest.raises(StorageError, match="database"):
        for number in range(2000):
            downloads.restart(row.id, "x" * 1000 * number, Validator())
