"""The releases table: found by id, replaced together, swept without losing what others wrote."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from jack.store.database import Database
from jack.store.releases import ReleaseRow, Releases, SourceState
from tests.support.clock import START


@pytest.fixture
def releases(database: Database) -> Releases:
    return Releases(database)


def row(number: int, owner: int = 1, **changes: object) -> ReleaseRow:
    values = {
        "release_id": f"s:movie:{number}",
        "owner": owner,
        "category": 2000,
        "imdb": f"{number:07d}",
        "tmdb": number,
        "tvdb": None,
        "season": None,
        "episode": None,
        "published": f"2026-01-{number % 28 + 1:02d}T00:00:00Z",
        "path": f"/movies/{number}.mkv",
        "size": number,
        "body": f'{{"id":"s:movie:{number}"}}',
    }
    return ReleaseRow(**{**values, **changes})  # type: ignore[arg-type]


def ids(releases: Releases) -> list[str]:
    found: list[str] = []
    releases.each(found.append)
    return sorted(body.split(":")[-1].strip('"}') for body in found)


def sweep(releases: Releases, *rows: ReleaseRow, finish: bool = True) -> int:
    with releases.sweep("s", START) as swept:
        for one in rows:
            swept.put(one)
        return swept.finish() if finish else 0


def test_a_row_comes_back_as_it_was_stored(releases: Releases) -> None:
    wanted = row(7, path="/movies/\udcff.mkv", tvdb=5, season=0, episode=3)
    releases.replace_owner("s", 1, [wanted])
    assert releases.get("s:movie:7") == ("s", wanted)
    assert releases.get("s:movie:8") is None


def test_rows_are_found_by_their_ids_newest_first(releases: Releases) -> None:
    sweep(releases, row(1, tmdb=9), row(2, tmdb=9), row(3, tmdb=8))
    assert releases.by_ids(tmdb=9, category=2000) == [row(2).body, row(1).body]
    assert releases.by_ids(tmdb=9, category=5000) == []
    assert releases.by_ids(imdb="0000003") == [row(3).body]


@pytest.mark.parametrize("columns", [{"imdb": "1"}, {"tmdb": 1, "category": 2000}])
def test_every_search_by_id_uses_an_index(database: Database, columns: dict[str, object]) -> None:
    where = " AND ".join(f"{name} = ?" for name in columns)
    sql = f"EXPLAIN QUERY PLAN SELECT body FROM releases WHERE {where}"
    plan = database.raw.execute_sql(sql, tuple(columns.values())).fetchall()
    assert all("USING INDEX" in step[3] for step in plan), plan


def test_a_whole_list_needs_no_sorting(database: Database) -> None:
    sql = "EXPLAIN QUERY PLAN SELECT body FROM releases ORDER BY published DESC, id"
    plan = database.raw.execute_sql(sql).fetchall()
    assert "USING INDEX releases_newest" in plan[0][3]


def test_a_finished_sweep_removes_what_it_did_not_see(releases: Releases) -> None:
    sweep(releases, row(1), row(2))
    assert sweep(releases, row(2), row(3)) == 1
    assert ids(releases) == ["2", "3"]


def test_a_sweep_that_breaks_off_removes_nothing(releases: Releases) -> None:
    sweep(releases, row(1), row(2))
    with pytest.raises(RuntimeError), releases.sweep("s", START) as swept:
        swept.put(row(2))
        raise RuntimeError
    assert ids(releases) == ["1", "2"]


def test_a_sweep_leaves_other_sources_alone(releases: Releases) -> None:
    releases.replace_owner("t", 1, [row(9)])
    sweep(releases, row(1))
    assert ids(releases) == ["1", "9"]


def test_what_could_not_be_read_is_kept(releases: Releases) -> None:
    sweep(releases, row(1, owner=5), row(2, owner=6))
    with releases.sweep("s", START) as swept:
        swept.keep_owner(5)
        assert swept.finish() == 1
    assert ids(releases) == ["1"]


def test_a_row_written_by_another_thread_during_a_sweep_stays(releases: Releases) -> None:
    sweep(releases, row(1))
    with releases.sweep("s", START) as swept:
        swept.put(row(1))
        other = threading.Thread(target=releases.replace_owner, args=("s", 2, [row(2, owner=2)]))
        other.start()
        other.join(20)
        swept.finish()
    assert ids(releases) == ["1", "2"]


def test_a_rescan_without_changes_writes_nothing(releases: Releases, tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 600)]
    sweep(releases, *rows)
    wal = tmp_path / "jack.db-wal"
    before = wal.stat().st_size
    sweep(releases, *rows)
    assert wal.stat().st_size - before < 100_000, "a few pages of bookkeeping, not 600 rows"


def test_a_changed_row_is_written(releases: Releases) -> None:
    sweep(releases, row(1))
    for changed in (row(1, path="/other.mkv"), row(1, body="{}"), row(1, owner=3, body="{}")):
        sweep(releases, changed)
        assert releases.get("s:movie:1") == ("s", changed)


def test_an_owners_rows_are_replaced_together(releases: Releases) -> None:
    releases.replace_owner("s", 1, [row(1), row(2)])
    releases.replace_owner("s", 2, [row(3, owner=2)])
    releases.replace_owner("s", 1, [row(2), row(4)])
    assert ids(releases) == ["2", "3", "4"]
    releases.replace_owner("s", 1, [])
    assert ids(releases) == ["3"]


def test_a_release_that_moves_to_another_owner_is_not_lost(releases: Releases) -> None:
    releases.replace_owner("s", 1, [row(1)])
    releases.replace_owner("s", 2, [replace(row(1), owner=2)])
    releases.replace_owner("s", 1, [])
    assert ids(releases) == ["1"]


def test_what_is_known_of_a_source_is_remembered(releases: Releases, database: Database) -> None:
    assert releases.state("s") == SourceState()
    releases.set_roots("s", ["/movies", "/películas"])
    releases.set_history("s", 12, "2026-01-01T00:00:00Z")
    sweep(releases)
    again = Releases(database).state("s")
    assert again == SourceState(("/movies", "/películas"), START, 12, "2026-01-01T00:00:00Z")


def test_an_unfinished_sweep_does_not_count_as_a_pass(releases: Releases) -> None:
    sweep(releases, row(1), finish=False)
    assert releases.state("s").synced_at is None


@pytest.mark.parametrize(("kept", "left"), [(["s"], ["1"]), (["s", "t"], ["1", "2"]), ([], [])])
def test_only_the_sources_of_the_config_are_kept(
    releases: Releases, kept: list[str], left: list[str]
) -> None:
    releases.replace_owner("s", 1, [row(1)])
    releases.replace_owner("t", 1, [row(2)])
    releases.set_roots("t", ["/t"])
    releases.keep_sources(kept)
    assert ids(releases) == left
    assert releases.state("t").roots == (("/t",) if "t" in kept else ())
