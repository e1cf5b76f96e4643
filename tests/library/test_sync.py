"""Rows of a Radarr or Sonarr: filled once, followed by history, completed on demand, and served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jack.arr.api import ArrServer
from jack.arr.library import arr_library
from jack.library.catalog import Catalog
from jack.library.folder_source import FolderSource
from jack.library.sync import ServerSync, SyncSettings, is_beneath
from jack.store.releases import Releases
from tests.support.library_server import KEY, LibraryServer
from tests.support.releases import found_in
from tests.support.waiting import eventually

SOURCE = "c0ffee00"
SETTINGS = SyncSettings()


class Shared:
    """One server, its sync (stepped by hand unless started), and the catalog it fills.

    The server sees the folder `root` as `/data`.
    """

    def __init__(self, server: LibraryServer, root: Path, releases: Releases, clock: Any) -> None:
        self.server = server
        self.root = root
        self.clock = clock
        self.releases = releases
        server.roots = ["/data"]
        self.sync = self.make_sync()
        self.catalog = Catalog(releases, clock, servers=[self.sync])

    def make_sync(self) -> ServerSync:
        mapping = ((str(self.root), "/data"),)
        arr = ArrServer("the-arr", self.server.kind, self.server.url, KEY, path_map=mapping)
        return ServerSync(
            arr_library(arr, SOURCE), self.releases, self.clock, lambda: self.catalog.roots()
        )

    def put(self, name: str, content: bytes = b"0123456789") -> str:
        """A file in the shared folder; returns its path as the server sees it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"/data/{name}"

    def names(self, **query: Any) -> list[str]:
        """Of the shared files, without their extension."""
        return sorted(Path(found.filename).stem for found in found_in(self.catalog, **query))


@pytest.fixture
def shared(
    tmp_path: Path, releases: Releases, clock: Any, request: pytest.FixtureRequest
) -> Iterator[Shared]:
    root = tmp_path / "movies"
    root.mkdir()
    with LibraryServer(getattr(request, "param", "radarr")) as server:
        made = Shared(server, root, releases, clock)
        yield made
        server.gate.set()
        assert made.sync.stop(20)


sonarr = pytest.mark.parametrize("shared", ["sonarr"], indirect=True)


def test_a_whole_pass_fills_the_catalog_and_the_files_can_be_fetched(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("F/a.mkv"), tmdb=603)
    assert shared.sync.step() == SETTINGS.poll_seconds
    (release,) = found_in(shared.catalog, tmdb_id="603")
    assert release.id == f"{SOURCE}:movie:1"
    opened = shared.catalog.open(release.id)
    assert opened is not None
    assert (opened.filename, opened.size) == ("a.mkv", 10)
    opened.close()


