"""Half-dead processes, suspended ones, and starts from whatever was left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from jack.model import DownloadStatus
from jack.store.migrations import MIGRATIONS, migrate
from tests.scenarios.harness import CHECKPOINT_BYTES, KIB, PATIENCE_SECONDS, content, paused
from tests.support.hurt_jack import HurtJack
from tests.support.ports import Port
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path
from tests.support.waiting import eventually

S = DownloadStatus
ITEM = "c:movie:1"
FILE = file_path(ITEM)
BODY = content(2 * 1024 * KIB)

_DIES = """
import threading
def die(*rest, **more):
    raise {error}
import {module} as m
m.{owner}.{method} = die
"""


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    ("thread", "module", "owner", "method", "error"),
    [
        ("timer", "jack.support.timer", "Timer", "run", "SystemExit(0)"),
        ("intake", "jack.blackhole.intake", "Intake", "step", "BaseException('x')"),
        ("import-Radarr", "jack.imports.errands", "ServerLine", "step", "BaseException('x')"),
        ("http", "jack.web.server", "Server", "_run", "ValueError('x')"),
        ("library-", "jack.library.sync", "ServerSync", "_run", "ValueError('x')"),
    ],
)
def test_a_thread_that_must_not_die_takes_jack_with_it(
    you: HurtJack, port: Port, thread: str, module: str, owner: str, method: str, error: str
) -> None:
    server = {"name": "Radarr", "type": "radarr", "url": "http://127.0.0.1:1", "apiKey": "key-1234"}
    server |= {"source": True, "destination": True, "autoregister": {"enable": False}}
    you.configure(jack={"apiKey": "key-1234567890ab", "internalUrl": port.url})
    you.configure(servers=[server])
    you.patches += _DIES.format(module=module, owner=owner, method=method, error=error)
    process = you.start(wait=False)
    assert process.wait(PATIENCE_SECONDS) == 1, you.log
    assert f"the {thread}" in you.log
    assert "thread has died; jack leaves so that it can be restarted" in you.log


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    ("module", "owner", "method"),
    [("jack.downloads.job", "Job", "run"), ("jack.downloads.grabs", "Grabs", "_resolve")],
)
def test_what_ends_the_work_of_a_pool_is_not_swallowed_by_it(
    you: HurtJack, friend: ScriptedPeer, module: str, owner: str, method: str
) -> None:
    friend.offer(ITEM, BODY)
    stub = you.drop("Film.torrent", friend.url, ITEM)
    whole = you.patches
    you.patches += _DIES.format(module=module, owner=owner, method=method, error="SystemExit(0)")
    process = you.start(wait=False)
    assert process.wait(PATIENCE_SECONDS) == 1, you.log
    assert "thread has died; jack leaves so that it can be restarted" in you.log
    assert stub.exists()
    you.patches = whole
    you.start()
    you.row(1, S.COMPLETED)
    assert you.stop() == 0


@pytest.mark.fault("C15")
def test_a_jack_that_hangs_tells_on_request_where_every_thread_stands(you: HurtJack) -> None:
    process = you.start()
    told = ("Current thread 0x", "blackhole/intake.py")  # written bit by bit

    def has_told() -> bool:  # a thread that has only just started stands nowhere yet
        process.send_signal(signal.SIGUSR1)
        return all(part in you.log for part in told)

    eventually(has_told, PATIENCE_SECONDS, "the threads")
    assert you.log.count("Thread 0x") >= 3
    assert you.stop() == 0


@pytest.mark.fault("C12")
def test_a_jack_that_gets_no_more_memory_loses_nothing(you: HurtJack, friend: ScriptedPeer) -> None:
    gate = threading.Event()
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.offer("c:movie:2", BODY, filename="Other (2021).mkv")
    friend.script(FILE, paused(friend, 700 * KIB, gate))
    you.drop("Film.torrent", friend.url, ITEM)
    process = you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 500 * KIB)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    you.drop("Other.torrent", friend.url, "c:movie:2")
    gate.set()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
    kept = you.row(1).downloaded_bytes
    assert kept >= 500 * KIB
    if process.poll() is None:
        you.kill()
    you.start()
    for number in (1, 2):
        row = you.row(number, S.COMPLETED)
        assert row.dest_path.read_bytes() == BODY
    assert len(you.rows()) == 2


@pytest.mark.fault("C16")
def test_a_machine_that_slept_goes_on_as_if_nothing_had_been(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    you.configure(downloads={"idleTimeoutMs": 1000})
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.always(
        FILE,
        lambda request: replace(
            friend.honest(request), piece_bytes=16 * KIB, piece_pause_seconds=0.01
        ),
    )
    you.drop("Film.torrent", friend.url, ITEM)
    process = you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 0)
    process.send_signal(signal.SIGSTOP)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.5)  # longer than the idle timeout, as a night would be
    process.send_signal(signal.SIGCONT)
    row = you.row(1, S.COMPLETED)
    assert row.attempts <= 2
    assert you.file().read_bytes() == BODY
    assert you.stop() == 0


@pytest.mark.fault("C18")
def test_a_thousand_overdue_downloads_of_a_busy_friend_cost_one_question(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    number = you.plant("Film.torrent", friend.url, ITEM, size=len(BODY))
    with contextlib.closing(sqlite3.connect(you.state / "jack.db")) as raw:
        columns = [row[1] for row in raw.execute("PRAGMA table_info(downloads)")]
        changed = {"id": "i + 1", "dest_path": "dest_path || i", "status": "'waiting'"}
        changed |= {"wait_reason": "'retry'", "next_attempt_at": "'2020-01-01T00:00:00.000Z'"}
        values = ", ".join(changed.get(column, column) for column in columns)
        raw.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
            f" INSERT INTO downloads SELECT {values} FROM downloads, n WHERE id = ?",
            (number,),
        )
        raw.commit()
    friend.always("/handshake", Answer(503, {"Retry-After": "3600"}))
    friend.always(FILE, Answer(503, {"Retry-After": "3600"}))
    you.start()
    eventually(
        lambda: all(row.next_attempt_at for row in you.rows() if row.id > 1),
        PATIENCE_SECONDS,
        "a time for each of them",
    )
    assert len(you.rows()) == 1001
    assert len(friend.requests) <= 1 + 3
    assert len(you.log.splitlines()) < 30
    assert you.stop() == 0


@pytest.mark.fault("C19")
def test_parts_without_their_database_are_named_left_alone_and_fetched_anew_on_request(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    friend.offer(ITEM, BODY, etag='"v1"')
    friend.script(FILE, paused(friend, 700 * KIB))
    stub = you.drop("Film.torrent", friend.url, ITEM)
    you.start()
    you.row(1, S.DOWNLOADING, lambda row: row.downloaded_bytes > 700 * KIB - CHECKPOINT_BYTES)
    you.kill()
    shutil.rmtree(you.state)
    stub.unlink()
    before = you.part().read_bytes()
    you.start()
    assert "1 .part files" in you.log
    assert you.part().name in you.log
    examined = you.run("doctor").stdout
    assert f".part files that belong to no download: {you.part().name}" in examined
    assert you.part().read_bytes() == before
    you.drop("Film.torrent", friend.url, ITEM)
    row = you.row(1, S.COMPLETED)
    assert row.dest_path.read_bytes() == BODY
    assert row.dest_path != you.file(), "whose the .part of that name is, nobody knows"
    assert you.part().read_bytes() == before
    assert you.stop() == 0


def as_of_schema(version: int, path: Path) -> None:
    """Write the downloads of a database down as a jack of that schema would have."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        rows = [dict(row) for row in raw.execute("SELECT * FROM downloads")]
    for name in ("jack.db", "jack.db-wal", "jack.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    old = SqliteDatabase(str(path), pragmas={"journal_mode": "wal"})
    migrate(old, MIGRATIONS[:version])
    known = {column[1] for column in old.execute_sql("PRAGMA table_info(downloads)")}
    for row in rows:
        kept = {name: value for name, value in row.items() if name in known}
        names, marks = ", ".join(kept), ", ".join("?" * len(kept))
        old.execute_sql(f"INSERT INTO downloads ({names}) VALUES ({marks})", (*kept.values(),))
    old.close()


@pytest.mark.fault("C17")
def test_a_download_half_done_under_the_first_schema_goes_on_from_its_mark(
    you: HurtJack, friend: ScriptedPeer
) -> None:
    offset = 300 * KIB
    friend.offer(ITEM, BODY, etag='"v1"')
    number = you.plant("Film.torrent", friend.url, ITEM, size=len(BODY), offset=offset, etag='"v1"')
    you.part().write_bytes(BODY[:offset])
    as_of_schema(3, you.state / "jack.db")
    you.start()
    you.row(number, S.COMPLETED)
    assert you.file().read_bytes() == BODY
    assert [request.range for request in friend.requests_to(FILE)] == [f"bytes={offset}-"]
    assert (you.state / "jack.db.schema-3").exists()
    assert you.stop() == 0
