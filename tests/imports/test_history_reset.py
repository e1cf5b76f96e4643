"""A server whose history begins again below the ids that were known: what proves an import then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from jack.arr.manual import ImportApi
from jack.imports.history_watch import look
from jack.support.http import Wire
from tests.imports.conftest import HASH, SEEN, Room, Stage, Stand
from tests.support.fake_arr_imports import ImportingArr

LONG = 200
"""Records that are there before: more than a page."""


def watched(stand: Stand) -> int:
    """As the watch over that server does every few minutes; the highest id."""
    return look(ImportApi(stand.client), stand.room.records, Wire())


@pytest.fixture
def begun_again(stage: Stage, radarr: ImportingArr) -> Callable[[], Stand]:
    """A file that was delivered when the history was long; then the database is another one."""

    def make() -> Stand:
        radarr.live_on(LONG)
        stand = stage(radarr)
        watched(stand)
        radarr.history.clear()
        return stand

    return make


def test_what_was_delivered_before_is_asked_for_and_proven_by_what_the_new_history_says(
    begun_again: Callable[[], Stand], radarr: ImportingArr
) -> None:
    stand = begun_again()
    radarr.grab(movie_id=7, info_hash=HASH)
    stand.run()
    assert stand.imported
    assert len(radarr.commands) == 1
    assert max(stand.room.proofs) < LONG


def test_an_import_from_before_it_was_noticed_proves_nothing_and_the_row_says_why(
    begun_again: Callable[[], Stand], radarr: ImportingArr
) -> None:
    stand = begun_again()
    radarr.import_by_its_own_scanner(SEEN)
    watched(stand)
    stand.run()
    assert not stand.imported
    assert "the history of Arr, which has begun again since the file was delivered," in stand.lost
    assert radarr.commands == []


def test_an_import_after_it_was_noticed_is_proven_also_when_the_file_is_gone(
    begun_again: Callable[[], Stand], radarr: ImportingArr
) -> None:
    stand = begun_again()
    watched(stand)
    radarr.import_by_its_own_scanner(SEEN)
    stand.run()
    assert stand.imported


def test_what_is_delivered_later_is_proven_by_ids_that_others_had_before(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    first = stage(radarr)
    radarr.import_by_its_own_scanner(SEEN)
    first.run()
    used, libraries = room.proofs, room.records.proofs.libraries(1)
    assert first.imported
    radarr.history.clear()
    watched(first)
    row = room.finished(2, path=first.file, servers=["Arr"])
    room.marked(2, "Arr", 0)
    first.file.write_bytes(b"the same film, grabbed again")
    radarr.import_by_its_own_scanner(SEEN)
    first.errand = first.anew()
    first.run()
    assert room.handover(row.id).state == "imported"
    assert used & room.proofs, "the same ids"
    assert room.records.proofs.libraries(1) == libraries


def test_the_marks_of_downloads_under_way_are_lowered_to_what_is_there(
    begun_again: Callable[[], Stand], radarr: ImportingArr, room: Room
) -> None:
    stand = begun_again()
    row = room.begun(2)
    proofs = room.records.proofs
    assert (proofs.after(row.id, "Arr") or 0) >= LONG
    radarr.live_on(5)
    assert proofs.after(row.id, "Arr") != watched(stand)
    assert proofs.after(row.id, "Arr") == proofs.known("Arr") == radarr.highest_id


def test_an_old_import_of_that_path_is_no_proof_when_the_newest_entries_are_removed(
    stage: Stage, radarr: ImportingArr
) -> None:
    """A film that is deleted there takes its history with it."""
    radarr.leaves_source = True
    stand = stage(radarr)
    radarr.import_by_its_own_scanner(SEEN)
    old = radarr.highest_id
    radarr.live_on(20)
    stand.room.marked(1, "Arr", radarr.highest_id)
    watched(stand)
    del radarr.history[old:]
    assert watched(stand) == old
    radarr.grab(movie_id=7, info_hash=HASH)
    stand.run()
    assert stand.imported
    assert min(stand.room.proofs) > old


def test_it_is_said_once(
    begun_again: Callable[[], Stand], radarr: ImportingArr, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stand = begun_again()
    for _ in range(3):
        watched(stand)
        radarr.live_on(5)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "the history of Arr ends at record 0" in said[0]


def test_a_history_whose_newest_record_is_dated_before_others_has_not_begun_again(
    stage: Stage, radarr: ImportingArr, caplog: pytest.LogCaptureFixture
) -> None:
    radarr.live_on(LONG)
    stand = stage(radarr)
    radarr.clock_off -= timedelta(days=30)
    radarr.live_on(5)
    stand.room.records.proofs.seen("Arr", radarr.highest_id)
    assert watched(stand) == radarr.highest_id
    assert "ends at record" not in caplog.text


def test_a_grab_with_an_id_that_was_reported_before_is_reported(room: Room) -> None:
    failures, proofs = room.records.failures, room.records.proofs
    failure = failures.note("aabbccdd", "c:movie:1", HASH)
    assert failures.reporting(failure, "Arr", 17)
    proofs.seen("Arr", 40)
    assert failures.was_reported("Arr", 17)
    proofs.begin_again("Arr", 16)
    assert not failures.was_reported("Arr", 17)


# -- two downloads of one path ---------------------------------------------------------------------


def test_a_younger_download_waits_while_an_earlier_one_of_its_path_looks_for_its_proof(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    """Both were delivered, and imported, while the server could not be asked."""
    stand = stage(radarr)
    earlier = stand.errand
    room.finished(2, path=stand.file, servers=["Arr"])
    room.marked(2, "Arr", radarr.highest_id)
    radarr.import_by_its_own_scanner(SEEN)
    younger = stand.anew()
    for _ in range(20):
        stand.clock.advance(younger.step(Wire()) or 0.0)
    assert room.handover(2).state == "open"
    assert "download 1, which had the same path" in (room.row(2).error or "")
    stand.errand = earlier
    stand.run()
    assert stand.imported
    stand.errand = younger
    stand.run()
    assert room.handover(2).state == "lost", "there was one import"
