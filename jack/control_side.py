"""The control interface of a running jack, put together: `/manage/...` on the unix socket of the
state folder, for the owner's commands.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from jack.control.sockets import listen, remove
from jack.store.database import Database
from jack.web.app import create_app
from jack.web.manage import Steers, manage_blueprint
from jack.web.server import Server
from jack.web.status import Shown

THREADS = 2
"""A cancel may wait for its transfer; a look at the status does not wait behind it."""


def start_control_side(
    state_path: Path, shown: Shown, steering: Steers | None, database: Database, stack: ExitStack
) -> None:
    """Listen, with the lock held; `stack` ends it. Raises StateError where there can be no
    socket.
    """
    listener = listen(state_path)
    stack.callback(remove, state_path)
    app = create_app([manage_blueprint(shown, steering, spool_folder=state_path)])
    server = Server(app, listener, threads=THREADS, enter=database.keep_connection)
    stack.callback(server.stop, 2.0)
    server.start()
