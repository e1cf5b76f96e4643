"""A response body's way out of the socket: the faster of two ways that is possible is taken.

Neither loses a byte that arrived before the connection broke, which `iter_content` and buffered
reads do. Where the bytes go from here is the sink's business.
"""

from __future__ import annotations

import contextlib
import enum
import http.client
import io
import select
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Protocol

from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from jack import errors
from jack.errors import TransientError
from jack.support.clock import Clock
from jack.support.heads import BrokenChunks
from jack.support.http import Wire
from jack.transfer.patience import Patience
from jack.transfer.sink import Sink

_ENOUGH_BYTES = 256 * 1024
"""What is worth a write: TLS hands out 16 KiB at most per call."""
_READ_BYTES = 256 * 1024


class Way(enum.Enum):
    """How bytes get from the socket to the file."""

    BLOCKS = "blocks"
    """In aligned blocks past the page cache: Linux, long bodies."""
    RECEIVE = "receive"
    """Straight from the socket into the sink's memory: no chunks to undo."""
    PORTABLE = "portable"
    """Through urllib3: always works."""


ALL_WAYS = frozenset(Way)


class Reader(Protocol):
    """Moves the body into the sink, piece by piece."""

    def step(self, limit: int) -> bool:
        """Take what there is, at most `limit` bytes; False at the body's end.

        Raises TransientError for the network, StorageError and its like for the disk, and what the
        wire was aborted with.
        """


class BrokenFraming(errors.ProtocolError):
    """Where the body's bytes end and its frames begin cannot be told: what was received of it may
    hold wrong ones."""


@contextlib.contextmanager
def open_reader(
    raw: Any, wire: Wire, sink: Sink, patience: Patience, clock: Clock, ways: frozenset[Way]
) -> Iterator[Reader]:
    """The faster of `ways` for the body of `raw` (urllib3's response)."""
    direct = unwrapped(raw, wire) if Way.RECEIVE in ways else None
    if direct is not None:
        sock, buffered = direct
        sock.settimeout(0)
        yield SocketReader(sock, buffered, wire, sink, patience)
        return
    with contextlib.ExitStack() as stack:
        yield PortableReader(raw, wire, sink, patience, clock, stack)


def unwrapped(raw: Any, wire: Wire) -> tuple[socket.socket, io.BufferedReader] | None:
    """The socket under a body that comes as it is, and http.client's reader on it, which may
    already hold the first bytes. None when there are chunks to undo or the layers are not stacked
    as we know them."""
    inner = getattr(raw, "_fp", None)
    buffered = getattr(inner, "fp", None)
    sock = wire.socket
    if getattr(inner, "chunked", True) is not False:
        return None
    if not isinstance(sock, socket.socket) or not isinstance(buffered, io.BufferedReader):
        return None
    try:
        return (sock, buffered) if buffered.fileno() == sock.fileno() >= 0 else None
    except (OSError, ValueError):
        return None


def keep_connection(raw: Any, received: int, wire: Wire) -> None:
    """`received` bytes of the body were read past urllib3. If that was all of it, say so, so that
    the connection carries the next request instead of being closed.

    urllib3 looks whether something waits in a socket before it uses it again, but not into TLS.
    """
    inner: Any = getattr(raw, "_fp", None)
    is_all = getattr(inner, "length", None) == received and not getattr(inner, "chunked", True)
    if not is_all or getattr(inner, "will_close", True):
        return
    if isinstance(wire.socket, ssl.SSLSocket) and wire.socket.pending():
        return
    with contextlib.suppress(OSError, ValueError, AttributeError, HTTPError):
        inner.length = 0
        inner._close_conn()
        raw.release_conn()


@contextlib.contextmanager
def _network_errors(who: str, wire: Wire) -> Iterator[None]:
    """Only around calls that touch nothing but the network: whatever they raise is the connection's
    fault. ValueError and AttributeError are what http.client raises when its socket is shut under
    it."""
    try:
        yield
    except (OSError, HTTPError, http.client.HTTPException, ValueError, AttributeError) as error:
        wire.check()
        causes = (error, error.__cause__)
        if any(isinstance(cause, BrokenChunks) for cause in causes):
            raise BrokenFraming(f"{who}: the chunks of the body do not fit together") from error
        told = (cause.strerror for cause in causes if isinstance(cause, OSError))
        why = next((text for text in told if text), type(error).__name__)
        raise TransientError(f"{who}: the connection broke ({why})") from error


