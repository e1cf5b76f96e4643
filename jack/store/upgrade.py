"""A copy of the database as it was, before a newer jack changes its schema."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

from peewee import SqliteDatabase

from jack.errors import StorageError
from jack.store.migrations import MIGRATIONS
from jack.store.private import open_private
from jack.support.files import fsync_directory

log = logging.getLogger(__name__)


def copy_of(path: Path, version: int) -> Path:
    """Where the database of that schema is kept."""
    return path.with_name(f"{path.name}.schema-{version}")


def keep_a_copy(database: SqliteDatabase, path: Path) -> None:
    """When the schema is older than this jack's: copy it beside, by SQLite's own backup, for a copy
    of the file alone would lack what is still in the write-ahead log.

    A disk without room for it is warned about, and does not stop the upgrade, which is one
    transaction.
    """
    execute: Any = database.execute_sql
    version = int(execute("PRAGMA user_version").fetchone()[0])
    if not 0 < version < len(MIGRATIONS):
        return
    target = copy_of(path, version)
    log.info(
        "%s is brought from schema %d to %d, which takes a while when it is large; the old one is"
        " kept as %s",
        path,
        version,
        len(MIGRATIONS),
        target.name,
    )
    connection: Any = database.connection
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        _copy(connection(), temporary)
        os.replace(temporary, target)
        fsync_directory(target.parent)
    except (sqlite3.Error, OSError, StorageError) as error:
        log.warning("the old database could not be kept (%s); the upgrade goes on", error)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    descriptor = open_private(target, os.O_EXCL, os.O_NOFOLLOW)
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
