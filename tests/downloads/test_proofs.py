"""`imported` and "failed" stand on records of their own: which ones prove it, and for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jack.imports.own_copy import remove_own_copy
from jack.model import Download, DownloadStatus, connector_id
from jack.store.handovers import Handovers, HandoverState
from jack.store.proofs import Proofs
from jack.support import waits
from jack.support.aside import aside_of
from jack.support.own import hold
from jack.support.pauses import Pauses
from tests.downloads.test_endings import server
from tests.downloads.test_imports import FILM, ITEM, hash_at, prepared
from tests.downloads.world import World
from tests.support.fake_arr_imports import ImportingArr
from tests.support.scripted_peer import ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus


@pytest.fixture
def radarr() -> Iterator[ImportingArr]:
    with ImportingArr("radarr") as fake:
        yield fake


@pytest.fixture
def second() -> Iterator[ImportingArr]:
    """The Radarr for 4K."""
    with ImportingArr("radarr") as fake:
        yield fake


@pytest.fixture(autouse=True)
def asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away, or whose import runs, ends or belongs to another one."""
    for name in ("IMPORT_PAUSES", "RUN_PAUSES", "END_PAUSES", "OTHERS_PAUSES"):
        monkeypatch.setattr(waits, name, Pauses(0.05, 0.1))
    monkeypatch.setattr(waits, "GRAB_PAUSE_SECONDS", 0.05)


def grabbed_again(world: World, radarr: ImportingArr, peer: ScriptedPeer) -> Download:
    """The same film once more, within moments of its import; Radarr's imports fail inside now."""
    radarr.imports_nothing = True
    eventually(lambda: not list(world.watch.glob("*.torrent")))
    radarr.grab(movie_id=7, info_hash=hash_at(peer))
    world.drop(peer)
    return eventually(lambda: world.downloads.get(2))


@pytest.mark.parametrize("unlinks", [False, True])
def test_the_import_of_a_film_says_nothing_of_the_same_film_grabbed_again_a_moment_later(
    running: World, radarr: ImportingArr, unlinks: bool
) -> None:
    running.settings["unlink_imported_files"] = unlinks
    peer = prepared(running, radarr)
    running.start()
    running.drop(peer)
    running.until(S.IMPORTED)
    grabbed_again(running, radarr, peer)
    radarr.wait_for_commands(2)
    running.until(S.IMPORT_QUEUED, 2)
    row = running.row(2)
    assert row.dest_path.read_bytes() == FILM
    radarr.imports_nothing = False
    radarr.import_by_its_own_scanner(str(row.dest_path))
    running.until(S.IMPORTED, 2)
    running.stop()


def test_neighbours_in_the_history_prove_nothing(running: World, radarr: ImportingArr) -> None:
    """Other downloads' imports come in between, with higher ids and other paths."""
    peer = prepared(running, radarr)
    radarr.imports_nothing = True
    running.start()
    running.drop(peer)
    row = running.until(S.IMPORT_QUEUED)
    for number in range(3):
        other = row.dest_path.with_name(f"other{number}.mkv")
        other.write_bytes(b"other")
        radarr.import_by_its_own_scanner(str(other))
    running.stop()
    radarr.requests.clear()
    running.start()
    eventually(lambda: [r for r in radarr.requests if "eventType=3" in r.path])
    assert running.row().status is not S.IMPORTED
    running.stop()


def test_all_records_of_one_import_prove_one_download(stepped: World) -> None:
    """A file of two episodes has a record for each: the second one is no proof for another file."""
    proofs = Proofs(stepped.database)
    with stepped.database.transaction():
        assert proofs.use(1, "Sonarr", (11, 12), Path("/tv/a.mkv"))
        assert not proofs.use(2, "Sonarr", (12,), Path("/tv/a.mkv"))
        assert proofs.use(1, "Sonarr", (11, 12), Path("/tv/a.mkv")), "again after a crash"
        assert proofs.use(2, "Radarr", (12,), None), "ids of another server are others"
    assert proofs.libraries(1) == {Path("/tv/a.mkv")}


