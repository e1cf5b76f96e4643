"""The words every room uses. Plain values: no behaviour that needs a disk, a clock or a network."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

MOVIES = 2000
"""Torznab category of a film; Radarr takes it."""
TV = 5000
"""Torznab category of an episode; Sonarr takes it."""


class DownloadStatus(str, enum.Enum):
    """Where a download stands."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    WAITING = "waiting"
    COMPLETED = "completed"
    IMPORT_QUEUED = "import_queued"
    IMPORTED = "imported"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = frozenset({DownloadStatus.QUEUED, DownloadStatus.DOWNLOADING, DownloadStatus.WAITING})
"""States in which a download still owns its destination and its `.part`."""
FINISHED = frozenset(
    {DownloadStatus.COMPLETED, DownloadStatus.IMPORT_QUEUED, DownloadStatus.IMPORTED}
)
"""States in which its file has arrived."""


class WaitReason(str, enum.Enum):
    """Why a download is in `waiting`, as a class a program can act on; the sentence is
    `Download.error`.
    """

    RETRY = "retry"
    PROTOCOL = "protocol"
    COOLDOWN = "cooldown"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    SPACE = "space"
    STORAGE = "storage"
    BLOCKED = "blocked"
    UNKNOWN_PEER = "unknown_peer"


def connector_id(address: str) -> str:
    """How stubs, rows and release ids name a peer, a server or a folder: 8 hex digits of sha256
    over its URL or path exactly as configured.
    """
    return hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:8]


@dataclass(frozen=True)
class Stub:
    """What a stub `.torrent` says: which peer has it, and under which item id (may hold colons)."""

    peer_id: str
    item_id: str

    @property
    def guid(self) -> str:
        """What jack's indexer gives the release as guid, and an *arr's history knows it by."""
        return f"{self.peer_id}:{self.item_id}"


@dataclass(frozen=True)
class Release:
    """One file a peer offers. `size` is bytes, 0 when the peer does not know it."""

    id: str
    title: str
    filename: str
    category: int
    size: int
    imdb_id: str | None = None
    tmdb_id: int | None = None
    tvdb_id: int | None = None
    series_title: str | None = None
    season: int | None = None
    episode: int | None = None
    publish_date: str | None = None
    air_date: date | None = None
    """The day an episode of a daily show is known by."""
    absolute_episode: int | None = None
    """An episode's number counted through all seasons, as anime has it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Optional wire fields jack only passes on (quality, languages, releaseGroup, edition,
    mediaInfo).
    """


@dataclass(frozen=True)
class Validator:
    """What identifies one version of a remote file (RFC 9110 section 8.8), as the peer sent it."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Expectation:
    """How many bytes a file must have, and who says so: "content_length", "content_range" or
    "release_size". `mismatch`: the release says otherwise."""

    size: int
    source: str
    mismatch: bool


@dataclass(frozen=True)
class Download:
    """One row of the downloads table, as it was when read. Sizes in bytes, times in aware UTC."""

    id: int
    status: DownloadStatus
    torrent_filename: str
    stub_fingerprint: str
    stub_present: bool
    peer_id: str
    peer_name: str
    item_id: str
    filename: str
    dest_path: Path
    category: int
    release_size: int
    expected_bytes: int | None
    expected_bytes_source: str | None
    expected_bytes_mismatch: bool
    downloaded_bytes: int
    best_bytes: int
    validator: Validator
    attempts: int
    fruitless_attempts: int
    next_attempt_at: datetime | None
    wait_reason: WaitReason | None
    blocked_by: int | None
    error: str | None
    started_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    info_hash: str | None = None
    """Of the stub, lower-case hex: how the *arr's history knows what it was grabbed for."""
    finished_inode: int | None = None
    """Of the file as it was finished: what stands there later may be somebody else's."""
    restarts: int = 0
    """How often all bytes were given up since a person last said retry."""

    part_inode: int | None = None
    """Of the `.part` this download made, on record before its first byte: only that file is
    written, cut or removed. None when there is none, and in rows of a jack before schema 5."""
    moved_part: Path | None = None
    """Where the `.part` has stayed when the destination got another name meanwhile."""
    announced_bytes: int | None = None
    """What stub and metadata have said at the grab; the larger one."""
    paused_at: datetime | None = None
    """Since when a person wants it to rest; it keeps its `.part` and its place."""
    import_asked: str | None = None
    """The server that was asked last to import the file; `next_attempt_at` says until when its
    history is waited for."""

    @property
    def part_path(self) -> Path:
        """Where the bytes grow: beside the destination, so that the final rename stays on one file
        system.
        """
        return self.moved_part or self.dest_path.with_name(self.dest_path.name + ".part")

    @property
    def is_live(self) -> bool:
        """Whether the download still owns its destination, or waits for it."""
        return self.status in LIVE

    @property
    def stub(self) -> Stub:
        return Stub(self.peer_id, self.item_id)


class Overview(list[Download]):
    """The downloads worth a look; `more` have ended and are left out."""

    more: int = 0
