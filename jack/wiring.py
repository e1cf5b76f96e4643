"""From the config's blocks to the plain values the adapters take: they do not know the config."""

from __future__ import annotations

from jack.arr.api import ArrServer
from jack.arr.registration import Destination, Registrar, RegistrationSettings
from jack.config import Config, PeerConfig, ServerConfig
from jack.peers.client import Peer
from jack.support.clock import Clock


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


def peer(friend: PeerConfig) -> Peer:
    """A friend of the config."""
    headers = {name: value.reveal() for name, value in friend.headers.items()}
    ca_file = str(friend.ca_file) if friend.ca_file else None
    return Peer(friend.id, friend.name, friend.url, friend.api_key.reveal(), headers, ca_file)


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
