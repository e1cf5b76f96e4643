"""The waitress server: one thread moves bytes, a few threads run the application."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from jack.errors import JackError, UserError
from jack.support.congestion import ask_for_bbr
from jack.support.ports import holder_of
from jack.support.waits import IDLE_CONNECTION_SECONDS
from jack.web.channel import FairChannel
from jack.web.crowd import Crowd
from jack.web.pace import UploadPace
from jack.web.proxies import Proxies
from jack.web.readahead import ReadAhead

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

MAX_REQUEST_BODY_BYTES = 65_536
MAX_REQUEST_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 256
MAX_PORT = 65_535
LOOP_SECONDS = 1.0
"""How long the loop may sleep when nothing happens."""
ENTRANCE_SECONDS = 5.0
READ_AHEAD_SECONDS = 0.5
_STUMBLE_SECONDS = 0.1
_OUR_OWN = 8
"""More than the listening socket and the pipe that waitress counts too: its limit lets nobody in,
ours makes room.
"""
_ANY_ADDRESS = frozenset({"", "*", "::"})


class Server:
    """Serves `app` on a listening socket, of TCP or of Unix; requests are answered after `start`.

    `pace` limits how fast files leave, None means not at all. Every thread calls `enter` once
    before it answers anything.
    """

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        threads: int = 8,
        pace: UploadPace | None = None,
        enter: Callable[[], None] = lambda: None,
        proxies: Proxies | None = None,
    ) -> None:
        self._enter = enter
        self._proxies = proxies or Proxies()
        self._app = app
        self._pace = pace
        self._ahead = ReadAhead()
        self._crowd = Crowd(MAX_CONNECTIONS)
        self._has_newcomer = False
        self._threads = threads
        self._socket = listener
        is_unix = listener.family == socket.AF_UNIX
        self.port: int = 0 if is_unix else listener.getsockname()[1]
        self._stopping = threading.Event()
        self._server: Any = None
        self._loop: threading.Thread | None = None

    def start(self) -> None:
        """Answer requests in threads of our own, which have all begun when this returns. Call it
        once."""
        self._server = create_server(
            self._app,
            sockets=[self._socket],
            map={},
            threads=self._threads,
            ident=None,
            expose_tracebacks=False,
            log_socket_errors=False,
            max_request_body_size=MAX_REQUEST_BODY_BYTES,
            max_request_header_size=MAX_REQUEST_HEADER_BYTES,
            inbuf_overflow=MAX_REQUEST_BODY_BYTES,
            # Beyond the mark waitress has the thread wait until the other side has read.
            outbuf_high_watermark=sys.maxsize,
            channel_timeout=IDLE_CONNECTION_SECONDS,
            connection_limit=MAX_CONNECTIONS + _OUR_OWN,
        )
        self._server.channel_class = self._welcome
        # "Task queue depth" is no news: more requests than threads is an ordinary moment.
        queue_log = logging.getLogger(f"{__name__}.queue")
        queue_log.setLevel(logging.ERROR)
        self._server.task_dispatcher.queue_logger = queue_log
        all_entered = threading.Barrier(self._threads + 1)
        for _ in range(self._threads):
            self._server.add_task(_Entrance(self._enter, all_entered))
        self._loop = threading.Thread(target=self._run, name="http", daemon=True)
        self._loop.start()
        with contextlib.suppress(threading.BrokenBarrierError):
            all_entered.wait(ENTRANCE_SECONDS)

    def stop(self, timeout_seconds: float) -> None:
        """Close the port and every connection, and wait for the threads.

        Harmless when repeated; a repetition finishes what did not end in time.
        """
        deadline = time.monotonic() + timeout_seconds
        self._stopping.set()
        self._ahead.stop()
        if self._loop is None:
            self._socket.close()
        elif self._server is not None and self._close_server(self._loop, deadline):
            self._server = None
        # One that waits for a disk ends with the process, at the latest.
        self._ahead.join(min(READ_AHEAD_SECONDS, max(0.0, deadline - time.monotonic())))

    def _run(self) -> None:
        while not self._stopping.is_set():
            seconds = self._pace.wait_seconds(LOOP_SECONDS) if self._pace else LOOP_SECONDS
            try:
                self._make_room()
                wasyncore.loop(timeout=seconds, use_poll=True, map=self._server._map, count=1)
            except Exception:
                # One connection's bug must not end all the others, and the daemon's HTTP side.
                log.exception("the loop of the HTTP side stumbled and goes on")
                self._stopping.wait(_STUMBLE_SECONDS)

    def _welcome(self, *args: Any, **kwargs: Any) -> FairChannel:
        self._has_newcomer = True
        return FairChannel(
            *args, pace=self._pace, ahead=self._ahead, proxies=self._proxies, **kwargs
        )

    def _make_room(self) -> None:
        """Close those that are to leave. Waitress waits until the socket takes bytes, and so never
        closes on somebody who does not read. Between two rounds of the loop, for within one a new
        connection could get the number of one that was closed, and its events.
        """
        channels = self._server.active_channels
        for channel in [one for one in channels.values() if one.will_close]:
            channel.handle_close()
        if self._has_newcomer or len(channels) >= MAX_CONNECTIONS:
            self._has_newcomer = False
            for channel in self._crowd.leaving(channels.values()):
                channel.handle_close()

    def _close_server(self, loop: threading.Thread, deadline: float) -> bool:
        """Whether all is closed. The loop ends first, for it works on the same connections."""
        server = self._server
        server.pull_trigger()
        loop.join(max(0.0, deadline - time.monotonic()))
        if loop.is_alive():
            log.warning("the HTTP side did not stop in time; its connections end with the process")
            return False
        wasyncore.dispatcher.close(server)
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        dispatcher = server.task_dispatcher
        dispatcher.shutdown(cancel_pending=True, timeout=max(0.0, deadline - time.monotonic()))
        if dispatcher.threads:
            # The trigger stays open: a thread still at work writes to its descriptor, and would
            # write into whatever file had got that number by then.
            return False
        server.trigger.close()
        return True


class _Entrance:
    """What each thread does first; the barrier keeps one from doing it for another."""

    def __init__(self, enter: Callable[[], None], all_entered: threading.Barrier) -> None:
        self._enter = enter
        self._all_entered = all_entered

    def service(self) -> None:
        try:
            self._enter()
        except JackError as error:
            # Answers that need it will say so themselves.
            log.warning("a thread of the HTTP side starts without: %s", error)
        with contextlib.suppress(threading.BrokenBarrierError):
            self._all_entered.wait(ENTRANCE_SECONDS)

    def cancel(self) -> None:
        """The server ends before it began."""


def check_free(host: str, port: int) -> None:
    """Raises UserError when the port cannot be had right now."""
    listen(host, port).close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; for "any address" one for IPv6 and IPv4 where the system can do that.
    Port 0 takes any free one. Raises UserError when the port cannot be had.
    """
    listener = _bound(host, port)
    ask_for_bbr(listener)
    return listener


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise UserError(f"port {port} cannot be used: ports go up to {MAX_PORT}")
    try:
        if host in _ANY_ADDRESS and socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.replace("*", ""), port), family=family)
    except OSError as error:
        raise UserError(_bind_problem(host, port, error)) from error


def _bind_problem(host: str, port: int, error: OSError) -> str:
    where = f"port {port} on {host or 'any address'}"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        return (
            f"{where} is already in use{f' by {holder}' if holder else ''}: stop the program that"
            " has it, or give jack another port in jack.internalUrl"
        )
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user: choose a port above 1023"
    return f"{where} cannot be used: {error}"
