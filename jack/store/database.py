"""Opening jack.db: one file, WAL, every commit on disk before it returns, one connection per
thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import peewee

from jack.errors import Shortage, StateError, StorageError
from jack.store import models
from jack.store.group import GroupCommit
from jack.store.migrations import check_version, create, migrate
from jack.store.private import open_private, whose
from jack.store.upgrade import keep_a_copy
from jack.support.waits import BUSY_TIMEOUT_SECONDS

FILE_NAME = "jack.db"

T = TypeVar("T")


class Database:
    """The open database. Threads get a connection of their own on first use; `connection` closes it
    again.
    """

    def __init__(self, folder: Path, *, may_migrate: bool = True) -> None:
        """Open `<folder>/jack.db` and bring its schema up to date, or (`may_migrate` False) only
        check it.

        Raises StateError with the remedy when that is impossible.
        """
        self.path = folder / FILE_NAME
        # Two threads that meet in SQLite would wait in its busy handler: asleep, and unfairly.
        self._writing = threading.RLock()
        self._group = GroupCommit(self._writing, self.transaction)
        self._kept: list[sqlite3.Connection] = []
        self.raw = peewee.SqliteDatabase(
            # No connection makes it: a file that was taken away is not replaced by an empty one.
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            pragmas={
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "journal_size_limit": 16 * 1024 * 1024,
                "cache_size": -512,  # KiB for each thread; the system caches the file anyway
            },
            timeout=BUSY_TIMEOUT_SECONDS,
            check_same_thread=False,  # only `close` reaches over, when the threads have ended
        )
        self.raw.bind((*models.TABLES, models.SweptRow), bind_refs=False, bind_backrefs=False)
        try:
            self._create_private()
            self.raw.connect(reuse_if_open=True)
            if may_migrate:
                create(self.raw)
                keep_a_copy(self.raw, self.path)
                migrate(self.raw)
            else:
                check_version(self.raw)
        except StateError:
            self.raw.close()
            raise
        except (peewee.PeeweeException, sqlite3.Error, OSError) as error:
            with contextlib.suppress(peewee.PeeweeException, sqlite3.Error):
                self.raw.close()
            raise StateError(f"cannot use {self.path}: {self._explained(error)}") from error

    @classmethod
    @contextlib.contextmanager
    def existing(cls, folder: Path) -> Iterator[Database | None]:
        """The database for a look from outside, whether a daemon runs or not; None when there is
        none yet.

        Nothing is created or migrated: that is the daemon's business.
        """
        if not (folder / FILE_NAME).exists() or _has_no_tables(folder / FILE_NAME):
            yield None
            return
        database = cls(folder, may_migrate=False)
        try:
            yield database
        finally:
            database.close()

    def _create_private(self) -> None:
        """Titles and peers are nobody else's business: the file is 0600 from its first byte on."""
        os.close(open_private(self.path))
        for log in self._logs:
            if log.exists():
                os.close(open_private(log))

    @property
    def files(self) -> list[Path]:
        """Everything SQLite keeps, whether it is there now or not."""
        return [self.path, *self._logs]

    @property
    def _logs(self) -> list[Path]:
        return [self.path.with_name(f"{FILE_NAME}-{suffix}") for suffix in ("wal", "shm")]

    def _explained(self, error: Exception) -> str:
        """Root's leftovers of one `sudo` run look like a broken disk otherwise."""
        uid = os.getuid()
        others = whose([self.path.parent, *self.files])
        if others:
            return f"{error}; jack runs as uid {uid}, but {others}: change the owner to uid {uid}"
        return f"{error}; jack runs as uid {uid} and needs to write that file and its folder"

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        """A connection for the calling thread while the block runs; blocks may nest.

        Without it a thread's connection would stay open until the thread's end.
        """
        with translated():
            opened = self.raw.connect(reuse_if_open=True)
        try:
            yield
        finally:
            if opened:
                self.raw.close()

    def keep_connection(self) -> None:
        """Give the calling thread, one of a pool, a connection that stays open until `close`:
        opening one costs as much as ten statements.
        """
        with translated():
            if self.raw.connect(reuse_if_open=True):
                connection: Any = self.raw.connection
                self._kept.append(connection())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A short write transaction that takes its lock at once: a later upgrade could fail as
        busy.
        """
        with self._writing, translated(), self.raw.atomic("IMMEDIATE"):
            yield

    def commit(self, action: Callable[[], T]) -> T:
        """The result of `action`, SQL and nothing else, when what it wrote is on the disk. Threads
        that come at the same moment share one transaction; inside one it is simply part of that.
        """
        if self.raw.in_transaction():
            return action()
        return self._group.commit(action)

    def change(self, query: Any) -> int:
        """One UPDATE, INSERT or DELETE (what has the `sql()` of peewee's queries), committed like
        that; how many rows it met.
        """
        text, values = query.sql()
        if self.raw.in_transaction():
            return self.execute(text, values).rowcount
        return self._group.commit(
            lambda: self.execute(text, values).rowcount, is_one_statement=True
        )

    def rows(self, query: Any) -> Iterator[tuple[Any, ...]]:
        """What a SELECT of peewee's finds, as its fields read it, while it is asked for."""
        with translated():
            yield from query.tuples().iterator(self.raw)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement on this thread's connection, opened when there is none. Straight to
        SQLite: what peewee does around each costs as much as a small statement itself.
        """
        with translated():
            connection: Any = self.raw.connection
            cursor: sqlite3.Cursor = connection().execute(statement, values)
            return cursor

    def close(self) -> None:
        """Close this thread's connection and those that were kept for threads of pools."""
        self.raw.close()
        while self._kept:
            self._kept.pop().close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Database trouble (full disk, locked for long) is a trouble of this machine's storage, worth
    another try.
    """
    try:
        yield
    except (peewee.PeeweeException, sqlite3.Error) as error:
        # SQLite's words when it gets no descriptor or no memory, which passes sooner than the rest.
        is_short = any(words in str(error) for words in ("unable to open", "out of memory"))
        kind = Shortage if is_short else StorageError
        raise kind(f"the database did not take a record: {error}") from error


def _has_no_tables(path: Path) -> bool:
    """A first start creates the file a moment before everything in it."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path)) as connection,
    ):
        return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    return False
