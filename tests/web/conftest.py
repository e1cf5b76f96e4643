from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint

from jack.library.catalog import Catalog
from jack.library.folder_source import FolderSource
from jack.peers.search import PeerSearch
from jack.store.database import Database
from jack.store.releases import Releases
from jack.web import channel
from jack.web.app import create_app
from jack.web.auth import KeyGuard
from jack.web.links import DownloadLinks
from jack.web.pace import UploadPace
from jack.web.peer_api import peer_blueprint
from jack.web.server import Server, listen
from jack.web.torznab import torznab_blueprint
from tests.support.clock import FakeClock
from tests.support.known_peers import entry, peers_among
from tests.web.indexer_client import Arr
from tests.web.served_peer import KEY, ServedPeer


@pytest.fixture
def guard(clock: FakeClock) -> KeyGuard:
    return KeyGuard(KEY, clock)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start an application on a free port; everything is stopped, and gone, at the end."""
    servers: list[Server] = []
    before = set(threading.enumerate())

    def start(app: Any, threads: int = 2, pace: UploadPace | None = None) -> Server:
        server = Server(app, listen("127.0.0.1", 0), threads=threads, pace=pace)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop(20)
    for thread in set(threading.enumerate()) - before:
        if thread.name == "http" or thread.name.startswith("waitress"):
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def serve_blueprints(serve: Callable[..., Server]) -> Callable[..., Server]:
    def start(*blueprints: Blueprint, threads: int = 2) -> Server:
        return serve(create_app(blueprints), threads)

    return start


@pytest.fixture(params=["sendfile", "copied"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Files leave in both ways; a test that must hold for both asks for this."""
    if request.param == "copied":
        monkeypatch.setattr(channel, "HAS_SENDFILE", False)
        monkeypatch.delattr(os, "sendfile", raising=False)
    elif not channel.HAS_SENDFILE:
        pytest.skip("this system has no sendfile")
    return str(request.param)


@pytest.fixture
def catalog(tmp_path: Path, clock: FakeClock) -> Iterator[Catalog]:
    """Of one folder, which is there and empty."""
    (tmp_path / "library").mkdir()
    (tmp_path / "state").mkdir()
    database = Database(tmp_path / "state")
    yield Catalog(Releases(database), clock, [FolderSource(tmp_path / "library")])
    database.close()


@pytest.fixture
def peer(
    tmp_path: Path,
    clock: FakeClock,
    guard: KeyGuard,
    catalog: Catalog,
    serve_blueprints: Callable[..., Server],
) -> ServedPeer:
    """One application thread: whatever holds it makes every other request time out."""
    server = serve_blueprints(peer_blueprint(catalog, guard), threads=1)
    return ServedPeer(server, catalog, tmp_path / "library", clock)


@pytest.fixture
def indexer_over(
    clock: FakeClock, serve_blueprints: Callable[..., Server]
) -> Iterator[Callable[[Catalog, str], Arr]]:
    """Serve a jack whose only friend has `catalog`; an *arr called `agent` that searches it."""
    key = "0123456789abcdef0123456789abcdef"
    guard = KeyGuard(key, clock)
    with ExitStack() as stack:

        def start(catalog: Catalog, agent: str) -> Arr:
            url = f"http://127.0.0.1:{serve_blueprints(peer_blueprint(catalog, guard)).port}"
            peers = peers_among(clock, entry(url, key=key))
            stack.callback(peers.close)
            search = PeerSearch(peers, clock, 20.0)
            stack.callback(search.stop, 20)
            links = DownloadLinks("http://nas.local:5225", key)
            server = serve_blueprints(torznab_blueprint(search, guard, links, clock))
            return Arr(f"http://127.0.0.1:{server.port}/torznab", key, agent)

        yield start