def test_a_record_is_left_to_the_earlier_download_of_that_path_while_that_still_looks(
    stepped: World,
) -> None:
    """Both may have been delivered while the server could not be asked."""
    proofs, handovers = Proofs(stepped.database), Handovers(stepped.database, stepped.clock)
    first = stepped.row_of("http://127.0.0.1:9")
    stepped.downloads.complete(first.id, 1000)
    second = stepped.row_of("http://127.0.0.1:9", 2, dest_path=first.dest_path)
    handovers.plan(first.id, ["Radarr"])
    handovers.plan(second.id, ["Radarr"])
    with stepped.database.transaction():
        assert not proofs.use(second.id, "Radarr", (5,), None)
        assert proofs.use(first.id, "Radarr", (5,), None)
        handovers.settle(first.id, "Radarr", HandoverState.IMPORTED)
        assert not proofs.use(second.id, "Radarr", (5,), None)
        assert proofs.use(second.id, "Radarr", (8,), None)


def test_what_was_known_of_a_history_is_on_record_before_the_file_has_its_name(
    stepped: World,
) -> None:
    proofs = Proofs(stepped.database)
    proofs.seen("Radarr", 41)
    proofs.seen("Radarr", 40)
    row = stepped.row_of("http://127.0.0.1:9")
    stepped.downloads.begin_attempt(row)
    proofs.seen("Radarr", 50)
    assert marks(stepped) == [(row.id, "Radarr", 41)]
    stepped.downloads.begin_attempt(row, may_stand=True)
    assert marks(stepped) == [(row.id, "Radarr", 41)], "the file may have its name since then"
    stepped.downloads.begin_attempt(row)
    assert marks(stepped) == [(row.id, "Radarr", 50)]


def marks(world: World) -> list[tuple[int, str, int]]:
    return list(world.database.execute("SELECT * FROM delivery_marks").fetchall())


def test_one_file_offered_as_two_episodes_is_fetched_for_each_and_both_are_imported(
    running: World,
) -> None:
    """Another item, though of the same friend and with the same strong validator: not adopted."""
    items = ("c:episode:1", "c:episode:2")
    with ImportingArr("sonarr") as sonarr:
        running.servers = (server("Sonarr", sonarr),)
        peer = running.friend()
        running.start()
        for number, item in enumerate(items, 1):
            peer.offer(item, FILM, filename="S01E01E02.mkv", category=5000, title="E", etag='"v1"')
            sonarr.grab(series_id=3, episode_id=number, info_hash=hash_at(peer, item, f"e{number}"))
            sonarr.leaves_source = True
            running.drop(peer, item, name=f"e{number}")
            running.until(S.IMPORTED, number)
        running.stop()
    assert [len(peer.requests_to(file_path(item))) for item in items] == [1, 1]
    first, second = running.rows()
    assert first.dest_path.read_bytes() == second.dest_path.read_bytes() == FILM
    assert first.dest_path != second.dest_path
    assert len(sonarr.commands) == 2


# -- our own copy ----------------------------------------------------------------------------------


@pytest.fixture
def delivered(stepped: World) -> Download:
    """A row whose import is proven; its file still stands, and a library folder beside it."""
    stepped.completed.mkdir()
    (stepped.root / "library").mkdir()
    row = stepped.row_of("http://127.0.0.1:9")
    row.dest_path.write_bytes(b"x" * 1000)
    stepped.downloads.complete(row.id, 1000, os.stat(row.dest_path).st_ino)
    stepped.downloads.imported(row.id)
    return stepped.row()


def goes(world: World, download: Download, library: Path | None) -> bool:
    return remove_own_copy(download, world.completed, [library], needed=False)


def test_our_name_goes_when_the_library_has_a_hard_link_or_a_copy(
    stepped: World, delivered: Download
) -> None:
    library = stepped.root / "library" / "film.mkv"
    os.link(delivered.dest_path, library)
    assert goes(stepped, delivered, library)
    assert library.read_bytes() == b"x" * 1000
    assert not delivered.dest_path.exists()


def test_the_last_name_of_what_the_library_points_to_stays(
    stepped: World, delivered: Download
) -> None:
    ours, library = delivered.dest_path, stepped.root / "library" / "film.mkv"
    assert not goes(stepped, delivered, ours), "importedPath is our own path"
    assert not goes(stepped, delivered, library), "the library has nothing there any more"
    library.symlink_to(ours)
    assert not goes(stepped, delivered, library)
    (stepped.root / "view").symlink_to(stepped.completed)
    assert not goes(stepped, delivered, stepped.root / "view" / ours.name)
    assert ours.read_bytes() == b"x" * 1000


def test_a_library_that_only_the_server_sees_is_believed(
    stepped: World, delivered: Download
) -> None:
    assert goes(stepped, delivered, Path("/nowhere/here/film.mkv"))