def test_searching_asks_the_server_nothing(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"), tmdb=603)
    shared.sync.step()
    asked = len(shared.server.asked)
    for query in ({"tmdb_id": "603"}, {"imdb_id": "tt0000001"}, {"imdb_id": "tt9"}, {}):
        found_in(shared.catalog, **query)
    assert len(shared.server.asked) == asked


def test_between_whole_passes_only_the_history_is_followed(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.server.add_movie(2, shared.put("b.mkv"))
    shared.sync.step()
    shared.server.asked.clear()
    shared.sync.step()
    assert [path.split("?")[0] for path in shared.server.asked] == ["rootfolder", "history/since"]
    shared.server.add_movie(3, shared.put("c.mkv"))
    shared.server.happened("downloadFolderImported", 3)
    shared.server.movies[0]["movieFile"] = None
    shared.server.happened("movieFileDeleted", 1)
    shared.server.movies[1]["movieFile"]["path"] = shared.put("renamed.mkv")
    shared.server.happened("movieFileRenamed", 2)
    shared.server.asked.clear()
    shared.sync.step()
    assert shared.names() == ["c", "renamed"]
    assert shared.server.asked[2:] == ["movie/1", "movie/2", "movie/3"]
    shared.server.asked.clear()
    shared.sync.step()
    assert len(shared.server.asked) == 2, "what was seen is not read again"


def test_a_whole_pass_is_made_once_a_day(shared: Shared) -> None:
    shared.sync.step()
    shared.server.add_movie(1, shared.put("appeared-by-itself.mkv"))
    shared.clock.advance(SETTINGS.full_seconds - 1)
    shared.sync.step()
    assert shared.names() == []
    shared.clock.advance(1)
    shared.sync.step()
    assert shared.names() == ["appeared-by-itself"]


def test_a_restart_does_not_read_everything_again(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.step()
    shared.server.asked.clear()
    again = shared.make_sync()
    again.step()
    assert again.stop(20)
    assert not any(path.startswith("movie") for path in shared.server.asked)
    assert shared.names() == ["a"]


def test_another_path_map_reads_everything_again(shared: Shared, tmp_path: Path) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.step()
    shared.root = shared.root.rename(tmp_path / "moved")
    again = shared.make_sync()
    again.step()
    assert again.stop(20)
    assert shared.catalog.get(f"{SOURCE}:movie:1") is not None


def test_a_server_that_is_down_takes_nothing_away_and_is_asked_less_and_less(
    shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.step()
    shared.server.failing["rootfolder"] = 503
    waits = [shared.sync.step() for _ in range(9)]
    assert waits[:4] == [30, 60, 120, 240]
    assert waits[-1] == SETTINGS.retry_pauses.longest
    assert shared.names() == ["a"]
    assert shared.catalog.get(f"{SOURCE}:movie:1") is not None
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1, "the same trouble is told once"
    shared.server.failing.clear()
    assert shared.sync.step() == SETTINGS.poll_seconds


def test_a_pass_that_breaks_off_removes_nothing(shared: Shared) -> None:
    for number in (1, 2):
        shared.server.add_movie(number, shared.put(f"{number}.mkv"))
    shared.sync.step()
    shared.clock.advance(SETTINGS.full_seconds)
    shared.server.raw["movie?excludeLocalCovers=true"] = b"["
    assert shared.sync.step() == SETTINGS.retry_pauses.first
    assert shared.names() == ["1", "2"]


@sonarr
def test_a_series_that_cannot_be_read_keeps_its_episodes(shared: Shared) -> None:
    for number in (1, 2):
        shared.server.add_series(number, tvdb=number)
        shared.server.add_episodes(number, 1, (1,), shared.put(f"S{number}/e.mkv"))
    shared.sync.step()
    shared.server.failing["episode?seriesId=1"] = 500
    shared.server.episodes = [e for e in shared.server.episodes if e["seriesId"] == 1]
    shared.clock.advance(SETTINGS.full_seconds)
    shared.sync.step()
    assert [release.tvdb_id for release in found_in(shared.catalog)] == [1]


@sonarr
def test_every_episode_of_a_file_is_found(shared: Shared) -> None:
    shared.server.add_series(1, tvdb=77)
    shared.server.add_episodes(1, 2, (3, 4), shared.put("S/S02E03-E04.mkv"))
    shared.sync.step()
    for episode in (3, 4):
        (release,) = found_in(shared.catalog, tvdb_id="77", season=2, episode=episode)
        assert shared.catalog.get(release.id) is not None
    assert found_in(shared.catalog, tvdb_id="77", season=2, episode=5) == []


# -- on demand -----------------------------------------------------------------------------------


def test_a_number_nobody_knows_is_asked_for_once_in_a_while(shared: Shared) -> None:
    shared.sync.step()
    shared.server.add_movie(1, shared.put("new.mkv"), tmdb=603)
    shared.server.asked.clear()
    shared.clock.advance(SETTINGS.ask_gap_seconds)
    assert shared.names(tmdb_id="603") == ["new"]
    assert shared.names(tmdb_id="603") == ["new"]
    assert shared.server.asked == ["movie?tmdbId=603&excludeLocalCovers=true"]


def test_the_same_number_is_not_asked_for_again_before_its_time(shared: Shared) -> None:
    shared.sync.step()
    shared.server.asked.clear()
    shared.clock.advance(SETTINGS.ask_gap_seconds)
    for _ in range(3):
        found_in(shared.catalog, tmdb_id="603")
        shared.clock.advance(SETTINGS.ask_gap_seconds)
    assert len(shared.server.asked) == 1
    shared.clock.advance(SETTINGS.ask_again_seconds)
    found_in(shared.catalog, tmdb_id="603")
    assert len(shared.server.asked) == 2


def test_many_numbers_at_once_do_not_reach_the_server(shared: Shared) -> None:
    shared.sync.step()
    shared.server.asked.clear()
    shared.clock.advance(SETTINGS.ask_gap_seconds)
    for number in range(1, 100):
        found_in(shared.catalog, tmdb_id=str(number))
    assert len(shared.server.asked) == 1


def test_a_server_in_trouble_is_not_asked_on_demand(shared: Shared) -> None:
    shared.server.failing["rootfolder"] = 503
    shared.sync.step()
    shared.server.asked.clear()
    shared.clock.advance(3600)
    assert found_in(shared.catalog, tmdb_id="603") == []
    assert shared.server.asked == []


@sonarr
def test_a_series_is_asked_for_by_tvdb_and_never_by_tmdb(shared: Shared) -> None:
    shared.sync.step()
    shared.server.add_series(1, tvdb=77)
    shared.server.add_episodes(1, 1, (1,), shared.put("a.mkv"))
    shared.server.asked.clear()
    shared.clock.advance(SETTINGS.ask_gap_seconds)
    assert shared.names(tmdb_id="77") == []
    assert shared.names(tvdb_id="77", season=1, episode=1) == ["a"]
    assert shared.server.asked[0] == "series?tvdbId=77"


# -- what is served ------------------------------------------------------------------------------


def test_a_file_outside_of_every_root_folder_is_not_even_offered(
    shared: Shared, tmp_path: Path
) -> None:
    (tmp_path / "secret.mkv").write_bytes(b"secret")
    for number, path in enumerate([str(tmp_path / "secret.mkv"), "/data/../secret.mkv"], 1):
        shared.server.add_movie(number, path)
    shared.sync.step()
    assert shared.names() == []


def test_a_link_out_of_the_root_folders_is_not_served(shared: Shared, tmp_path: Path) -> None:
    (tmp_path / "secret.mkv").write_bytes(b"secret")
    (shared.root / "a.mkv").symlink_to(tmp_path / "secret.mkv")
    shared.server.add_movie(1, "/data/a.mkv")
    shared.sync.step()
    assert shared.catalog.open(f"{SOURCE}:movie:1") is None
    assert shared.catalog.get(f"{SOURCE}:movie:1") is None


def test_a_link_into_another_sources_folder_is_served(
    shared: Shared, library: Path, releases: Releases, clock: Any
) -> None:
    (library / "real.mkv").write_bytes(b"12345")
    (shared.root / "a.mkv").symlink_to(library / "real.mkv")
    shared.server.add_movie(1, "/data/a.mkv", size=5)
    shared.catalog = Catalog(releases, clock, [FolderSource(library)], [shared.sync])
    shared.sync.step()
    release = shared.catalog.get(f"{SOURCE}:movie:1")
    assert release is not None
    assert release.size == 5


def test_what_a_source_shared_is_gone_when_the_source_leaves_the_config(
    shared: Shared, releases: Releases, clock: Any
) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.step()
    without = Catalog(releases, clock)
    assert found_in(without) == []
    assert without.open(f"{SOURCE}:movie:1") is None


def test_a_file_that_is_not_as_expected_is_looked_at_again(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("old.mkv"))
    shared.sync.step()
    (shared.root / "old.mkv").unlink()
    shared.server.movies[0]["movieFile"]["path"] = shared.put("upgraded.mkv")
    shared.server.asked.clear()
    for _ in range(3):
        assert shared.catalog.open(f"{SOURCE}:movie:1") is None
    shared.sync.settle_doubts()
    shared.sync.settle_doubts()
    assert shared.server.asked == ["movie/1"]
    opened = shared.catalog.open(f"{SOURCE}:movie:1")
    assert opened is not None
    opened.close()


def test_a_file_of_another_size_is_served_with_its_real_one_and_looked_at_again(
    shared: Shared,
) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.step()
    shared.put("a.mkv", b"longer than before")
    release = shared.catalog.get(f"{SOURCE}:movie:1")
    assert release is not None
    assert release.size == 18
    shared.server.asked.clear()
    shared.sync.settle_doubts()
    assert shared.server.asked == ["movie/1"]


def test_a_root_folder_that_is_not_here_names_the_remedy(
    shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    shared.server.roots = ["/data", "/elsewhere-in-the-container"]
    shared.sync.step()
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "/elsewhere-in-the-container" in line
    assert "pathMap" in line
    assert str(shared.root) not in line


# -- the thread ----------------------------------------------------------------------------------


def test_the_thread_fills_follows_and_looks_again(shared: Shared) -> None:
    shared.server.add_movie(1, shared.put("a.mkv"))
    shared.sync.start()
    eventually(lambda: shared.names() == ["a"])
    (shared.root / "a.mkv").unlink()
    shared.server.movies[0]["movieFile"]["path"] = shared.put("b.mkv")
    assert shared.catalog.get(f"{SOURCE}:movie:1") is None
    eventually(lambda: shared.names() == ["b"])


@pytest.mark.parametrize("is_asked_on_demand", [False, True])
def test_stop_frees_a_request_that_hangs(shared: Shared, is_asked_on_demand: bool) -> None:
    asking: threading.Thread | None = None
    if is_asked_on_demand:
        shared.sync.step()
        shared.clock.advance(SETTINGS.ask_gap_seconds)
    shared.server.gate.clear()
    before = len(shared.server.asked)
    if is_asked_on_demand:
        asking = threading.Thread(
            target=found_in, args=(shared.catalog,), kwargs={"tmdb_id": "603"}
        )
        asking.start()
    else:
        shared.sync.start()
    eventually(lambda: len(shared.server.asked) > before)
    assert shared.sync.stop(20)
    if asking:
        asking.join(20)
        assert not asking.is_alive()


def test_a_bug_does_not_end_the_thread(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(shared.releases, "set_roots", broken)
        assert shared.sync.step() == SETTINGS.retry_pauses.first
    assert caplog.records[-1].exc_info
    assert shared.sync.step() == SETTINGS.poll_seconds


@pytest.mark.parametrize(
    ("path", "roots", "expected"),
    [
        ("/m/a.mkv", ["/m"], True),
        ("/m/a.mkv", ["/m/"], True),
        ("/m/a.mkv", ["/"], True),
        ("/m/a.mkv", ["/x", "/m"], True),
        ("/mm/a.mkv", ["/m"], False),
        ("/m", ["/m"], False),
        ("/m/../etc/a.mkv", ["/m"], False),
        ("m/a.mkv", ["/"], False),
        ("D:\\m\\a.mkv", ["D:\\m"], False),
        ("/m/a.mkv", [], False),
    ],
)
def test_beneath_is_beneath(path: str, roots: list[str], expected: bool) -> None:
    assert is_beneath(path, roots) is expected


def test_of_a_server_with_more_files_than_a_database_takes_the_first_are_shared(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jack.library.sync.MAX_FILES", 3)
    for number in range(1, 6):
        shared.server.add_movie(number, shared.put(f"{number}.mkv"))
    for _ in range(2):
        shared.sync.step()
        assert shared.names() == ["1", "2", "3"]
    assert "only the first 3 files are shared" in caplog.text
