"""What can happen to jack.db under a running jack."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jack.downloads.reconcile import reconcile_without_downloads
from jack.errors import StateError
from jack.model import DownloadStatus
from jack.store.database import Database
from jack.store.downloads import Downloads
from jack.store.facts import Facts
from jack.store.failures import Failures
from jack.store.handovers import Handovers
from jack.store.lock import StateLock
from jack.store.migrations import MIGRATIONS
from jack.store.volumes import Volumes
from jack.support.clock import SystemClock
from tests.scenarios.harness import CHECKOUT, PATIENCE_SECONDS, content
from tests.support.hurt_jack import HurtJack, needs_namespaces, on_tiny_disk, with_umask
from tests.support.scripted_peer import ScriptedPeer
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
NOBODY = 65534


def _rename(path: Path) -> None:
    path.rename(path.with_name("old"))


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


@pytest.mark.fault("B8")
@pytest.mark.parametrize(
    ("name", "happens", "said"),
    [
        ("jack.db", Path.unlink, "was removed"),
        ("jack.db", _rename, "was removed"),
        ("jack.db", _replace, "was replaced"),
        ("jack.lock", Path.unlink, "was removed"),
    ],
)
def test_a_state_file_taken_away_from_a_running_jack_ends_it_with_a_clear_line(
    you: HurtJack, name: str, happens: Callable[[Path], None], said: str
) -> None:
    process = you.start()
    happens(you.state / name)
    assert process.wait(PATIENCE_SECONDS) == 1
    assert f"{you.state / name} {said} while jack was running; jack leaves" in you.log
    assert "Traceback" not in you.log


@pytest.mark.fault("B8")
def test_a_state_folder_moved_away_from_a_running_jack_ends_it_too(you: HurtJack) -> None:
    process = you.start()
    you.state.rename(you.folder / "elsewhere")
    assert process.wait(PATIENCE_SECONDS) == 1
    assert "was removed while jack was running" in you.log
    you.start()
    assert you.stop() == 0


@pytest.mark.fault("C11")
def test_locks_that_lock_nothing_leave_only_the_newer_of_two_jacks(you: HurtJack) -> None:
    you.patches += "\nimport fcntl; fcntl.flock = lambda *rest: None"
    first = you.start()
    second = you.start()
    assert first.wait(PATIENCE_SECONDS) == 1
    assert f"another jack (pid {second.pid}) has started on {you.state}" in you.log
    assert second.poll() is None
    assert you.stop() == 0


@pytest.mark.fault("B8")
def test_a_database_that_is_busy_is_no_reason_to_leave(you: HurtJack) -> None:
    you.patches += "\nimport jack.store.database as d; d.BUSY_TIMEOUT_SECONDS = 0.1"
    process = you.start()
    with contextlib.closing(sqlite3.connect(you.state / "jack.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with contextlib.suppress(Exception):
            process.wait(1.0)
        assert process.poll() is None
    assert you.stop() == 0


@pytest.mark.fault("B9")
def test_a_database_on_a_network_share_is_warned_about(you: HurtJack) -> None:
    you.patches += "\nimport jack.daemon as d; d.network_file_system = lambda path: 'nfs4'"
    you.start()
    assert f"statePath {you.state} is on a nfs4 file system" in you.log
    assert "keep jack's database on a local disk" in you.log
    assert you.stop() == 0


# --- rights ---


@pytest.mark.fault("B7")
def test_the_state_is_readable_by_its_owner_only_whatever_the_umask(you: HurtJack) -> None:
    you.prefix = with_umask(0o000)
    you.start()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in you.state.iterdir()}
    names = ("jack.db", "jack.db-shm", "jack.db-wal", "jack.lock", "jack.sock")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(you.state.stat().st_mode) == 0o700
    assert you.stop() == 0


@pytest.mark.fault("B7")
def test_state_files_that_others_can_read_are_closed_to_them(tmp_path: Path) -> None:
    Database(tmp_path).close()
    for name in ("jack.db", "jack.db-wal", "jack.db-shm"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    database = Database(tmp_path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.close()
    assert modes == {0o600}


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


_AS_NOBODY = """
import os, sys
import jack.daemon  # all of it, while this Python can still be read
from jack.cli import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(["run", "-c", sys.argv[1]]))
"""


@pytest.mark.fault("B7", "D9")
@pytest.mark.parametrize("name", ["jack.db-wal", "."])
def test_files_left_behind_by_root_are_named_with_their_owner(public: Path, name: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    you = HurtJack(public / "you")
    you.state.mkdir()
    Database(you.state).close()
    for file in ("jack.db-wal", "jack.lock"):
        (you.state / file).touch(0o600)
    for path in (you.state, *you.state.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    foreign = you.state if name == "." else you.state / name
    os.chown(foreign, 0, 0)
    foreign.chmod(0o755 if name == "." else 0o600)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(you.config_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("jack: ")]
    assert "uid 65534" in line
    assert f"{foreign} belongs to uid 0, gid 0, mode" in line
    assert "Traceback" not in done.stderr


@pytest.mark.fault("B7")
@pytest.mark.parametrize("name", ["jack.db", "jack.lock"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "link to nowhere", "device"])
def test_what_is_no_plain_file_in_the_state_folder_is_refused_and_left_alone(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null" if kind == "device" else tmp_path / "nowhere" / "x")
    with pytest.raises(StateError, match=str(path)):
        Database(tmp_path) if name == "jack.db" else StateLock(tmp_path).acquire()
    assert list(tmp_path.iterdir()) == [path]
    assert not path.is_file()


# --- a full disk, a long reader, years of history ---


@pytest.mark.fault("B5")
def test_a_database_on_a_full_disk_stops_the_writers_and_nothing_is_lost(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    needs_namespaces()
    body = content(300_000)
    friend.offer(ITEM, body)
    you.prefix = on_tiny_disk(you.state, "1m")
    you.start()
    filler = you.inside(you.state) / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    stub = you.drop("Film.torrent", friend.url, ITEM)
    eventually(lambda: "database" in you.log, PATIENCE_SECONDS, "the trouble in the log")
    assert stub.exists()
    filler.unlink()
    eventually(lambda: not stub.exists(), PATIENCE_SECONDS, "the end of the download")
    assert you.file().read_bytes() == body
    assert "Traceback" not in you.log
    assert you.stop() == 0


@pytest.mark.fault("B10")
def test_a_reader_that_stays_for_hours_leaves_no_large_log_behind(tmp_path: Path) -> None:
    database, wal = Database(tmp_path), tmp_path / "jack.db-wal"
    limit = 200_000
    database.raw.execute_sql(f"PRAGMA journal_size_limit = {limit}")
    facts = Facts(database)
    facts.put("n", "0")
    with contextlib.closing(sqlite3.connect(tmp_path / "jack.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM facts").fetchall()
        database.raw.execute_sql("PRAGMA synchronous = OFF")
        for number in range(2000):
            facts.put("n", str(number))
        assert wal.stat().st_size > 10 * limit
        reader.execute("ROLLBACK")
    for number in range(1200):
        facts.put("n", str(number))
    assert wal.stat().st_size < 5_000_000
    database.close()
    assert not wal.exists() or wal.stat().st_size <= limit


def history(folder: Path, rows: int, version: int = len(MIGRATIONS)) -> None:
    """A database of that schema with so many imported downloads."""
    with contextlib.closing(sqlite3.connect(folder / "jack.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = wal")
        raw.execute("BEGIN")
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                raw.execute(statement)
        raw.execute(f"PRAGMA user_version = {version}")
        raw.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO downloads (status, torrent_filename, stub_fingerprint, stub_present,"
            " peer_id, peer_name, item_id, filename, dest_path, category, release_size,"
            " release_json, expected_bytes_mismatch, downloaded_bytes, best_bytes, attempts,"
            " fruitless_attempts, started_at, updated_at) SELECT 'imported', i || '.torrent', 'f',"
            " 0, '15ee3276', 'ann', 'c:movie:' || i, i || '.mkv', '/c/' || i || '.mkv', 2000, 5,"
            " '{}', 0, 5, 5, 1, 0, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z' FROM n",
            (rows,),
        )
        raw.execute("COMMIT")


@pytest.mark.fault("B12", "C17")
@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_history_of_every_older_schema_is_upgraded_and_the_old_one_kept(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    history(tmp_path, 5_000, version)
    database = Database(tmp_path)
    count = len(list(Downloads(database, SystemClock()).with_status(S.IMPORTED)))
    database.close()
    assert count == 5_000
    assert f"is brought from schema {version} to {len(MIGRATIONS)}" in caplog.text
    copy = tmp_path / f"jack.db.schema-{version}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (version,)
        assert old.execute("SELECT COUNT(*) FROM downloads").fetchone() == (5_000,)
        assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {path.name for path in tmp_path.iterdir()} <= {"jack.db", copy.name}
    Database(tmp_path).close()


@pytest.mark.fault("B12")
def test_an_upgrade_goes_on_when_there_is_no_room_for_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(target: Path, *flags: int) -> int:
        raise OSError(28, "No space left on device")

    history(tmp_path, 10, 1)
    monkeypatch.setattr("jack.store.upgrade.open_private", full)
    Database(tmp_path).close()
    assert "could not be kept (" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["jack.db"]


@pytest.mark.fault("C17")
def test_a_newer_schema_names_the_copy_that_was_kept(tmp_path: Path) -> None:
    Database(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "jack.db")) as raw:
        raw.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match=rf"\.schema-{len(MIGRATIONS)}"):
        Database(tmp_path)


@pytest.mark.fault("B16")
def test_years_of_history_are_never_read_through(tmp_path: Path) -> None:
    history(tmp_path, 2_000)
    database, clock = Database(tmp_path), SystemClock()
    asked: list[str] = []
    database.raw.connection().set_trace_callback(asked.append)
    downloads = Downloads(database, clock)
    row = next(downloads.with_status(S.IMPORTED))
    asked.clear()
    overview = downloads.overview(20)
    assert (len(overview), overview.more) == (20, 1_980)
    assert list(downloads.live()) == list(downloads.stubs_left_behind()) == []
    assert downloads.due() == downloads.behind() == []
    downloads.owner(row.dest_path)
    downloads.live_at(row.dest_path, row.id)
    downloads.may_go_on_with(row.part_path)
    downloads.latest_for_stub(row.torrent_filename, row.peer_id, row.item_id)
    downloads.latest_for_destination(row.dest_path, row.id)
    downloads.still_needed(row.dest_path, row.id)
    downloads.owned(row.dest_path)
    downloads.is_recorded_for_another(1, row.id)
    downloads.followers(row)
    downloads.checkpoint(row.id, 1)
    Failures(database, clock).count_since("p", "i", clock.now())
    Failures(database, clock).open()
    Handovers(database, clock).open()
    Volumes(downloads, Facts(database)).unknown_parts(tmp_path)
    reconcile_without_downloads(downloads)
    database.raw.connection().set_trace_callback(None)
    of_downloads = re.compile(r'SELECT .* FROM "downloads"|UPDATE "downloads"')
    statements = [text for text in asked if of_downloads.match(text)]
    assert len(statements) > 12
    for statement in statements:
        plan = [step[3] for step in database.raw.execute_sql(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if _reads_all(step)], (statement, plan)
    database.close()


def _reads_all(step: str) -> bool:
    scans = step.startswith("SCAN") and "INDEX" not in step
    return scans or step.endswith(" USING INTEGER PRIMARY KEY (rowid>?)")


@pytest.mark.fault("B16")
def test_status_shows_what_matters_of_a_long_history_and_how_much_more_there_is(
    you: HurtJack,
) -> None:
    you.state.mkdir()
    history(you.state, 3_000)
    done = you.run("status")
    assert done.returncode == 0
    assert "2980 more have ended; --all shows them." in done.stdout
    assert len(you.status()) == 3_000
