"""From the config's blocks to the plain values the adapters take: they do not know the config."""

from __future__ import annotations

from jack.arr.api import ArrServer
from jack.arr.registration import Destination, Registrar, RegistrationSettings
from jack.config import Config, DownloadsConfig, PeerConfig, ServerConfig
from jack.peers.collection import Peers
from jack.peers.peer_client import PeerEntry
from jack.peers.search import ASKS_PER_PEER
from jack.support.clock import Clock
from jack.support.pauses import Pauses
from jack.support.waits import SEARCH_PAUSES


def arr_server(server: ServerConfig) -> ArrServer:
    """A Radarr or Sonarr of the config."""
    return ArrServer(
        name=server.name,
        kind=server.type.value,
        url=server.url,
        api_key=server.api_key.reveal(),
        headers={name: value.reveal() for name, value in server.headers.items()},
        path_map=tuple((mapping.jack, mapping.arr) for mapping in server.path_map),
    )


def peer_entry(friend: PeerConfig) -> PeerEntry:
    """A friend of the config."""
    headers = {name: value.reveal() for name, value in friend.headers.items()}
    ca_file = str(friend.ca_file) if friend.ca_file else None
    return PeerEntry(friend.id, friend.name, friend.url, friend.api_key.reveal(), headers, ca_file)


def peers(config: Config, clock: Clock) -> Peers:
    """Everybody of the config's `peers`, for downloads and searches alike."""
    downloads = config.downloads
    connections = ASKS_PER_PEER + 2 + (downloads.max_concurrent_downloads if downloads else 0)
    pauses = retry_pauses(downloads) if downloads else SEARCH_PAUSES
    return Peers([peer_entry(friend) for friend in config.peers], pauses, connections, clock)


def retry_pauses(downloads: DownloadsConfig) -> Pauses:
    """Between tries, of one file or to reach a peer."""
    first = downloads.retry_base_delay_seconds
    return Pauses(first, max(first, downloads.retry_max_delay_seconds))


def registrar(config: Config, clock: Clock) -> Registrar | None:
    """What makes jack known to the servers that want it; None when there is none of these, or when
    jack could not serve what they would ask for.
    """
    jack, downloads = config.jack, config.downloads
    destinations = [
        Destination(arr_server(server), server.autoregister.priority)
        for server in config.servers
        if server.destination and server.autoregister.enable
    ]
    if not destinations or jack.api_key is None or jack.internal_url is None or downloads is None:
        return None
    settings = RegistrationSettings(
        internal_url=jack.internal_url,
        api_key=jack.api_key.reveal(),
        watch_path=str(downloads.watch_path),
        completed_path=str(downloads.completed_path),
    )
    return Registrar(destinations, settings, clock)
