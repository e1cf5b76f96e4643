"""The configuration: YAML -> frozen dataclasses, with every problem at once.
Order of reading: `schema` (every key), `kinds`, `blocks`, `load`.
"""

from jack.config.checks import folders_mixed
from jack.config.find import find_config
from jack.config.load import load_config
from jack.config.schema import (
    DEFAULT_PORT,
    AutoregisterConfig,
    Config,
    DownloadsConfig,
    FriendConfig,
    JackConfig,
    LibraryFolder,
    PathMapping,
    PeerConfig,
    ServerConfig,
    ServerType,
    ShareConfig,
    WatchMode,
)
from jack.config.secret import Secret
from jack.config.uses import gaps

__all__ = [
    "DEFAULT_PORT",
    "AutoregisterConfig",
    "Config",
    "DownloadsConfig",
    "FriendConfig",
    "JackConfig",
    "LibraryFolder",
    "PathMapping",
    "PeerConfig",
    "Secret",
    "ServerConfig",
    "ServerType",
    "ShareConfig",
    "WatchMode",
    "find_config",
    "folders_mixed",
    "gaps",
    "load_config",
]
