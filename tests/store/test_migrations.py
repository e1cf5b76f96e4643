"""The schema moves forward in one transaction, never backwards, and never half."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from jack.errors import StateError
from jack.store.database import Database
from jack.store.failures import Failures
from jack.store.handovers import Handovers
from jack.store.migrations import MIGRATIONS, migrate
from jack.store.releases import Releases
from tests.support.clock import FakeClock

ACCEPTED = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def test_a_new_file_gets_the_newest_version_and_is_private(tmp_path: Path) -> None:
    Database(tmp_path).close()
    assert _version(tmp_path / "jack.db") == len(MIGRATIONS)
    assert stat.S_IMODE((tmp_path / "jack.db").stat().st_mode) == 0o600


def test_wal_and_full_sync_are_on(tmp_path: Path) -> None:
    database = Database(tmp_path)
    try:
        assert database.raw.execute_sql("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert database.raw.execute_sql("PRAGMA synchronous").fetchone()[0] == 2
    finally:
        database.close()


def test_a_migration_that_breaks_half_way_leaves_the_old_version_whole(tmp_path: Path) -> None:
    Database(tmp_path).close()
    raw = SqliteDatabase(str(tmp_path / "jack.db"))
    broken = [*MIGRATIONS, ("CREATE TABLE half (id INTEGER)", "THIS IS NOT SQL")]
    with pytest.raises(Exception, match="syntax"):
        migrate(raw, broken)
    assert _version(tmp_path / "jack.db") == len(MIGRATIONS)
    assert "half" not in raw.get_tables()
    again = [*MIGRATIONS, ("CREATE TABLE whole (id INTEGER)",)]
    assert migrate(raw, again) == len(again)
    assert "whole" in raw.get_tables()
    raw.close()


@pytest.mark.fault("C17")
def test_a_newer_database_is_refused_with_the_remedy(tmp_path: Path) -> None:
    Database(tmp_path).close()
    with sqlite3.connect(tmp_path / "jack.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="newer jack"):
        Database(tmp_path)
    assert _version(tmp_path / "jack.db") == 99


def test_a_file_that_is_no_database_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "jack.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError, match=r"cannot use .*jack\.db"):
        Database(tmp_path)


def test_a_look_from_outside_creates_nothing(tmp_path: Path) -> None:
    with Database.existing(tmp_path) as database:
        assert database is None
    assert list(tmp_path.iterdir()) == []


def _plant(old: SqliteDatabase, download_id: int) -> None:
    """A download, in columns that every schema has."""
    old.execute_sql(
        "INSERT INTO downloads (id, status, torrent_filename, stub_fingerprint, stub_present,"
        " peer_id, peer_name, item_id, filename, dest_path, category, release_size, release_json,"
        " expected_bytes_mismatch, downloaded_bytes, best_bytes, attempts, fruitless_attempts,"
        " started_at, updated_at) VALUES (?, 'import_queued', 'a', 'b', 0, 'c', 'd', 'e', 'f',"
        " '/g', 2000, 1, '{}', 0, 1, 1, 1, 0,"
        " '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z')",
        (download_id,),
    )


@pytest.mark.fault("C17")
def test_an_import_that_version_1_had_handed_over_is_followed_by_this_one(tmp_path: Path) -> None:
    old = SqliteDatabase(str(tmp_path / "jack.db"))
    migrate(old, MIGRATIONS[:1])
    _plant(old, 1)
    old.execute_sql(
        "INSERT INTO handovers (download_id, server, command_id, accepted_at)"
        " VALUES (1, 'Radarr', 7, '2026-01-01T00:00:00.000Z'), (1, 'Two', NULL, NULL)"
    )
    old.close()
    database = Database(tmp_path)
    try:
        one, two = Handovers(database, FakeClock()).open()
    finally:
        database.close()
    assert (one.server, one.command_id, one.asks, one.asked_at) == ("Radarr", 7, 1, ACCEPTED)
    assert (two.server, two.command_id, two.asks, two.asked_at) == ("Two", None, 0, None)


def test_libraries_that_an_older_jack_has_read_are_read_as_a_whole_again(tmp_path: Path) -> None:
    """Its rows have neither the day nor the number through all seasons of an episode."""
    old = SqliteDatabase(str(tmp_path / "jack.db"))
    migrate(old, MIGRATIONS[:4])
    old.execute_sql(
        "INSERT INTO release_sources VALUES"
        " ('c0ffee00', 3, '[]', '2026-01-01T00:00:00.000Z', 17, '2026-01-01T00:00:00Z')"
    )
    old.close()
    database = Database(tmp_path)
    state = Releases(database).state("c0ffee00")
    assert (state.synced_at, state.history_id) == (None, 17)
    database.close()


def test_a_new_file_has_the_very_tables_that_all_steps_lead_to(tmp_path: Path) -> None:
    Database(tmp_path).close()
    stepwise = SqliteDatabase(str(tmp_path / "old.db"))
    migrate(stepwise)
    stepwise.close()
    new, old = schema(tmp_path / "jack.db"), schema(tmp_path / "old.db")
    assert new == old
    assert "downloads" in new and len(new["downloads"]["indexes"]) == 8


_CHECK = re.compile(r"CHECK ?(\((?:[^()]|\([^()]*\))*\))")


def schema(path: Path) -> dict[str, dict[str, object]]:
    """Columns, keys, checks and indexes of every table, in no order of theirs."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        tables = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        indexes = raw.execute(
            "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        return {
            name: {
                "columns": set(
                    # A key of one INTEGER is never NULL, whether that is said or not.
                    raw.execute(
                        'SELECT name, type, "notnull" OR pk, dflt_value, pk'
                        " FROM pragma_table_info(?)",
                        (name,),
                    )
                ),
                "references": set(
                    raw.execute(
                        'SELECT "table", "from", "to" FROM pragma_foreign_key_list(?)', (name,)
                    )
                ),
                "unique": set(
                    raw.execute(
                        "SELECT i.origin, c.seqno, c.name FROM pragma_index_list(?) i"
                        " JOIN pragma_index_info(i.name) c WHERE i.origin != 'c'",
                        (name,),
                    )
                ),
                "checks": {_plain(check) for check in _CHECK.findall(sql)},
                "options": re.findall("AUTOINCREMENT|WITHOUT ROWID", sql),
                "indexes": {_plain(index) for table, index in indexes if table == name},
            }
            for name, sql in tables
        }


