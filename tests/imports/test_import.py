"""Import: one file and one server, stepped by hand, against a fake that really imports."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jack.arr.manual import ImportApi
from jack.errors import PeerUnreachable, PermanentError, StorageError, TransientError
from jack.imports.one_import import MAX_ASKS
from jack.model import DownloadStatus
from jack.support.http import Wire
from tests.imports.conftest import HASH, SEEN, Room, Stage
from tests.support.clock import FakeClock
from tests.support.fake_arr import FakeArr
from tests.support.fake_arr_imports import ImportingArr

GUID = "aabbccdd:c:movie:1"
S = DownloadStatus
HOUR = 3600.0


# -- what it is for --------------------------------------------------------------------------------


def test_a_grabbed_movie_is_imported_by_its_id_and_believed_when_history_shows_it(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    stand.run()
    (body,) = stand.bodies
    assert (body["name"], body["importMode"]) == ("ManualImport", "auto")
    (file,) = body["files"]
    assert (file["path"], file["movieId"]) == (SEEN, 7)
    assert file["quality"]["quality"]["name"] == "WEBDL-1080p"
    assert file["languages"] == [{"id": 1, "name": "English"}]
    assert "downloadId" not in file
    found = stand.room.handover()
    assert (found.command_id, found.claimed, found.asks) == (1, True, 1)
    assert stand.imported


def test_a_grab_of_two_episodes_is_imported_as_both(stage: Stage, sonarr: ImportingArr) -> None:
    sonarr.grab(series_id=3, episode_id=30, info_hash=HASH, age_seconds=3 * HOUR)
    sonarr.grab(series_id=3, episode_id=31, info_hash=HASH, age_seconds=1)
    sonarr.grab(series_id=3, episode_id=32, info_hash=HASH)
    sonarr.guesses["film.mkv"] = {"series": {"id": 3}, "episodes": [{"id": 32}, {"id": 31}]}
    stand = stage(sonarr)
    stand.run()
    (file,) = stand.bodies[0]["files"]
    assert (file["seriesId"], file["episodeIds"]) == (3, [31, 32])
    assert stand.imported


def test_the_guid_of_our_indexer_is_as_good_as_the_info_hash(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, guid=GUID)
    stand = stage(radarr)
    stand.run()
    assert stand.bodies[0]["files"][0]["movieId"] == 7


def test_the_newest_grab_of_the_stub_counts_and_others_do_not(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=5, info_hash=HASH, age_seconds=2 * HOUR)
    radarr.grab(movie_id=7, info_hash=HASH, age_seconds=HOUR)
    radarr.grab(movie_id=9, info_hash="f" * 40)
    radarr.guesses["film.mkv"] = {"movie": {"id": 7}}
    stand = stage(radarr)
    stand.run()
    assert stand.bodies[0]["files"][0]["movieId"] == 7


def test_a_grab_on_a_later_page_of_the_history_is_found(stage: Stage, radarr: ImportingArr) -> None:
    radarr.grab(movie_id=7, info_hash=HASH, age_seconds=9000)
    for number in range(150):
        radarr.grab(movie_id=100 + number, info_hash="e" * 40, age_seconds=number)
    radarr.guesses["film.mkv"] = {"movie": {"id": 7}}
    stand = stage(radarr)
    stand.run()
    assert stand.bodies[0]["files"][0]["movieId"] == 7


def test_a_grab_that_is_written_after_the_stub_is_waited_for(
    stage: Stage, radarr: ImportingArr
) -> None:
    stand = stage(radarr)
    pause = stand.step()
    assert pause is not None
    assert 0 < pause <= 5
    assert radarr.commands == []
    radarr.grab(movie_id=7, info_hash=HASH)
    stand.run()
    assert stand.bodies[0]["name"] == "ManualImport"


def test_without_a_grab_the_path_is_scanned_after_some_seconds(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(radarr)
    began = clock.monotonic()
    while not radarr.commands:
        clock.advance(stand.step() or 0.0)
    assert clock.monotonic() - began < 20
    assert stand.bodies == [{"name": "DownloadedMoviesScan", "path": SEEN}]
    stand.run()
    assert stand.imported
    assert not stand.room.handover().claimed


def test_a_download_complete_for_long_is_not_held_up_by_a_missing_grab(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(radarr)
    clock.advance(HOUR)
    stand.step()
    assert len(radarr.commands) == 1


def test_a_server_without_a_history_is_told_and_not_followed(
    stage: Stage, tmp_path: Path, room: Room
) -> None:
    with FakeArr("radarr") as plain:
        stand = stage(plain)
        stand.run()
        assert plain.scanned == [SEEN]
    found = room.handover()
    assert (found.command_id, found.denied, found.state) == (1, True, "open")
    assert room.row().status is S.IMPORT_QUEUED


def test_what_another_server_has_claimed_is_not_asked_for(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    stand = stage(radarr)
    room.records.handovers.plan(1, ["Other"])
    room.records.handovers.claim(1, "Other")
    stand.run()
    assert radarr.commands == []


# -- rejections ------------------------------------------------------------------------------------


def test_a_rejection_is_told_in_the_servers_words_and_no_command_is_sent(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.rejections["film.mkv"] = [
        ("Not an upgrade for é\nfilm", "permanent"),
        ("x" * 999, "permanent"),
    ]
    stand = stage(radarr)
    stand.run()
    assert radarr.commands == []
    sentence = stand.rejected
    assert sentence.startswith("Arr rejects the import: 'Not an upgrade for ")
    assert "\n" not in sentence
    assert len(sentence) < 500
    assert stand.file.exists()


def test_what_passes_by_itself_is_tried_again(stage: Stage, radarr: ImportingArr) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.rejections["film.mkv"] = [("Locked file, try again later", "temporary")]
    stand = stage(radarr)
    with pytest.raises(PermanentError, match="Locked file"):
        stand.step()
    assert radarr.commands == []
    radarr.rejections.clear()
    stand.run()
    assert stand.imported


def test_a_name_that_means_nothing_there_is_no_obstacle_when_the_grab_says_what_it_is(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.guesses["film.mkv"] = {}
    radarr.rejections["film.mkv"] = [("Unknown Movie", "permanent")]
    stand = stage(radarr)
    stand.run()
    assert stand.bodies[0]["files"][0]["movieId"] == 7
    assert stand.imported


def test_a_file_the_server_does_not_see_waits_and_the_sentence_names_its_path(
    stage: Stage, radarr: ImportingArr, tmp_path: Path
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.sees = {"/data": tmp_path / "elsewhere"}
    stand = stage(radarr)
    with pytest.raises(PermanentError, match=r"does not see '/data/completed/film\.mkv'.*pathMap"):
        stand.step()
    radarr.sees = {"/data": tmp_path}
    stand.run()
    assert stand.imported


@pytest.mark.fault("A7")
def test_a_scan_that_imports_nothing_is_a_rejection_with_the_words_of_the_dry_run(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    radarr.rejections["film.mkv"] = [("Sample", "permanent")]
    stand = stage(radarr)
    clock.advance(HOUR)
    stand.run()
    assert len(radarr.commands) == 1
    assert stand.room.asked == {(1, "Arr")}
    assert stand.rejected == "Arr rejects the import: 'Sample'"


# -- following -------------------------------------------------------------------------------------


@pytest.mark.fault("A4")
def test_a_busy_server_is_followed_for_hours_without_a_second_command(
    stage: Stage, holding: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(holding)
    looks = 0
    while clock.monotonic() < 1000 + 3 * HOUR:
        pause = stand.step()
        assert pause is not None
        assert 0 < pause <= 60
        clock.advance(pause)
        looks += 1
    assert looks < 400
    assert len(holding.commands) == 1
    holding.finish_commands()
    stand.run()
    assert stand.imported


def test_a_manual_import_that_failed_inside_is_not_believed_and_asked_again_once_an_hour(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.imports_nothing = True
    stand = stage(radarr)
    asked: list[float] = []
    for _ in range(200):
        before = len(radarr.commands)
        pause = stand.step()
        asked += [clock.monotonic()] * (len(radarr.commands) - before)
        if pause is None:
            break
        clock.advance(pause)
    assert len(asked) == MAX_ASKS
    assert all(later - sooner >= HOUR for sooner, later in pairwise(asked))
    sentence = stand.rejected
    assert "asked 3 times" in sentence
    assert not stand.imported


@pytest.mark.fault("A4")
def test_a_restarted_server_that_forgot_the_command_is_judged_by_its_history(
    stage: Stage, holding: ImportingArr
) -> None:
    stand = stage(holding)
    stand.step()
    holding.finish_commands()
    holding.restart()
    stand.run()
    assert stand.imported
    assert holding.commands == []


@pytest.mark.fault("A4")
def test_a_restarted_server_that_lost_the_command_is_asked_again_after_an_hour(
    stage: Stage, holding: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(holding)
    stand.step()
    asked = clock.monotonic()
    holding.restart()
    while not holding.commands:
        clock.advance(stand.step() or 0.0)
    assert HOUR <= clock.monotonic() - asked < HOUR + 600
    holding.finish_commands()
    stand.run()
    assert stand.imported


def test_the_servers_own_scanner_may_have_been_first(stage: Stage, radarr: ImportingArr) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    radarr.import_by_its_own_scanner(SEEN)
    stand.run()
    assert radarr.commands == []
    assert stand.imported


def test_a_record_that_comes_minutes_after_the_command_has_ended_proves_the_import(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.late_by = timedelta(minutes=3)
    stand = stage(radarr)
    stand.run()
    assert len(radarr.commands) == 1
    assert not stand.file.exists()
    assert stand.imported


def test_a_file_that_is_gone_is_looked_for_in_the_history_a_few_times(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(radarr)
    stand.file.unlink()
    began = clock.monotonic()
    stand.run()
    assert 240 < clock.monotonic() - began < 600
    assert radarr.commands == []
    sentence = stand.lost
    assert "gone" in sentence
    assert "Arr" in sentence


def test_an_import_of_an_earlier_file_of_that_name_proves_nothing_however_recent(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    stand = stage(radarr)
    radarr.leaves_source = True
    radarr.import_by_its_own_scanner(SEEN)
    radarr.grab(movie_id=7, info_hash=HASH)
    radarr.leaves_source = False
    known = radarr.highest_id
    room.marked(1, "Arr", known)
    stand.run()
    assert len(radarr.commands) == 1
    assert min(room.proofs) > known


def test_the_clock_of_the_server_plays_no_part(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    stand = stage(radarr)
    clock.advance(-30 * 24 * HOUR)
    radarr.import_by_its_own_scanner(SEEN)
    clock.advance(30 * 24 * HOUR)
    stand.run()
    assert stand.imported


# -- restarts and cut connections ------------------------------------------------------------------


@pytest.mark.fault("A8")
def test_after_a_restart_an_accepted_command_is_followed_and_not_sent_again(
    stage: Stage, holding: ImportingArr
) -> None:
    stand = stage(holding)
    stand.step()
    stand.anew()
    stand.step()
    holding.finish_commands()
    stand.run()
    assert len(holding.commands) == 1
    assert stand.imported


@pytest.mark.fault("A8", "A13")
def test_a_command_whose_answer_was_cut_off_is_found_and_not_sent_again(
    stage: Stage, holding: ImportingArr
) -> None:
    stand = stage(holding)
    stand.step()
    stand.room.records.handovers.asking(1, "Arr")
    stand.anew()
    stand.step()
    assert stand.room.asked == {(1, "Arr")}
    assert len(holding.commands) == 1


def test_a_command_that_never_arrived_is_sent_after_the_restart(
    stage: Stage, radarr: ImportingArr, clock: FakeClock
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    stand.room.records.handovers.asking(1, "Arr")
    stand.anew()
    stand.run()
    assert len(radarr.commands) == 1
    assert stand.imported


def test_an_outage_is_the_lanes_business_and_costs_no_ask(
    stage: Stage, radarr: ImportingArr
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    radarr.go_down()
    with pytest.raises(PeerUnreachable):
        stand.step()
    radarr.come_back()
    with radarr.answering(503, "<html>starting</html>"), pytest.raises(TransientError):
        stand.step()
    assert (stand.room.handover().asks, stand.room.row().error) == (0, None)
    stand.run()
    assert len(radarr.commands) == 1


def test_a_command_is_on_record_before_it_goes_out(
    stage: Stage, radarr: ImportingArr, monkeypatch: pytest.MonkeyPatch
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)

    def full(*_: object) -> bool:
        raise StorageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(stand.room.records.handovers, "asking", full)
        with pytest.raises(StorageError):
            stand.step()
    assert radarr.commands == []
    stand.run()
    assert len(radarr.commands) == 1


def test_an_outcome_that_could_not_be_recorded_is_recorded_later(
    stage: Stage, radarr: ImportingArr, room: Room, clock: FakeClock
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    stand.step()
    with room.full_disk(), pytest.raises(StorageError):
        stand.step()
    stand.run()
    assert len(radarr.commands) == 1
    assert stand.imported


@pytest.mark.fault("A12")
@pytest.mark.parametrize(
    "answer", [[], {"records": None}, {"records": "x"}, "<html>", {"records": {}}]
)
def test_a_history_that_makes_no_sense_is_the_servers_trouble(
    stage: Stage, radarr: ImportingArr, answer: object
) -> None:
    stand = stage(radarr)
    with radarr.answering(200, answer), pytest.raises(TransientError):
        stand.step()


@pytest.mark.fault("A12")
def test_strange_records_are_passed_over(stage: Stage, radarr: ImportingArr) -> None:
    strange = [None, {}, {"id": True}, {"id": 5, "date": "yesterday"}, {"id": 6, "date": 7}]
    dated = {"id": 8, "date": "2026-01-01T00:00:00.1234567Z", "eventType": "grabbed"}
    radarr.grab(movie_id=7, info_hash=HASH)
    page = {"records": [*strange, {**dated, "data": None}, radarr.grabs[0]]}
    stand = stage(radarr)
    history = ImportApi(stand.client).history
    with radarr.answering(200, page):
        grab = history.grab(HASH, None, Wire())
        assert history.imports(SEEN, None, 0, Wire()) == []
    assert grab is not None
    assert grab.movie_id == 7


def test_a_windows_server_writes_its_path_in_its_own_way(
    stage: Stage, radarr: ImportingArr
) -> None:
    data = {"droppedPath": "d:\\Completed\\FILM.mkv"}
    record = {"id": 1, "date": "2026-01-01T00:00:05Z", "eventType": "x", "data": data}
    history = ImportApi(stage(radarr).client).history
    with radarr.answering(200, {"records": [record]}):
        assert history.imports("D:\\completed\\film.mkv", None, 0, Wire())
        assert not history.imports("/completed/film.mkv", None, 0, Wire())


def test_a_file_taken_by_the_scanner_while_the_command_waits_is_imported_at_once(
    stage: Stage, holding: ImportingArr
) -> None:
    stand = stage(holding)
    stand.step()
    holding.import_by_its_own_scanner(SEEN)
    assert stand.step() is None
    assert stand.imported


@pytest.mark.parametrize("leaves_source", [False, True])
@pytest.mark.parametrize("after_a_command", [False, True])
def test_a_scanner_that_comes_between_the_look_and_the_dry_run_is_no_rejection(
    stage: Stage,
    radarr: ImportingArr,
    monkeypatch: pytest.MonkeyPatch,
    leaves_source: bool,
    after_a_command: bool,
) -> None:
    radarr.leaves_source, radarr.imports_nothing = leaves_source, after_a_command
    radarr.grab(movie_id=7, info_hash=HASH)
    stand, honest = stage(radarr), radarr._dry_run

    def overtaken(path: str) -> list[dict[str, Any]]:
        if len(radarr.commands) == int(after_a_command) and not radarr.rejections:
            radarr.import_by_its_own_scanner(path)
            radarr.rejections["film.mkv"] = [("Not an upgrade", "permanent")]
        return honest(path)

    monkeypatch.setattr(radarr, "_dry_run", overtaken)
    stand.run()
    assert stand.imported


def test_a_file_that_stands_is_not_proved_by_an_import_before_it_even_without_a_mark(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    radarr.import_by_its_own_scanner(SEEN)
    stand.file.write_bytes(b"the same stub, dropped once more by hand")
    room.unmarked(1, "Arr")
    stand.run()
    assert len(radarr.commands) == 1, "it has a command of its own"
    assert stand.imported


def test_a_file_that_is_gone_without_proof_is_said_with_what_happens_next(
    stage: Stage, radarr: ImportingArr, room: Room
) -> None:
    radarr.grab(movie_id=7, info_hash=HASH)
    stand = stage(radarr)
    stand.file.unlink()
    stand.run()
    assert "nothing is downloaded again by itself" in stand.lost
