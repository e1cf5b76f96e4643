"""jack.yaml.example: it loads, it is complete, and what it says about defaults is true."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jack.config import (
    AutoregisterConfig,
    Config,
    DownloadsConfig,
    FriendConfig,
    JackConfig,
    LibraryFolder,
    PathMapping,
    PeerConfig,
    ServerConfig,
    ShareConfig,
    schema,
)
from jack.config.blocks import defaults_of, keys_of

Load = Callable[..., Config]

EXAMPLE = Path(__file__).parents[2] / "jack.yaml.example"
ENVIRON = {
    "JACK_API_KEY": "a" * 32,
    "RADARR_API_KEY": "b" * 32,
    "SONARR_API_KEY": "c" * 32,
    "JACK_KEY_FOR_ANN": "e" * 32,
}
BLOCKS = [
    Config, JackConfig, DownloadsConfig, ServerConfig, AutoregisterConfig, PathMapping,
    LibraryFolder, PeerConfig, FriendConfig, ShareConfig,
]  # fmt: skip


@pytest.fixture
def example(load: Load, tmp_path: Path) -> Config:
    secret = tmp_path / "friend"
    secret.write_text("d" * 32 + "\n")
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "/run/secrets/friend" in text
    return load(text.replace("/run/secrets/friend", str(secret)), ENVIRON)


def test_the_example_loads(example: Config) -> None:
    assert example.jack.port == 5225
    assert [server.name for server in example.servers] == ["Radarr", "Sonarr"]
    assert [str(folder.folder) for folder in example.library] == ["/volume1/video"]
    assert example.secrets() == (*ENVIRON.values(), "d" * 32)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_the_example_shows_and_explains_every_key(block: type[Any]) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for key in keys_of(block).values():
        assert any(re.match(rf"[ -]*{key.name}:", line) for line in lines), key.name


def test_no_block_is_forgotten_here() -> None:
    found = [value for value in vars(schema).values() if isinstance(value, type)]
    assert {value for value in found if dataclasses.is_dataclass(value)} == set(BLOCKS)


def test_the_values_of_the_example_are_the_defaults(example: Config) -> None:
    radarr, friend = example.servers[0], example.peers[0]
    own = {"path_map"}
    blocks = (radarr, radarr.autoregister, friend, example.share, example.friends[0])
    for block in (example.downloads, *blocks):
        defaults = defaults_of(type(block))
        assert defaults
        shown = {name: getattr(block, name) for name in defaults if name not in own}
        assert shown == {name: value for name, value in defaults.items() if name not in own}


def test_what_can_go_can_go(load: Load) -> None:
    """A file with the required keys alone means the same as the example's downloads block."""
    short = load("downloads: {watchPath: /w, completedPath: /c}").downloads
    assert short == DownloadsConfig(Path("/w"), Path("/c"))


def test_every_number_that_is_promised_is_the_default() -> None:
    assert defaults_of(DownloadsConfig) == {
        "max_concurrent_downloads": 3,
        "max_download_attempts": 13,
        "retry_base_delay_seconds": 1.0,
        "retry_max_delay_seconds": 1800.0,
        "idle_timeout_seconds": 60.0,
        "checkpoint_bytes": 67108864,
        "checkpoint_interval_seconds": 10.0,
        "min_free_bytes": 1073741824,
        "max_file_bytes": 107374182400,
        "rescan_interval_seconds": 60.0,
        "watch_mode": "auto",
        "file_mode": 0o664,
        "unlink_imported_files": False,
    }


def test_the_example_holds_no_secret_in_the_open() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if re.match(r"\s*apiKey:", line)]
    assert keys
    assert all(re.search(r"apiKey: \{(env|file): ", line) for line in keys)
