"""The tables as peewee sees them. `migrations` creates and changes them; nothing else does."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from peewee import (
    AutoField,
    BooleanField,
    CompositeKey,
    Field,
    IntegerField,
    Model,
    TextField,
)


def name_value(value: str | os.PathLike[str]) -> str | bytes:
    """A file name or path in any bytes: readable text where it is UTF-8, a blob where it is not."""
    raw = os.fsencode(value)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def name_of(value: str | bytes) -> str:
    """The way back from `name_value`."""
    return os.fsdecode(value) if isinstance(value, bytes) else value


def time_value(value: datetime | None) -> str | None:
    """Aware UTC time as ISO 8601 text with milliseconds, so that text order is time order."""
    if value is None:
        return None
    utc = value if value.tzinfo is timezone.utc else value.astimezone(timezone.utc)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def time_of(value: str | None) -> datetime | None:
    """The way back from `time_value`."""
    return None if value is None else datetime.fromisoformat(value.removesuffix("Z") + "+00:00")


class NameField(Field):
    """A column of names; see `name_value`."""

    field_type = "TEXT"

    def db_value(self, value: str | os.PathLike[str] | None) -> str | bytes | None:
        return None if value is None else name_value(value)

    def python_value(self, value: str | bytes | None) -> str | None:
        return None if value is None else name_of(value)


class TimeField(Field):
    """A column of times; see `time_value`."""

    field_type = "TEXT"

    def db_value(self, value: datetime | None) -> str | None:
        return time_value(value)

    def python_value(self, value: str | None) -> datetime | None:
        return time_of(value)


class DownloadRow(Model):
    """One accepted stub; the field notes stand at `jack.model.Download`."""

    id = AutoField()
    status = TextField()
    torrent_filename = NameField()
    stub_fingerprint = TextField()
    stub_present = BooleanField(default=True)
    peer_id = TextField()
    peer_name = TextField()
    item_id = TextField()
    filename = TextField()
    dest_path = NameField()
    category = IntegerField()
    release_size = IntegerField()
    release_json = TextField()
    expected_bytes = IntegerField(null=True)
    expected_bytes_source = TextField(null=True)
    expected_bytes_mismatch = BooleanField(default=False)
    downloaded_bytes = IntegerField(default=0)
    best_bytes = IntegerField(default=0)
    etag = TextField(null=True)
    last_modified = TextField(null=True)
    attempts = IntegerField(default=0)
    fruitless_attempts = IntegerField(default=0)
    restarts = IntegerField(default=0)
    next_attempt_at = TimeField(null=True)
    wait_reason = TextField(null=True)
    blocked_by = IntegerField(null=True)
    error = TextField(null=True)
    requested = TextField(null=True)
    started_at = TimeField()
    updated_at = TimeField()
    completed_at = TimeField(null=True)
    info_hash = TextField(null=True)
    finished_inode = TextField(null=True)
    part_inode = TextField(null=True)
    moved_part = NameField(null=True)
    announced_bytes = IntegerField(null=True)
    import_asked = TextField(null=True)

    class Meta:
        table_name = "downloads"


class HandoverRow(Model):
    """One finished download that one Radarr or Sonarr has to be told about."""

    id = AutoField()
    download_id = IntegerField()
    server = TextField()
    command_id = IntegerField(null=True)
    accepted_at = TimeField(null=True)
    state = TextField(default="open")
    asked_at = TimeField(null=True)
    asks = IntegerField(default=0)
    claimed = BooleanField(default=False)
    denied = BooleanField(default=False)

    class Meta:
        table_name = "handovers"


class HistoryMark(Model):
    """The highest history id that is known of a server, kept up to date while jack follows it."""

    server = TextField(primary_key=True)
    record_id = IntegerField()

    class Meta:
        table_name = "history_marks"


class DeliveryMark(Model):
    """What that was for each server before the final name of a download's file appeared."""

    download_id = IntegerField()
    server = TextField()
    record_id = IntegerField()

    class Meta:
        table_name = "delivery_marks"
        primary_key = CompositeKey("download_id", "server")


class ImportProof(Model):
    """A record of a server's history and the only download whose import it proves."""

    server = TextField()
    record_id = IntegerField()
    download_id = IntegerField()
    library = NameField(null=True)

    class Meta:
        table_name = "import_proofs"
        primary_key = CompositeKey("server", "record_id")


TABLES: tuple[type[Any], ...] = (
    DownloadRow,
    HandoverRow,
    HistoryMark,
    DeliveryMark,
    ImportProof,
)
