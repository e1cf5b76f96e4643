"""The import, proven: from a finished file to `imported`, and what a failure makes known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jack.arr.history import Proof
from jack.blackhole.stub import NoStub, build_stub, info_hash, read_torrent
from jack.errors import UserError
from jack.imports import records
from jack.imports.records import Records
from jack.model import Download, DownloadStatus, Stub, connector_id
from jack.store.facts import Facts
from jack.store.handovers import Handovers
from jack.store.volumes import Volumes
from tests.downloads.test_endings import server
from tests.downloads.world import World
from tests.support.clock import FakeClock
from tests.support.fake_arr_imports import ImportingArr
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
FILM = bytes(range(256)) * 40
ITEM = "c:movie:1"


@pytest.fixture
def radarr() -> Iterator[ImportingArr]:
    with ImportingArr("radarr") as fake:
        yield fake


def hash_at(peer: ScriptedPeer, item: str = ITEM, name: str = "a") -> str:
    """The info hash of what `World.drop` writes."""
    return info_hash(build_stub(Stub(connector_id(peer.url), item), name, 10))


def prepared(world: World, radarr: ImportingArr) -> ScriptedPeer:
    """A friend with a film, and a Radarr that has grabbed it."""
    world.servers = (server("Radarr", radarr),)
    peer = world.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    radarr.grab(movie_id=7, info_hash=hash_at(peer))
    return peer


def test_a_grabbed_film_ends_as_imported(running: World, radarr: ImportingArr) -> None:
    peer = prepared(running, radarr)
    running.start()
    running.drop(peer)
    row = running.until(S.IMPORTED)
    assert row.info_hash == hash_at(peer)
    assert row.error is None
    assert not row.dest_path.exists()
    assert radarr.commands[0]["body"]["files"][0]["movieId"] == 7
    assert "Imported" in running.why()


@pytest.mark.fault("A7")
def test_a_rejection_stays_completed_and_a_retry_imports_without_downloading(
    running: World, radarr: ImportingArr, lines: Callable[[], list[str]]
) -> None:
    peer = prepared(running, radarr)
    radarr.rejections["film.mkv"] = [("Not an upgrade for existing movie file", "permanent")]
    running.start()
    running.drop(peer)
    row = eventually(lambda: running.rows() and running.row().error and running.row())
    assert (row.status, row.next_attempt_at) == (S.COMPLETED, None)
    assert "'Not an upgrade for existing movie file'" in running.why()
    assert "jack retry 1" in running.why()
    assert row.dest_path.read_bytes() == FILM
    eventually(lambda: [line for line in lines() if "Not an upgrade" in line])
    asked = len(peer.requests)
    # A restart is no reason to ask again.
    looks = radarr.dry_runs
    running.stop()
    running.start()
    running.stop()
    assert (radarr.dry_runs, running.row().error) == (looks, row.error)
    radarr.rejections.clear()
    running.steer("retry")
    running.start()
    running.until(S.IMPORTED)
    assert len(peer.requests) == asked


def test_a_retry_reaches_the_running_daemon_too(running: World, radarr: ImportingArr) -> None:
    peer = prepared(running, radarr)
    radarr.rejections["film.mkv"] = [("Sample", "permanent")]
    running.start()
    running.drop(peer)
    eventually(lambda: running.rows() and running.row().error)
    radarr.rejections.clear()
    running.steer("retry")
    running.until(S.IMPORTED)


def test_a_remove_that_its_file_prevents_leaves_the_import_to_be_followed(running: World) -> None:
    with ImportingArr("radarr", hold_commands=True) as radarr:
        peer = prepared(running, radarr)
        running.start()
        running.drop(peer)
        path = running.until(S.IMPORT_QUEUED).dest_path
        path.with_name("mine.mkv").hardlink_to(path)
        with pytest.raises(UserError, match="a second name"):
            running.steer("remove", files=True)
        radarr.finish_commands()
        running.until(S.IMPORTED)


@pytest.mark.fault("A8")
def test_a_kill_after_the_command_repeats_nothing(running: World) -> None:
    with ImportingArr("radarr", hold_commands=True) as radarr:
        peer = prepared(running, radarr)
        running.start()
        running.drop(peer)
        running.until(S.IMPORT_QUEUED)
        running.stop()
        radarr.finish_commands()
        running.start()
        running.until(S.IMPORTED)
        assert len(radarr.commands) == 1
        running.stop()
        radarr.requests.clear()
        running.start()
        running.stop()
        asked = {request.path.partition("&")[2] for request in radarr.requests}
        assert not [each for each in asked if "eventType" in each], "what is settled is settled"


def test_a_file_taken_by_the_servers_own_scanner_while_jack_was_off_is_imported(
    running: World, radarr: ImportingArr
) -> None:
    peer = prepared(running, radarr)
    radarr.go_down()
    running.start()
    running.drop(peer)
    row = running.until(S.COMPLETED)
    running.stop()
    radarr.come_back()
    radarr.import_by_its_own_scanner(str(row.dest_path))
    running.start()
    running.until(S.IMPORTED)
    assert radarr.commands == []
    assert running.row().attempts == 1


def test_of_two_servers_only_the_one_that_grabbed_it_is_asked(
    running: World, radarr: ImportingArr
) -> None:
    with ImportingArr("radarr") as other:
        peer = prepared(running, radarr)
        running.servers = (server("Other", other), *running.servers)
        running.start()
        running.drop(peer)
        running.until(S.IMPORTED)
        assert Handovers(running.database, running.clock).open() == []
        running.stop()
        assert other.commands == []


def test_the_words_of_one_server_do_not_hide_that_another_imported_it(
    running: World, radarr: ImportingArr
) -> None:
    with ImportingArr("radarr") as other:
        peer = prepared(running, radarr)
        other.grab(movie_id=9, info_hash=hash_at(peer))
        other.rejections["film.mkv"] = [("Sample", "permanent")]
        running.servers = (*running.servers, server("Other", other))
        running.start()
        running.drop(peer)
        running.until(S.IMPORTED, error=None)


def test_the_stubs_hash_is_read_even_when_the_stub_has_none() -> None:
    stub = build_stub(Stub("15ee3276", ITEM), "Film", 1000)
    assert read_torrent(stub) == (Stub("15ee3276", ITEM), info_hash(stub))
    none = Stub("15ee3276", "movie:")
    assert read_torrent(b"d7:comment20:jack:15ee3276:movie:e") == (none, "")
    assert read_torrent(b"nonsense") == (NoStub.UNREADABLE, "")


# -- failures --------------------------------------------------------------------------------------


def failing(world: World, radarr: ImportingArr) -> ScriptedPeer:
    """As `prepared`, but the friend does not have the file any more."""
    peer = prepared(world, radarr)
    peer.script(file_path(ITEM), *[Answer(410)] * 20)
    return peer


@pytest.mark.fault("H23")
def test_a_download_that_failed_for_good_is_reported_once(
    running: World, radarr: ImportingArr
) -> None:
    peer = failing(running, radarr)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: radarr.failed_records)
    running.stop()
    running.start()
    running.stop()
    assert radarr.failed_records == [radarr.grabs[0]["id"]]


@pytest.mark.fault("A11")
def test_a_release_that_fails_twice_within_a_day_is_not_reported_again(
    running: World, radarr: ImportingArr, lines: Callable[[], list[str]]
) -> None:
    peer = failing(running, radarr)
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: radarr.failed_records)
    eventually(lambda: running.parked)
    radarr.grab(movie_id=7, info_hash=hash_at(peer))  # and it grabs the same one again
    running.drop_again(running.watch / "failed" / running.parked[0])
    eventually(lambda: [line for line in lines() if "has failed 2 times within a day" in line])
    running.stop()
    assert radarr.failed_records == [radarr.grabs[0]["id"]]


def test_a_failure_is_reported_after_the_restart_when_the_server_was_down(
    running: World, radarr: ImportingArr
) -> None:
    peer = failing(running, radarr)
    radarr.go_down()
    running.start()
    running.drop(peer)
    running.until(S.FAILED)
    eventually(lambda: running.parked)
    running.stop()
    radarr.come_back()
    running.start()
    eventually(lambda: radarr.failed_records == [radarr.grabs[0]["id"]])


def test_a_row_that_is_only_superseded_is_no_failure_of_its_release(
    running: World, radarr: ImportingArr
) -> None:
    peer = prepared(running, radarr)
    running.row_of(peer)
    owner = running.downloads.get(1)
    assert owner is not None
    second = running.row_of(peer, 2, dest_path=owner.dest_path, blocked_by=1)
    running.start()
    running.until(S.FAILED, second.id)
    running.stop()
    assert radarr.failed_records == []


# -- our own copy ----------------------------------------------------------------------------------


@pytest.fixture
def finished(stepped: World) -> Download:
    """A row whose import is confirmed, and whose file the server has left where it was."""
    stepped.completed.mkdir()
    row = stepped.row_of("http://127.0.0.1:9")
    row.dest_path.write_bytes(b"x" * 1000)
    stepped.downloads.complete(row.id, 1000, os.stat(row.dest_path).st_ino)
    stepped.downloads.imported(row.id)
    return stepped.row()


def spoken(world: World, unlink_in: Path | None, library: Path | None = None) -> bool:
    """The server of the file says that it is in its library; whether our copy goes."""
    records = records_of(world, unlink_in)
    records.handovers.plan(1, ["Radarr"])
    records.imported(world.row(), "Radarr", Proof((1,), library))
    return not os.path.lexists(world.row().dest_path)


def records_of(world: World, unlink_in: Path | None) -> Records:
    volumes = Volumes(world.downloads, Facts(world.database))
    return Records(world.database, world.downloads, volumes, world.clock, unlink_in)


@pytest.mark.fault("A6")
def test_our_copy_goes_after_a_confirmed_import_when_that_is_wanted(
    stepped: World, finished: Download
) -> None:
    assert not spoken(stepped, None), "it is off by default"
    assert spoken(stepped, stepped.completed)
    assert spoken(stepped, stepped.completed), "and nothing more to do then"


def replaced(path: Path) -> None:
    kept = path.with_name("kept")
    path.rename(kept)  # so that its inode is not given out again at once
    path.write_bytes(b"y" * 1000)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"z")


def linked(path: Path) -> None:
    path.rename(path.with_name("kept"))
    path.symlink_to("kept")


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.fault("A15")
@pytest.mark.parametrize("change", [replaced, grown, linked, made_a_folder])
def test_a_file_that_is_not_the_one_jack_finished_stays(
    stepped: World, finished: Download, change: Callable[[Path], None]
) -> None:
    change(finished.dest_path)
    assert not spoken(stepped, stepped.completed)


@pytest.mark.fault("A15")
def test_a_file_outside_completed_path_stays(stepped: World, finished: Download) -> None:
    assert not spoken(stepped, stepped.root / "other")


@pytest.mark.fault("A15")
def test_a_file_whose_import_is_not_confirmed_stays(stepped: World) -> None:
    stepped.completed.mkdir()
    row = stepped.row_of("http://127.0.0.1:9")
    row.dest_path.write_bytes(b"x" * 1000)
    stepped.downloads.complete(row.id, 1000, os.stat(row.dest_path).st_ino)
    stepped.downloads.import_queued(row.id, "Radarr", stepped.clock.now())
    records = records_of(stepped, stepped.completed)
    records.handovers.plan(row.id, ["Radarr"])
    records.rejected(row, "Radarr", "no")
    assert row.dest_path.exists()


@pytest.mark.fault("A15")
def test_a_file_that_another_download_still_needs_stays(stepped: World, finished: Download) -> None:
    second = stepped.row_of("http://127.0.0.1:9", 2, dest_path=finished.dest_path)
    stepped.downloads.complete(second.id, 1000)
    assert not spoken(stepped, stepped.completed)
    stepped.downloads.imported(second.id)
    assert spoken(stepped, stepped.completed)


def test_the_copy_goes_when_the_last_server_has_spoken_and_again_after_a_crash_in_between(
    stepped: World, finished: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[set[Path | None]] = []

    def clean_up(download: Download, folder: Path, libraries: set[Path | None], _: bool) -> None:
        calls.append(libraries)
        if len(calls) == 1:
            raise KeyboardInterrupt  # what a crash looks like from here

    monkeypatch.setattr(records, "remove_own_copy", clean_up)
    told = records_of(stepped, stepped.completed)
    told.handovers.plan(finished.id, ["One", "Two"])
    told.imported(finished, "One", Proof((1,), Path("/library/film.mkv")))
    assert calls == [], "the second server may want the file too"
    with pytest.raises(KeyboardInterrupt):
        told.imported(finished, "Two", Proof((1, 2), None))
    assert [each.server for each in told.handovers.open()] == ["Two"], "so the next start asks"
    told.imported(finished, "Two", Proof((1, 2), None))
    assert calls == [{Path("/library/film.mkv"), None}] * 2
    assert told.handovers.open() == []


@pytest.mark.fault("A6")
@pytest.mark.parametrize("wanted", [True, False])
def test_the_config_decides_what_happens_to_a_copy_the_server_leaves_behind(
    running: World, radarr: ImportingArr, wanted: bool
) -> None:
    radarr.leaves_source = True
    running.settings["unlink_imported_files"] = wanted
    peer = prepared(running, radarr)
    running.start()
    running.drop(peer)
    row = running.until(S.IMPORTED)
    running.stop()
    assert row.dest_path.exists() is not wanted


def test_why_of_a_file_that_is_gone_says_so(stepped: World, clock: FakeClock) -> None:
    row = stepped.row_of("http://127.0.0.1:9")
    stepped.downloads.complete(row.id, 1000)
    clock.advance(timedelta(minutes=1).total_seconds())
    stepped.downloads.import_lost(row.id, "the file is gone from '/c', and nobody knows")
    assert "the file is gone from '/c', and nobody knows" in stepped.why()
