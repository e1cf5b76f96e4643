from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from tests.web.served_peer import KEY, Peer, StepClock

from jack.library.catalog import Catalog
from jack.library.folder import FolderSource
from jack.web.app import create_app
from jack.web.auth import KeyGuard
from jack.web.peer_api import peer_blueprint
from jack.web.server import Server


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def guard(clock: StepClock) -> KeyGuard:
    return KeyGuard(KEY, clock)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start an application on a free port; everything is stopped, and gone, at the end."""
    servers: list[Server] = []
    before = set(threading.enumerate())

    def start(app: Any, threads: int = 2) -> Server:
        server = Server(app, "127.0.0.1", 0, threads=threads)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop(10)
    for thread in set(threading.enumerate()) - before:
        if thread.name == "http" or thread.name.startswith("waitress"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def serve_blueprints(serve: Callable[..., Server]) -> Callable[..., Server]:
    def start(*blueprints: Blueprint, threads: int = 2) -> Server:
        return serve(create_app(blueprints), threads)

    return start


@pytest.fixture
def peer(
    tmp_path: Path,
    clock: StepClock,
    guard: KeyGuard,
    serve_blueprints: Callable[..., Server],
) -> Peer:
    """One application thread: whatever holds it makes every other request time out."""
    folder = tmp_path / "library"
    folder.mkdir()
    catalog = Catalog([FolderSource(folder)], clock)
    server = serve_blueprints(peer_blueprint(catalog, guard), threads=1)
    return Peer(server, catalog, folder, clock)