def test_our_copy_stays_while_somebody_has_it_locked(stepped: World, delivered: Download) -> None:
    with delivered.dest_path.open("rb") as file:
        assert hold(file.fileno())
        assert not goes(stepped, delivered, None)
    assert goes(stepped, delivered, None)


def test_a_removal_of_our_copy_that_a_crash_has_cut_off_is_finished(
    stepped: World, delivered: Download
) -> None:
    delivered.dest_path.rename(aside_of(delivered.dest_path))
    assert goes(stepped, delivered, None)
    assert list(stepped.completed.iterdir()) == []


# -- whose it is -----------------------------------------------------------------------------------


def two_radarrs(world: World, first: ImportingArr, second: ImportingArr) -> ScriptedPeer:
    world.servers = (server("HD", first), server("4K", second))
    peer = world.friend()
    peer.offer(ITEM, FILM, filename="film.mkv")
    return peer


def test_a_film_of_a_server_that_is_down_waits_for_it_and_is_given_to_no_other(
    running: World, radarr: ImportingArr, second: ImportingArr
) -> None:
    peer = two_radarrs(running, radarr, second)
    second.grab(movie_id=7, info_hash=hash_at(peer))
    running.start()
    second.go_down()
    running.drop(peer)
    running.until(S.COMPLETED)
    eventually(lambda: "HD has not grabbed it, and 4K may have" in running.why())
    assert radarr.commands == []
    running.stop()
    running.start()
    second.come_back()
    running.until(S.IMPORTED)
    running.stop()
    assert len(second.commands) == 1
    assert radarr.commands == []


def test_a_stub_that_nobody_grabbed_goes_by_its_title_once_all_have_said_so(
    running: World,
) -> None:
    with (
        ImportingArr("radarr", hold_commands=True) as hd,
        ImportingArr("radarr", hold_commands=True) as uhd,
    ):
        peer = two_radarrs(running, hd, uhd)
        running.start()
        running.drop(peer)
        hd.wait_for_commands(1)
        uhd.wait_for_commands(1)
        hd.finish_commands()
        running.until(S.IMPORTED)
        running.stop()
        path = str(running.row().dest_path)
        asked = [command["body"] for command in (*hd.commands, *uhd.commands)]
        assert asked == [{"name": "DownloadedMoviesScan", "path": path}] * 2


# -- failures --------------------------------------------------------------------------------------


def test_a_stub_that_is_refused_before_it_has_a_row_is_reported_once_to_who_grabbed_it(
    running: World, radarr: ImportingArr, second: ImportingArr
) -> None:
    peer = two_radarrs(running, radarr, second)
    peer.offer(ITEM, FILM, filename="../film.mkv")
    number = second.grab(movie_id=7, info_hash=hash_at(peer))
    radarr.grab(movie_id=8, info_hash="ef" * 20)
    second.go_down()
    running.start()
    running.drop(peer)
    eventually(lambda: list((running.watch / "failed").glob("*.torrent")))
    running.stop()
    second.come_back()
    running.start()
    eventually(lambda: second.failed_records)
    running.stop()
    running.start()
    running.stop()
    assert second.failed_records == [number]
    assert radarr.failed_records == []
    assert running.rows() == []


def test_a_failure_is_not_reported_on_the_record_of_another_friends_copy(
    running: World, radarr: ImportingArr
) -> None:
    """Stubs of older jacks have one hash for the copies of two friends."""
    running.servers = (server("Radarr", radarr),)
    peer = running.friend()
    other = radarr.grab(movie_id=7, info_hash=hash_at(peer), guid="0123abcd:c:movie:1")
    mine = radarr.grab(movie_id=7, info_hash=hash_at(peer), guid=f"{connector_id(peer.url)}:{ITEM}")
    peer.offer(ITEM, FILM, filename="film.exe")
    running.start()
    running.drop(peer)
    eventually(lambda: radarr.failed_records)
    running.stop()
    assert mine in radarr.failed_records
    assert other not in radarr.failed_records


# -- asked by a person -----------------------------------------------------------------------------


def test_retry_of_a_queued_import_asks_again_now(running: World, radarr: ImportingArr) -> None:
    peer = prepared(running, radarr)
    radarr.imports_nothing = True
    running.start()
    running.drop(peer)
    running.until(S.IMPORT_QUEUED)
    assert "Radarr was asked to import" in running.why()
    radarr.imports_nothing = False
    running.steer("retry")
    running.until(S.IMPORTED)
    running.stop()
    assert len(radarr.commands) == 2
    assert len(peer.requests_to(file_path(ITEM))) == 1
