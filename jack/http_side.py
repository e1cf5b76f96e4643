"""What friends, scripts and Radarr or Sonarr reach over HTTP, put together."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from jack.config import Config
from jack.library.sharing import Sharing
from jack.peers.collection import Peers
from jack.peers.search import PeerSearch
from jack.store.database import Database
from jack.store.lock import FILE_NAME as LOCK_NAME
from jack.support.clock import Clock
from jack.web.app import create_app
from jack.web.auth import Friend, KeyGuard
from jack.web.links import DownloadLinks
from jack.web.manage import Steers, manage_blueprint
from jack.web.pace import UploadPace
from jack.web.peer_api import MAX_LONG_LISTS, peer_blueprint
from jack.web.proxies import Proxies
from jack.web.server import Server, check_free, listen
from jack.web.status import Shown, status_blueprint
from jack.web.torznab import torznab_blueprint
from jack.web.uploads import UploadGate
from jack.wiring import arr_server

log = logging.getLogger(__name__)

ANY_ADDRESS = ""


def check_port(config: Config) -> None:
    """Raises UserError when the port of internalUrl cannot be had right now."""
    check_free(ANY_ADDRESS, config.jack.port)


def start_http_side(
    config: Config,
    database: Database,
    shown: Shown,
    steering: Steers | None,
    peers: Peers,
    clock: Clock,
    stack: ExitStack,
) -> None:
    """Serve friends, status and control on the port of internalUrl; `stack` ends what is started
    here.

    Raises UserError when the port cannot be had.
    """
    if config.jack.api_key is None:
        return
    friends = [
        Friend(friend.name, friend.api_key.reveal(), friend.max_downloads)
        for friend in config.friends
        if friend.enabled
    ]
    guard = KeyGuard(config.jack.api_key.reveal(), clock, friends)
    sources = [arr_server(server) for server in config.servers if server.source]
    folders = [entry.folder for entry in config.library]
    own = [*config.private_files(), *database.files, config.jack.state_path / LOCK_NAME]
    sharing = Sharing(folders, sources, database, clock, own)
    stack.callback(sharing.stop, 2.0)
    names = [friend.name for friend in friends]
    uploads = UploadGate(config.share.max_uploads, names, clock.monotonic)
    lists = UploadGate(MAX_LONG_LISTS, names, clock.monotonic)
    api = peer_blueprint(sharing.catalog, guard, uploads, config.jack.state_path, lists)
    search = PeerSearch(peers, clock)
    base = config.jack.internal_url or f"http://127.0.0.1:{config.jack.port}"
    links = DownloadLinks(base, config.jack.api_key.reveal())
    rate = config.share.upload_bytes_per_second
    status = status_blueprint(guard, shown, config.jack.state_path)
    manage = manage_blueprint(shown, steering, guard, config.jack.state_path)
    app = create_app([api, status, manage, torznab_blueprint(search, guard, links, clock)])
    pace = UploadPace(rate) if rate else None
    listener = listen(ANY_ADDRESS, config.jack.port)
    enter, proxies = database.keep_connection, Proxies(config.jack.proxies)
    server = Server(app, listener, pace=pace, enter=enter, proxies=proxies)
    stack.callback(server.stop, 2.0)
    stack.callback(search.stop, 1.0)
    server.start()
    sharing.start()
    log.info("friends reach jack on port %d", server.port)
