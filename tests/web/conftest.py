from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint

from jack.library.catalog import Catalog
from jack.library.folder import FolderSource
from jack.store.database import Database
from jack.store.releases import Releases
from jack.web import channel
from jack.web.app import create_app
from jack.web.auth import KeyGuard
from jack.web.pace import UploadPace
from jack.web.peer_api import peer_blueprint
from jack.web.server import Server
from tests.web.served_peer import KEY, Peer, StepClock


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

    def start(app: Any, threads: int = 2, pace: UploadPace | None = None) -> Server:
        server = Server(app, "127.0.0.1", 0, threads=threads, pace=pace)
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
def catalog(tmp_path: Path, clock: StepClock) -> Iterator[Catalog]:
    """Of one folder, which is there and empty."""
    (tmp_path / "library").mkdir()
    (tmp_path / "state").mkdir()
    database = Database(tmp_path / "state")
    yield Catalog(Releases(database), clock, [FolderSource(tmp_path / "library")])
    database.close()


@pytest.fixture
def peer(
    tmp_path: Path,
    clock: StepClock,
    guard: KeyGuard,
    catalog: Catalog,
    serve_blueprints: Callable[..., Server],
) -> Peer:
    """One application thread: whatever holds it makes every other request time out."""
    server = serve_blueprints(peer_blueprint(catalog, guard), threads=1)
    return Peer(server, catalog, tmp_path / "library", clock)