def _plain(sql: str) -> str:
    return re.sub(r"[\s\"()]+", " ", sql).strip()


@pytest.mark.fault("C17")
def test_what_is_told_to_servers_outlives_the_columns_that_nobody_reads(
    tmp_path: Path, clock: FakeClock
) -> None:
    old = SqliteDatabase(str(tmp_path / "jack.db"))
    migrate(old, MIGRATIONS[:9])
    _plant(old, 1)
    _plant(old, 2)
    old.execute_sql(
        "INSERT INTO handovers (download_id, server, command_id, accepted_at, asked_at, asks,"
        " claimed) VALUES (1, 'Radarr', 7, '2026-01-01T00:00:00.000Z',"
        " '2026-01-01T00:00:00.000Z', 2, 1), (2, 'Two', NULL, NULL, NULL, 0, 0)"
    )
    old.execute_sql("INSERT INTO failures (peer_id, item_id, failed_at) VALUES ('p', 'i', 'x')")
    old.execute_sql("INSERT INTO reported_grabs VALUES ('Radarr', 5, '2026-01-01T00:00:00.000Z')")
    old.close()
    database = Database(tmp_path)
    try:
        one, two = Handovers(database, clock).open()
        failures = Failures(database, clock)
        assert failures.was_reported("Radarr", 5), "by the older jack"
        assert not failures.was_reported("Radarr", 6)
    finally:
        database.close()
    assert (one.server, one.command_id, one.asked_at, one.asks) == ("Radarr", 7, ACCEPTED, 2)
    assert (two.server, two.command_id, two.asked_at, two.asks) == ("Two", None, None, 0)
