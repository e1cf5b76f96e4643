"""What a config without a mistake may still be missing to be of use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jack.config.schema import Config


class Gap(NamedTuple):
    """`what` cannot work like this, and the `remedy`."""

    what: str
    remedy: str


def gaps(config: Config) -> Iterator[Gap]:
    """Everything in which jack would do less than the file seems to ask for."""
    shares = bool(config.library) or any(server.source for server in config.servers)
    if config.downloads is None and config.jack.api_key is None:
        yield Gap("jack would do nothing", "add downloads, or jack.apiKey and something to share")
    if config.downloads is not None and not config.peers:
        yield Gap("there are no peers to download from", "add a friend to peers")
    if not any(server.destination for server in config.servers) and config.downloads is not None:
        yield Gap(
            "there are no servers to import what was downloaded",
            "add your Radarr and Sonarr to servers",
        )
    if config.jack.api_key is not None and not shares:
        yield Gap("jack.apiKey is set, but there is nothing to share", "add folders to library")
    if config.downloads is not None and config.jack.api_key is None:
        yield Gap(
            "jack.apiKey is not set, so jack serves nobody, and Radarr and Sonarr cannot search"
            " through jack",
            "set jack.internalUrl and jack.apiKey, and jack adds itself to them",
        )
    elif config.downloads is not None and _misses_address(config):
        yield Gap(
            "Radarr and Sonarr cannot search through jack",
            "set jack.internalUrl, and jack adds itself to them",
        )


def _misses_address(config: Config) -> bool:
    wanted = any(server.destination and server.autoregister.enable for server in config.servers)
    return wanted and config.jack.internal_url is None
