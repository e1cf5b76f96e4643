"""The downloads table as values: rows in and out, and the guarded update under every transition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jack.model import Download, DownloadStatus, Expectation, Validator, WaitReason
from jack.store.database import Database, translated
from jack.store.models import name_of, time_of, time_value
from jack.support.clock import Clock

_COLUMNS = (
    *(field.name for field in dataclasses.fields(Download) if field.name != "validator"),
    "etag",
    "last_modified",
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM downloads"  # noqa: S608  (names of our own fields)


class Sql:
    """A piece of SQL where a plain value would stand."""

    def __init__(self, text: str, *values: Any) -> None:
        self.text = text
        self.values = values


class DownloadRows:
    """What a repository of downloads is made of. Raises StorageError like all of the room."""

    def __init__(self, database: Database, clock: Clock, clean: Callable[[str], str] = str) -> None:
        """`clean` takes secrets out of sentences: a peer may send our own key back to us."""
        self._database = database
        self._clock = clock
        self._clean = clean

    def _update(self, download_id: int, sources: Iterable[DownloadStatus], **changes: Any) -> bool:
        """The guarded transition: nothing happens unless the row is in one of `sources`."""
        allowed = [status.value for status in sources]
        where = f"id = ? AND status IN ({', '.join('?' * len(allowed))})"
        values = (download_id, *allowed)
        return bool(self._change(where, values, updated_at=self._clock.now(), **changes))

    def _change(self, where: str, where_values: Sequence[Any], **changes: Any) -> int:
        """One UPDATE, durable when it returns how many rows it met.

        Written out instead of built by peewee: building takes longer than SQLite needs to run it,
        and some ten of these belong to every download.
        """
        if isinstance(changes.get("error"), str):
            changes["error"] = self._clean(changes["error"])
        assignments, values = [], list[Any]()
        for column, value in changes.items():
            sql = value if isinstance(value, Sql) else Sql("?", value)
            assignments.append(f"{column} = {sql.text}")
            values += [_plain(each) for each in sql.values]
        statement = f"UPDATE downloads SET {', '.join(assignments)} WHERE {where}"  # noqa: S608
        values += where_values
        with translated():
            return self._database.change(statement, values)

    def _insert(self, columns: Mapping[str, Any]) -> int:
        """One new row, inside a transaction; returns its id."""
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO downloads ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        return int(self._execute(statement, *columns.values()).lastrowid)

    def _execute(self, statement: str, *values: Any) -> Any:
        with translated():
            return self._database.execute(statement, values)

    def _first(self, where: str, *values: Any) -> Download | None:
        row = self._execute(f"{_SELECT} WHERE {where} LIMIT 1", *values).fetchone()
        return None if row is None else _download(row)

    def _list(self, where: str, *values: Any) -> list[Download]:
        return list(self._each(where, *values))

    def _each(self, where: str, *values: Any) -> Iterator[Download]:
        with translated():
            for row in self._execute(f"{_SELECT} WHERE {where}", *values):
                yield _download(row)


def _plain(value: Any) -> Any:
    return time_value(value) if isinstance(value, datetime) else value


def _download(row: Sequence[Any]) -> Download:
    """The other direction of `create`: columns in the order of `_COLUMNS`."""
    values = dict(zip(_COLUMNS, row, strict=True))
    etag, last_modified = values.pop("etag"), values.pop("last_modified")
    reason, moved_part = values["wait_reason"], values["moved_part"]
    for name in ("next_attempt_at", "started_at", "updated_at", "completed_at"):
        values[name] = time_of(values[name])
    values["torrent_filename"] = name_of(values["torrent_filename"])
    values["dest_path"] = Path(name_of(values["dest_path"]))
    values["status"] = DownloadStatus(values["status"])
    values["wait_reason"] = WaitReason(reason) if reason else None
    # Text in the table: inodes of some file systems need all 64 bits, SQLite's integers are signed.
    for name in ("finished_inode", "part_inode"):
        values[name] = None if values[name] is None else int(values[name])
    values["moved_part"] = None if moved_part is None else Path(name_of(moved_part))
    for name in ("stub_present", "expected_bytes_mismatch"):
        values[name] = bool(values[name])
    return Download(validator=Validator(etag, last_modified), **values)


def expected_columns(expectation: Expectation | None) -> dict[str, Any]:
    if expectation is None:
        return {}
    return {
        "expected_bytes": expectation.size,
        "expected_bytes_source": expectation.source,
        "expected_bytes_mismatch": expectation.mismatch,
    }


def validator_columns(validator: Validator | None) -> dict[str, str | None]:
    if validator is None:
        return {}
    return {"etag": validator.etag, "last_modified": validator.last_modified}