class SocketReader:
    """recv_into the sink's own memory. The socket does not block; waiting is done in `patience`."""

    def __init__(
        self,
        sock: socket.socket,
        buffered: io.BufferedReader,
        wire: Wire,
        sink: Sink,
        patience: Patience,
    ) -> None:
        self._sock = sock
        self._buffered: io.BufferedReader | None = buffered
        self._wire = wire
        self._sink = sink
        self._patience = patience
        self._lull = patience.lull
        self._is_dry = False
        self._is_plain = not isinstance(sock, ssl.SSLSocket)

    def step(self, limit: int) -> bool:
        if self._is_dry:
            self._is_dry = False
            self._patience.waited(self._lull.pause(self._sock, limit))
            if self._sink.due_seconds == 0.0:
                self._sink.flush()
        view = self._sink.room(limit)
        filled = self._fill(view, self._drain(view))
        if filled is None:
            self._sink.flush()
            return True
        self._patience.brought(filled)
        self._lull.received(filled)
        self._sink.put(filled)
        return filled > 0

    def _drain(self, view: memoryview) -> int:
        """Take what http.client's reader took from the socket together with the headers; how many
        bytes that was. Once `view` is not filled by it, it holds no more."""
        if self._buffered is None:
            return 0
        drained = 0
        with contextlib.suppress(OSError):
            # One read of the socket at most, when nothing is buffered. It would block (TLS says so
            # by an exception) or is broken: `_fill` will see.
            drained = self._buffered.readinto1(view) or 0
        if drained < len(view):
            self._buffered = None
        return drained

    def _fill(self, view: memoryview, filled: int) -> int | None:
        """Receive behind the first `filled` bytes until there is enough or nothing more at once; 0
        at the end of the body, None when nothing came and what was taken before has waited long
        enough for company."""
        enough = min(len(view), _ENOUGH_BYTES)
        with _network_errors(self._patience.who, self._wire):
            while filled < enough:
                try:
                    received = self._sock.recv_into(view[filled:])
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as wait:
                    if filled:
                        self._is_dry = True
                        break
                    writing = isinstance(wait, ssl.SSLWantWriteError)
                    event = select.POLLOUT if writing else select.POLLIN
                    if not self._patience.wait_for(self._sock, event, self._sink.due_seconds):
                        return None
                    continue
                except OSError:
                    if filled:  # first what arrived; the next call meets the broken connection
                        break
                    raise
                if received == 0:
                    break
                filled += received
                if filled < enough and self._is_plain and self._lull.is_on:
                    self._is_dry = True  # on a slow line it is, without asking once more
                    break
        return filled


class PortableReader:
    """urllib3's read1, the one of its calls that hands out what there is."""

    def __init__(
        self,
        raw: Any,
        wire: Wire,
        sink: Sink,
        patience: Patience,
        clock: Clock,
        stack: contextlib.ExitStack,
    ) -> None:
        self._raw = raw
        self._wire = wire
        self._sink = sink
        self._patience = patience
        self._clock = clock
        self._watch = stack.enter_context(contextlib.ExitStack())
        self._watched_until = clock.monotonic()
        if wire.socket is not None:
            wire.socket.settimeout(patience.idle_timeout_seconds)

    def step(self, limit: int) -> bool:
        begun = self._clock.monotonic()
        self._keep_watch(begun)
        with _network_errors(self._patience.who, self._wire):
            try:
                data = self._raw.read1(min(limit, _READ_BYTES), decode_content=False)
            except (ReadTimeoutError, TimeoutError) as error:
                self._wire.check()
                raise self._patience.stalled() from error
            except ProtocolError as error:
                if not isinstance(error.__cause__, http.client.IncompleteRead):
                    raise
                data = b""  # just the end of the body, to be judged by what we counted
        self._patience.brought(len(data))
        self._sink.append(memoryview(data)[:limit])
        self._patience.waited(self._clock.monotonic() - begun)
        return bool(data)

    def _keep_watch(self, now: float) -> None:
        """One read may hang for ever in chunk headers that come byte by byte: a timer frees it."""
        if now >= self._watched_until:
            window = self._patience.window_seconds
            self._watch.close()
            self._watch.enter_context(
                self._wire.deadline(3 * window, f"{self._patience.who}: a piece")
            )
            self._watched_until = now + window
