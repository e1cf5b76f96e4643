"""Who has been told of which finished download, and which failures were reported."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jack.model import Download, Release
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.failures import Failures
from jack.store.handovers import Handovers, HandoverState
from tests.support.clock import FakeClock


@pytest.fixture
def row(database: Database, clock: FakeClock) -> Download:
    return made(Downloads(database, clock))


def made(downloads: Downloads, number: int = 1) -> Download:
    values: dict[str, Any] = {"release_json": {}, "blocked_by": None, "sentence": None}
    return downloads.create(
        torrent_filename=f"stub-{number}.torrent",
        stub_fingerprint="1:2:3",
        peer_id="aabbccdd",
        peer_name="ann",
        release=Release("c:movie:1", "Film", f"film-{number}.mkv", 2000, 1000),
        dest_path=Path(f"/completed/film-{number}.mkv"),
        info_hash="ab" * 20,
        **values,
    )


@pytest.fixture
def handovers(database: Database, clock: FakeClock, row: Download) -> Handovers:
    made = Handovers(database, clock)
    made.plan(row.id, ["One", "Two"])
    return made


@pytest.fixture
def failures(database: Database, clock: FakeClock) -> Failures:
    return Failures(database, clock)


def test_what_was_asked_survives_with_its_time_and_command(
    handovers: Handovers, clock: FakeClock
) -> None:
    assert handovers.asking(1, "One")
    at = clock.now()
    clock.advance(5)
    handovers.plan(1, ["One"])
    one, two = handovers.open()
    assert (one.server, one.asked_at, one.command_id, one.asks) == ("One", at, None, 1)
    assert (two.server, two.asked_at, two.command_id, two.asks) == ("Two", None, None, 0)
    assert handovers.accept(1, "One", 77)
    assert handovers.open(1)[0].command_id == 77
    assert handovers.asking(1, "One")
    again = handovers.open(1)[0]
    assert (again.asked_at, again.command_id, again.asks) == (clock.now(), None, 2)
    assert handovers.not_asked(1, "One")
    assert (handovers.open(1)[0].asked_at, handovers.open(1)[0].asks) == (None, 1)


@pytest.mark.parametrize("state", [s for s in HandoverState if s is not HandoverState.OPEN])
def test_what_is_settled_is_neither_open_nor_asked_again(
    handovers: Handovers, state: HandoverState
) -> None:
    assert handovers.settle(1, "One", state)
    assert [entry.server for entry in handovers.open()] == ["Two"]
    assert not handovers.asking(1, "One")
    assert not handovers.settle(1, "One", HandoverState.LOST)


def test_the_server_that_grabbed_it_takes_it_from_those_not_asked_yet(
    handovers: Handovers,
) -> None:
    handovers.plan(1, ["Three"])
    handovers.asking(1, "Three")
    handovers.claim(1, "One")
    assert [entry.server for entry in handovers.open(1)] == ["One", "Three"]
    assert not handovers.asking(1, "Two")


def test_of_two_servers_that_grabbed_it_both_are_asked(handovers: Handovers) -> None:
    handovers.claim(1, "One")
    handovers.claim(1, "Two")
    handovers.claim(1, "One")
    assert [entry.server for entry in handovers.open(1)] == ["One", "Two"]
    handovers.settle(1, "One", HandoverState.REJECTED)
    handovers.claim(1, "One")
    assert [entry.server for entry in handovers.open(1)] == ["Two"]


def test_a_retry_opens_what_was_rejected_and_nothing_else(handovers: Handovers) -> None:
    handovers.asking(1, "One")
    handovers.settle(1, "One", HandoverState.REJECTED)
    handovers.settle(1, "Two", HandoverState.IMPORTED)
    handovers.reopen(1)
    (one,) = handovers.open(1)
    assert (one.server, one.asked_at, one.command_id, one.asks) == ("One", None, None, 0)


def test_the_inode_of_a_finished_file_may_need_all_64_bits(
    database: Database, clock: FakeClock, row: Download
) -> None:
    downloads = Downloads(database, clock)
    downloads.complete(row.id, 1000, 2**64 - 1)
    found = downloads.get(row.id)
    assert found is not None
    assert (found.finished_inode, found.info_hash) == (2**64 - 1, "ab" * 20)


def test_failures_of_one_release_are_counted_over_its_downloads(
    database: Database, clock: FakeClock, row: Download, failures: Failures
) -> None:
    failures.note(row.peer_id, row.item_id, row.info_hash, row.id)
    clock.advance(3600)
    again = made(Downloads(database, clock), 2)
    failures.note(again.peer_id, again.item_id, None, again.id)
    since = clock.now() - timedelta(hours=24)
    assert failures.count_since(row.peer_id, row.item_id, since) == 2
    assert failures.count_since(row.peer_id, row.item_id, clock.now()) == 1
    assert failures.count_since(row.peer_id, "c:movie:2", since) == 0


def test_a_grab_that_was_reported_is_known_over_several_failures(
    database: Database, clock: FakeClock, row: Download, failures: Failures
) -> None:
    Downloads(database, clock).fail(row.id, "gone")
    first, second = (
        failures.note(row.peer_id, row.item_id, row.info_hash, row.id),
        failures.note(row.peer_id, row.item_id, row.info_hash, row.id),
    )
    failures.plan(first, ["One", "Two"])
    assert [(r.failure_id, r.server, r.failed_at) for r in failures.open()] == [
        (first, "One", clock.now()),
        (first, "Two", clock.now()),
    ]
    assert not failures.was_reported("One", 17)
    assert failures.reporting(first, "One", 17)
    assert failures.was_reported("One", 17)
    assert not failures.was_reported("Two", 17), "ids of another server are others"
    assert failures.reporting(second, "One", 17), "it may not have arrived the first time"
    failures.not_reported("One", 17)
    assert not failures.was_reported("One", 17)
    failures.settle(first, "One")
    assert [report.server for report in failures.open()] == ["Two"]


def test_a_failure_that_is_not_true_any_more_is_not_reported(
    database: Database, clock: FakeClock, row: Download, failures: Failures
) -> None:
    downloads = Downloads(database, clock)
    downloads.fail(row.id, "gone")
    failure = failures.note(row.peer_id, row.item_id, row.info_hash, row.id)
    downloads.revive(row.id)
    assert not failures.reporting(failure, "One", 17)
