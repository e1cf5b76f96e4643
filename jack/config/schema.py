"""The configuration as the program sees it, and how each value is written in the file.

The keys of a block are the fields of its dataclass. To add one, add a field here, and a line to
jack.yaml.example; a test asks for it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from jack.config import checks, kinds
from jack.config.blocks import block, key, list_of
from jack.config.secret import Secret, headers, own_key, secret
from jack.config.urls import port_of, same_place, url
from jack.model import connector_id

DEFAULT_PORT = 5225
"""Where the HTTP side listens when internalUrl names no port."""


class WatchMode(str, enum.Enum):
    """How watchPath is followed: by file events, by looking regularly, or by what works there."""

    AUTO = "auto"
    EVENTS = "events"
    POLL = "poll"


class ServerType(str, enum.Enum):
    """Which program a server is."""

    RADARR = "radarr"
    SONARR = "sonarr"


def _no_headers() -> Mapping[str, Secret]:
    return MappingProxyType({})


@dataclass(frozen=True)
class PathMapping:
    """One folder under two names: as jack sees it, and as the *arr does (maybe on Windows)."""

    jack: str = field(metadata=key("jack", kinds.absolute_path_text))
    arr: str = field(metadata=key("arr", kinds.foreign_path_text))


@dataclass(frozen=True)
class AutoregisterConfig:
    """Whether jack adds itself as an indexer; the *arrs take a priority from 1 (first) to 50."""

    enable: bool = field(default=True, metadata=key("enable", kinds.boolean))
    priority: int = field(default=1, metadata=key("priority", kinds.integer(1, 50)))


@dataclass(frozen=True)
class JackConfig:
    """jack itself. The HTTP side runs when `api_key` is set."""

    internal_url: str | None = field(
        metadata=key("internalUrl", url, default=None, formerly=("baseUrl",))
    )
    api_key: Secret | None = field(metadata=key("apiKey", own_key, default=None))
    state_path: Path = field(metadata=key("statePath", kinds.absolute_path, default=None))
    proxies: tuple[kinds.Network, ...] = field(
        default=(), metadata=key("proxies", list_of(kinds.network))
    )

    @property
    def port(self) -> int:
        """Where the HTTP side listens."""
        return (self.internal_url and port_of(self.internal_url)) or DEFAULT_PORT


@dataclass(frozen=True)
class DownloadsConfig:
    """Where downloads go and how hard jack tries. Seconds here are milliseconds in the file."""

    watch_path: Path = field(metadata=key("watchPath", kinds.absolute_path))
    completed_path: Path = field(metadata=key("completedPath", kinds.absolute_path))
    max_concurrent_downloads: int = field(
        default=3, metadata=key("maxConcurrentDownloads", kinds.integer(1, 64))
    )
    max_download_attempts: int = field(
        default=13, metadata=key("maxDownloadAttempts", kinds.integer(1, 1_000_000))
    )
    retry_base_delay_seconds: float = field(
        default=1.0, metadata=key("retryBaseDelayMs", kinds.duration(0))
    )
    retry_max_delay_seconds: float = field(
        default=1800.0, metadata=key("retryMaxDelayMs", kinds.duration(0))
    )
    idle_timeout_seconds: float = field(
        default=60.0, metadata=key("idleTimeoutMs", kinds.duration(100))
    )
    checkpoint_bytes: int = field(
        default=64 * 1024**2, metadata=key("checkpointBytes", kinds.size(1024))
    )
    checkpoint_interval_seconds: float = field(
        default=10.0, metadata=key("checkpointIntervalMs", kinds.duration(100))
    )
    min_free_bytes: int = field(default=1024**3, metadata=key("minFreeBytes", kinds.size(0)))
    max_file_bytes: int = field(default=100 * 1024**3, metadata=key("maxFileBytes", kinds.size(1)))
    rescan_interval_seconds: float = field(
        default=60.0, metadata=key("rescanIntervalMs", kinds.duration(100))
    )
    watch_mode: WatchMode = field(
        default=WatchMode.AUTO, metadata=key("watchMode", kinds.one_of(WatchMode))
    )
    file_mode: int = field(default=0o664, metadata=key("fileMode", kinds.file_mode))
    unlink_imported_files: bool = field(
        default=False, metadata=key("unlinkImportedFiles", kinds.boolean)
    )


@dataclass(frozen=True)
class ServerConfig:
    """A Radarr or Sonarr: `source` shares its files with friends, `destination` gets downloads."""

    name: str = field(metadata=key("name", kinds.name))
    type: ServerType = field(metadata=key("type", kinds.one_of(ServerType)))
    url: str = field(metadata=key("url", url))
    api_key: Secret = field(metadata=key("apiKey", secret))
    headers: Mapping[str, Secret] = field(
        default_factory=_no_headers, metadata=key("headers", headers)
    )
    source: bool = field(default=True, metadata=key("source", kinds.boolean))
    destination: bool = field(default=True, metadata=key("destination", kinds.boolean))
    autoregister: AutoregisterConfig = field(
        default_factory=AutoregisterConfig, metadata=key("autoregister", block(AutoregisterConfig))
    )
    path_map: tuple[PathMapping, ...] = field(
        default=(), metadata=key("pathMap", list_of(block(PathMapping)))
    )


@dataclass(frozen=True)
class LibraryFolder:
    """A folder shared with friends."""

    folder: Path = field(metadata=key("folder", kinds.absolute_path))


@dataclass(frozen=True)
class PeerConfig:
    """A friend's jack. `ca_file` is for a certificate of a private authority."""

    name: str = field(metadata=key("name", kinds.name))
    url: str = field(metadata=key("url", url))
    api_key: Secret = field(metadata=key("apiKey", secret))
    headers: Mapping[str, Secret] = field(
        default_factory=_no_headers, metadata=key("headers", headers)
    )
    ca_file: Path | None = field(default=None, metadata=key("caFile", kinds.absolute_path))

    @property
    def id(self) -> str:
        """How stubs and rows name this peer: made of the URL exactly as it is written."""
        return connector_id(self.url)


