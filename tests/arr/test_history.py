"""History: which records prove an import or a failure, among all that goes on in a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jack.arr.api import ArrApi, ArrServer
from jack.arr.history import History
from jack.support.http import Wire
from tests.support.clock import FakeClock
from tests.support.fake_arr_imports import ImportingArr

HASH = "0123456789abcdef0123456789abcdef01234567"
SEEN = "/data/completed/film.mkv"
PATH_MAP = (("/mine", "/data"), ("/mine/completed", "/downloads"))
Ask = Callable[[ImportingArr], History]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def radarr(tmp_path: Path, clock: FakeClock) -> Iterator[ImportingArr]:
    with ImportingArr("radarr", {"/data/completed": tmp_path}, clock.now) as fake:
        yield fake


@pytest.fixture
def sonarr(tmp_path: Path, clock: FakeClock) -> Iterator[ImportingArr]:
    with ImportingArr("sonarr", {"/data/completed": tmp_path}, clock.now) as fake:
        yield fake


@pytest.fixture
def ask() -> Iterator[Ask]:
    made: list[ArrApi] = []

    def of(arr: ImportingArr) -> History:
        server = ArrServer("Arr", arr.kind, arr.url, arr.api_key, path_map=PATH_MAP)
        made.append(ArrApi(server))
        return History(made[-1])

    yield of
    for api in made:
        api.close()


@pytest.fixture
def delivered(tmp_path: Path) -> Callable[[], None]:
    """The file appears, once more."""

    def again() -> None:
        (tmp_path / "film.mkv").write_bytes(b"film")

    return again


def proofs(history: History, after: int, path: str = SEEN) -> list[tuple[int, ...]]:
    return [proof.record_ids for proof in history.imports(path, HASH, after, Wire())]


def test_an_import_is_found_behind_several_pages_of_other_downloads(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None], clock: FakeClock
) -> None:
    history = ask(radarr)
    radarr.live_on(300)
    after = history.look(Wire())
    assert after == radarr.highest_id
    delivered()
    radarr.import_by_its_own_scanner(SEEN)
    clock.advance(1.0)
    radarr.live_on(900)
    ((found,),) = proofs(history, after)
    (record,) = [each for each in radarr.history if each["id"] == found]
    assert record["data"]["droppedPath"] == SEEN
    assert record["downloadId"].startswith("Jack_film.mkv_63")


def test_files_of_that_name_elsewhere_or_in_another_case_prove_nothing(
    radarr: ImportingArr, ask: Ask
) -> None:
    radarr.live_on(10)
    radarr.grab(movie_id=7, info_hash=HASH)
    assert [each for each in radarr.history if each["data"].get("droppedPath")]
    assert proofs(ask(radarr), 0) == []


def test_a_file_of_that_path_that_another_torrent_brought_is_that_torrents(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None]
) -> None:
    delivered()
    radarr.import_by_another_client(SEEN, "f" * 40)
    assert proofs(ask(radarr), 0) == []
    delivered()
    radarr.import_by_another_client(SEEN, HASH)
    assert len(proofs(ask(radarr), 0)) == 1


def test_a_person_imports_it_and_the_record_names_no_client(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None]
) -> None:
    delivered()
    radarr.import_by_a_person(SEEN)
    assert len(proofs(ask(radarr), 0)) == 1


@pytest.mark.parametrize("spelled", ["/downloads/film.mkv", "/data//completed/film.mkv"])
def test_a_folder_has_several_names_there_and_the_record_may_use_any(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None], spelled: str
) -> None:
    delivered()
    radarr.spellings[SEEN] = spelled
    radarr.import_by_a_person(SEEN)
    assert len(proofs(ask(radarr), 0)) == 1
    assert proofs(ask(radarr), 0, "/data/other/film.mkv") == []


def test_an_upgrade_is_proven_by_its_import_alone(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None]
) -> None:
    """The older file is deleted before, and the new one renamed after it."""
    delivered()
    radarr.import_by_a_person(SEEN)
    after = ask(radarr).look(Wire())
    delivered()
    radarr.import_by_a_person(SEEN)
    events = [each["eventType"] for each in radarr.history if each["id"] > after]
    assert "movieFileDeleted" in events
    ((found,),) = proofs(ask(radarr), after)
    assert radarr.history[found - 1]["eventType"] == "downloadFolderImported"


def test_a_file_of_two_episodes_is_one_import_of_two_records(
    sonarr: ImportingArr, ask: Ask, delivered: Callable[[], None]
) -> None:
    for episode in (31, 32):
        sonarr.grab(series_id=3, episode_id=episode, info_hash=HASH)
    delivered()
    sonarr.import_by_its_own_scanner(SEEN)
    (found,) = proofs(ask(sonarr), 0)
    assert len(found) == 2
    assert proofs(ask(sonarr), min(found)) == [], "the rest of an import that had begun before"


def test_the_clock_there_may_be_wrong_and_jump(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None]
) -> None:
    history = ask(radarr)
    radarr.live_on(50)
    delivered()
    radarr.import_by_a_person(SEEN)
    after = history.look(Wire())
    assert after == radarr.highest_id
    radarr.clock_off -= timedelta(hours=3)
    delivered()
    radarr.import_by_a_person(SEEN)
    ((found,),) = proofs(history, after)
    assert found > after
    radarr.clock_off += timedelta(days=2)
    radarr.live_on(5)
    assert history.look(Wire()) == radarr.highest_id


def test_records_that_come_minutes_after_the_file_was_moved_are_no_older_ones(
    radarr: ImportingArr, ask: Ask, delivered: Callable[[], None], clock: FakeClock
) -> None:
    history = ask(radarr)
    radarr.late_by = timedelta(minutes=3)
    delivered()
    radarr.import_by_a_person(SEEN)
    radarr.live_on(20)
    after = history.look(Wire())
    assert proofs(history, 0) == []
    clock.advance(180.0)
    assert len(proofs(history, after)) == 1


def test_a_grab_was_called_failed_when_a_record_after_it_says_so(
    sonarr: ImportingArr, ask: Ask
) -> None:
    history = ask(sonarr)
    first, second = (sonarr.grab(series_id=3, episode_id=e, info_hash=HASH) for e in (31, 32))
    assert not history.has_failed(first, Wire())
    history.report_failed(first, Wire())
    assert history.has_failed(first, Wire())
    assert not history.has_failed(second, Wire())
    again = sonarr.grab(series_id=3, episode_id=31, info_hash=HASH)
    assert not history.has_failed(again, Wire()), "that was the grab before"
    assert history.has_failed(999_999, Wire()), "there is nothing to tell it of"
