"""When jack registers itself, and with whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jack import wiring
from jack.config import Config, load_config
from tests.support.clock import FakeClock

URL = "http://127.0.0.1:7878"


def config(tmp_path: Path, **blocks: Any) -> Config:
    server = {"name": "R", "type": "radarr", "url": URL, "apiKey": "k-arr"}
    whole: dict[str, Any] = {
        "jack": {"internalUrl": "http://nas:5225", "apiKey": "k-jack-0123456789"},
        "downloads": {"watchPath": "/t/watch", "completedPath": "/t/completed"},
        "servers": [{**server, **blocks.pop("server", {})}],
        **blocks,
    }
    path = tmp_path / "jack.yaml"
    path.write_text(json.dumps({name: value for name, value in whole.items() if value is not None}))
    return load_config(path, {})


def test_jack_registers_when_it_can_serve_what_it_is_asked_for(
    tmp_path: Path, clock: FakeClock
) -> None:
    assert wiring.registrar(config(tmp_path), clock) is not None


@pytest.mark.parametrize(
    "blocks",
    [
        {"jack": {"apiKey": "k-jack-0123456789"}},
        {"jack": {"internalUrl": "http://nas:5225"}},
        {"downloads": None},
        {"servers": None},
        {"server": {"destination": False}},
        {"server": {"autoregister": {"enable": False}}},
    ],
)
def test_else_it_does_not(tmp_path: Path, clock: FakeClock, blocks: dict[str, Any]) -> None:
    assert wiring.registrar(config(tmp_path, **blocks), clock) is None


def test_servers_and_friends_keep_what_the_config_says(tmp_path: Path) -> None:
    mapping = {"jack": "/t", "arr": "/data"}
    read = config(
        tmp_path,
        server={"pathMap": [mapping], "headers": {"X-Id": "secret-1"}},
        peers=[{"name": "f", "url": URL, "apiKey": "k-peer", "caFile": "/ca.pem"}],
    )
    server = wiring.arr_server(read.servers[0])
    assert (server.name, server.kind, server.url, server.api_key) == ("R", "radarr", URL, "k-arr")
    assert (server.path_map, server.headers) == ((("/t", "/data"),), {"X-Id": "secret-1"})
    friend = wiring.peer_entry(read.peers[0])
    assert (friend.id, friend.name, friend.url) == (read.peers[0].id, "f", URL)
    assert (friend.api_key, friend.ca_file) == ("k-peer", "/ca.pem")
