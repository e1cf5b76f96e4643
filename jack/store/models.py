"""The tables: the one description of the schema. `migrations` brings an older file to the same."""

from __future__ import annotations

import enum
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from peewee import (
    SQL,
    AutoField,
    BooleanField,
    Check,
    CompositeKey,
    Field,
    IntegerField,
    Model,
    TextField,
)

from jack.model import DownloadStatus, WaitReason


class _Text(Field):
    """A column of text that stands for something else, or for nothing."""

    field_type = "TEXT"

    def db_value(self, value: Any) -> Any:
        return None if value is None else self.write(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else self.read(value)

    def write(self, value: Any) -> str | bytes:
        return str(value)

    def read(self, value: Any) -> Any:
        return value


class NameField(_Text):
    """File names and paths in any bytes: readable text where they are UTF-8, a blob where not."""

    def write(self, value: str | os.PathLike[str]) -> str | bytes:
        raw = os.fsencode(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    def read(self, value: str | bytes) -> str | Path:
        return os.fsdecode(value)


class PathField(NameField):
    """Paths, stored like names."""

    def read(self, value: str | bytes) -> Path:
        return Path(os.fsdecode(value))


class TimeField(_Text):
    """Aware UTC times as ISO 8601 text with milliseconds, so that text order is time order."""

    def write(self, value: datetime) -> str:
        utc = value if value.tzinfo is timezone.utc else value.astimezone(timezone.utc)
        return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    def read(self, value: str) -> datetime:
        return datetime.fromisoformat(value.removesuffix("Z") + "+00:00")


class EnumField(_Text):
    """Members of one enum, by their values."""

    def __init__(self, kind: type[enum.Enum], **options: Any) -> None:
        super().__init__(**options)
        self._kind = kind

    def write(self, value: Any) -> str:
        return str(self._kind(value).value)

    def read(self, value: str) -> enum.Enum:
        return self._kind(value)


class InodeField(_Text):
    """Inodes as text: those of some file systems need all 64 bits, SQLite's integers are signed."""

    def read(self, value: str) -> int:
        return int(value)


class JsonField(_Text):
    """What JSON can say, readable."""

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def read(self, value: str) -> Any:
        return json.loads(value)


def _is_one_of(column: str, values: Any) -> str:
    return f"{column} IN ({', '.join(repr(each.value) for each in values)})"


_AUTOINCREMENT: list[Any] = [SQL("AUTOINCREMENT")]
_OF_DOWNLOAD: list[Any] = [SQL("REFERENCES downloads (id)")]
_ZERO: list[Any] = [SQL("DEFAULT 0")]


class DownloadRow(Model):
    """One accepted stub; the field notes stand at `jack.model.Download`."""

    id = AutoField(constraints=_AUTOINCREMENT)
    status = EnumField(DownloadStatus, constraints=[Check(_is_one_of("status", DownloadStatus))])
    torrent_filename = NameField()
    stub_fingerprint = TextField()
    stub_present = BooleanField(default=True)
    peer_id = TextField()
    peer_name = TextField()
    item_id = TextField()
    filename = TextField()
    dest_path = PathField()
    category = IntegerField()
    release_size = IntegerField(constraints=[Check("release_size >= 0")])
    release_json = JsonField()
    expected_bytes = IntegerField(null=True, constraints=[Check("expected_bytes > 0")])
    expected_bytes_source = TextField(null=True)
    expected_bytes_mismatch = BooleanField(default=False)
    downloaded_bytes = IntegerField(default=0, constraints=[Check("downloaded_bytes >= 0")])
    best_bytes = IntegerField(default=0)
    etag = TextField(null=True)
    last_modified = TextField(null=True)
    attempts = IntegerField(default=0)
    fruitless_attempts = IntegerField(default=0)
    restarts = IntegerField(default=0, constraints=_ZERO)
    next_attempt_at = TimeField(null=True)
    wait_reason = EnumField(WaitReason, null=True)
    blocked_by = IntegerField(null=True)
    error = TextField(null=True)
    paused_at = TimeField(null=True)
    started_at = TimeField()
    updated_at = TimeField()
    completed_at = TimeField(null=True)
    info_hash = TextField(null=True)
    finished_inode = InodeField(null=True)
    part_inode = InodeField(null=True)
    moved_part = PathField(null=True)
    announced_bytes = IntegerField(null=True)
    import_asked = TextField(null=True)

    class Meta:
        table_name = "downloads"


class HandoverRow(Model):
    """One finished download that one Radarr or Sonarr has to be told about."""

    id = AutoField(constraints=_AUTOINCREMENT)
    download_id = IntegerField(constraints=_OF_DOWNLOAD)
    server = TextField()
    command_id = IntegerField(null=True)
    state = TextField(
        default="open",
        constraints=[Check("state IN ('open', 'imported', 'rejected', 'lost', 'elsewhere')")],
    )
    asked_at = TimeField(null=True)
    asks = IntegerField(default=0)
    claimed = BooleanField(default=False)
    denied = BooleanField(default=False)

    class Meta:
        table_name = "handovers"
        constraints: ClassVar = [SQL("UNIQUE (download_id, server)")]


class NewestRecord(Model):
    """The highest history id that is known of a server, kept up to date while jack follows it."""

    server = TextField(primary_key=True)
    record_id = IntegerField()

    class Meta:
        table_name = "history_marks"
        without_rowid = True


class DeliveryMark(Model):
    """What that was for each server before the final name of a download's file appeared."""

    download_id = IntegerField()
    server = TextField()
    record_id = IntegerField()

    class Meta:
        table_name = "delivery_marks"
        primary_key = CompositeKey("download_id", "server")
        without_rowid = True


class ImportProof(Model):
    """A record of a server's history and the only download whose import it proves."""

    server = TextField()
    record_id = IntegerField()
    download_id = IntegerField()
    library = PathField(null=True)

    class Meta:
        table_name = "import_proofs"
        primary_key = CompositeKey("server", "record_id")
        without_rowid = True


class FactRow(Model):
    """Something small to remember over a restart."""

    name = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "facts"


class SharedRow(Model):
    """A release we share; the field notes stand at `jack.store.releases.ReleaseRow`."""

    id = AutoField(constraints=_AUTOINCREMENT)
    release_id = TextField(constraints=[SQL("UNIQUE")])
    source = TextField()
    owner = IntegerField()
    category = IntegerField()
    imdb = TextField(null=True)
    tmdb = IntegerField(null=True)
    tvdb = IntegerField(null=True)
    season = IntegerField(null=True)
    episode = IntegerField(null=True)
    published = TextField(null=True)
    path = NameField()
    size = IntegerField()
    body = TextField()
    generation = IntegerField()

    class Meta:
        table_name = "releases"


class SourceRow(Model):
    """How far a source of releases was read; see `jack.store.releases.SourceState`."""

    source = TextField(primary_key=True)
    generation = IntegerField(default=0)
    roots = JsonField(default=())
    synced_at = TimeField(null=True)
    history_id = IntegerField(null=True)
    history_date = TextField(null=True)

    class Meta:
        table_name = "release_sources"


class SweptRow(Model):
    """A release that the running pass over a source has seen: a table of its connection."""

    release_id = TextField(primary_key=True)

    class Meta:
        table_name = "swept"


class PictureRow(Model):
    """How large the picture of a shared file is; see `jack.store.pictures.Picture`."""

    source = TextField()
    path = TextField()
    size = IntegerField()
    modified_ns = IntegerField()
    width = IntegerField()
    height = IntegerField()

    class Meta:
        table_name = "pictures"
        primary_key = CompositeKey("source", "path")
        without_rowid = True


class FailureRow(Model):
    """A download that failed for good, or a stub that was refused before it was one."""

    id = AutoField(constraints=_AUTOINCREMENT)
    download_id = IntegerField(null=True, constraints=_OF_DOWNLOAD)
    peer_id = TextField()
    item_id = TextField()
    info_hash = TextField(null=True)
    failed_at = TimeField()

    class Meta:
        table_name = "failures"


class FailureReportRow(Model):
    """A server that may still have to hear of a failure."""

    failure_id = IntegerField(constraints=[SQL("REFERENCES failures (id)")])
    server = TextField()
    settled = BooleanField(default=False, constraints=_ZERO)

    class Meta:
        table_name = "failure_reports"
        primary_key = CompositeKey("failure_id", "server")


class ReportedGrab(Model):
    """A grab on a server's history that was reported as failed: never again."""

    server = TextField()
    grabbed_id = IntegerField()

    class Meta:
        table_name = "reported_grabs"
        primary_key = CompositeKey("server", "grabbed_id")


TABLES: tuple[type[Any], ...] = (
    DownloadRow,
    HandoverRow,
    NewestRecord,
    DeliveryMark,
    ImportProof,
    FactRow,
    SharedRow,
    SourceRow,
    PictureRow,
    FailureRow,
    FailureReportRow,
    ReportedGrab,
)


def _index(model: Any, name: str, *columns: str, where: str = "", unique: bool = False) -> None:
    condition = SQL(where) if where else None
    model.add_index(model.index(*columns, name=name, where=condition, unique=unique))


_index(DownloadRow, "downloads_status", "status")
_index(DownloadRow, "downloads_updated_at", "updated_at DESC", "id DESC")
_index(DownloadRow, "downloads_torrent_filename", "torrent_filename")
_index(DownloadRow, "downloads_dest_path", "dest_path")
_index(DownloadRow, "downloads_stub_present", "status", where="stub_present")
_index(DownloadRow, "downloads_moved_part", "moved_part", where="moved_part IS NOT NULL")
_index(DownloadRow, "downloads_part_inode", "part_inode", where="part_inode IS NOT NULL")
_index(
    DownloadRow,
    "downloads_one_owner_per_destination",
    "dest_path",
    where="status IN ('queued', 'downloading', 'waiting') AND blocked_by IS NULL",
    unique=True,
)
_index(HandoverRow, "handovers_open", "download_id", where="state = 'open'")
_index(ImportProof, "import_proofs_download", "download_id")
_index(FailureRow, "failures_release", "peer_id", "item_id", "failed_at")
_index(FailureReportRow, "failure_reports_open", "failure_id", where="NOT settled")
_index(SharedRow, "releases_imdb", "imdb", where="imdb IS NOT NULL")
_index(SharedRow, "releases_tmdb", "tmdb", "category", where="tmdb IS NOT NULL")
_index(
    SharedRow,
    "releases_tvdb",
    *("tvdb", "category", "season", "episode"),
    where="tvdb IS NOT NULL",
)
_index(SharedRow, "releases_owner", "source", "owner")
_index(SharedRow, "releases_newest", "published DESC", "id")