@dataclass(frozen=True)
class FriendConfig:
    """Somebody who may fetch from us with a key of their own; without the entry the key is void.

    `max_downloads` 0 means no limit but that of `share`.
    """

    name: str = field(metadata=key("name", kinds.name))
    api_key: Secret = field(metadata=key("apiKey", own_key))
    max_downloads: int = field(default=0, metadata=key("maxDownloads", kinds.integer(0, 64)))
    enabled: bool = field(default=True, metadata=key("enabled", kinds.boolean))


@dataclass(frozen=True)
class ShareConfig:
    """How much leaves at the same time; `upload_bytes_per_second` 0 means as fast as it goes."""

    max_uploads: int = field(default=16, metadata=key("maxUploads", kinds.integer(1, 200)))
    upload_bytes_per_second: int = field(
        default=0, metadata=key("uploadBytesPerSecond", kinds.zero_or(kinds.size(16 * 1024)))
    )


_servers = list_of(
    block(ServerConfig), checks.unique("name", "a server of this name", str.casefold)
)
_library = list_of(block(LibraryFolder), checks.unique("folder", "this folder", checks.same_folder))
_peers = list_of(
    block(PeerConfig),
    checks.unique("name", "a peer of this name", str.casefold),
    checks.unique("url", "this peer", same_place),
)
_friends = list_of(
    block(FriendConfig),
    checks.unique("name", "a friend of this name", str.casefold),
    checks.unique("api_key", "this key"),
)


@dataclass(frozen=True)
class Config:
    """The whole file; `path` is where it was read."""

    path: Path
    jack: JackConfig = field(metadata=key("jack", block(JackConfig), default=None))
    downloads: DownloadsConfig | None = field(
        default=None,
        metadata=key(
            "downloads", block(DownloadsConfig, checks.folders_apart, checks.delays_in_order)
        ),
    )
    servers: tuple[ServerConfig, ...] = field(default=(), metadata=key("servers", _servers))
    library: tuple[LibraryFolder, ...] = field(default=(), metadata=key("library", _library))
    share: ShareConfig = field(
        default_factory=ShareConfig, metadata=key("share", block(ShareConfig))
    )
    friends: tuple[FriendConfig, ...] = field(default=(), metadata=key("friends", _friends))
    peers: tuple[PeerConfig, ...] = field(default=(), metadata=key("peers", _peers))

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in the open, header values too, each once: for redacting logs only."""
        return tuple(dict.fromkeys(found.reveal() for found in _secrets(self)))

    def private_files(self) -> tuple[Path, ...]:
        """This file, and those that hold a secret each."""
        files = (Path(found.file) for found in _secrets(self) if found.file is not None)
        return tuple(dict.fromkeys((self.path, *files)))


def _secrets(value: object) -> Iterator[Secret]:
    """All secrets in a value, wherever a new key may put them."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, Mapping):
        yield from _secrets(tuple(value.values()))
    elif dataclasses.is_dataclass(value):
        for member in dataclasses.fields(value):
            yield from _secrets(getattr(value, member.name))
