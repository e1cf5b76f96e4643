"""A response body's way into the file: three ways to move the bytes, the fastest possible one is
taken.

None of them loses a byte that arrived before the connection broke, which `iter_content` and
buffered reads do. Measured on one machine, as multiples of curl's speed: splice 2.1-2.3, receive
1.7-2.0, portable 0.8-1.5.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import http.client
import io
import os
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
from jack.transfer.part import CANNOT_SPLICE, Part
from jack.transfer.patience import Patience

_BUFFER_BYTES = 1024 * 1024
_ENOUGH_BYTES = 256 * 1024
"""What is worth a write: TLS hands out 16 KiB at most per call."""
_READ_BYTES = 256 * 1024
_WORTH_A_PIPE_BYTES = 1024 * 1024


class Way(enum.Enum):
    """How bytes get from the socket to the file."""

    SPLICE = "splice"
    """socket -> pipe -> file inside the kernel: Linux, no TLS, no chunks."""
    RECEIVE = "receive"
    """One buffer, used again and again: no chunks."""
    PORTABLE = "portable"
    """Through urllib3: always works."""


ALL_WAYS = frozenset(Way)


class Reader(Protocol):
    """Moves the body into the file, piece by piece."""

    def step(self, limit: int) -> None:
        """Append what there is, at least one byte and at most `limit`; nothing only at the body's
        end.

        Raises TransientError for the network, StorageError and its like for the disk, and what the
        wire was aborted with.
        """


class BrokenFraming(errors.ProtocolError):
    """Where the body's bytes end and its frames begin cannot be told: what was received of it may
    hold wrong ones."""


@contextlib.contextmanager
def open_reader(
    raw: Any,
    wire: Wire,
    part: Part,
    patience: Patience,
    clock: Clock,
    size: int,
    ways: frozenset[Way],
) -> Iterator[Reader]:
    """The fastest of `ways` for the body of `raw` (urllib3's response), of which `size` bytes are
    wanted."""
    with contextlib.ExitStack() as stack:
        direct = _unwrapped(raw, wire)
        if direct is None or ways == {Way.PORTABLE}:
            yield _Portable(raw, wire, part, patience, clock, stack)
            return
        sock, buffered = direct
        sock.settimeout(0)
        receive = _Receive(sock, buffered, wire, part, patience, size)
        tls = isinstance(sock, ssl.SSLSocket)
        if Way.SPLICE not in ways or tls or not hasattr(os, "splice") or size < _WORTH_A_PIPE_BYTES:
            yield receive
            return
        try:
            pipe = stack.enter_context(_pipe())
        except OSError:  # no file descriptor left: that one is not needed
            yield receive
            return
        yield _Splice(sock, wire, part, patience, pipe, receive)


def _unwrapped(raw: Any, wire: Wire) -> tuple[socket.socket, io.BufferedReader] | None:
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


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError, AttributeError):  # a small pipe only costs speed
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)
        yield ends
    finally:
        os.close(ends[0])
        os.close(ends[1])


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


class _Receive:
    """recv_into one buffer, then write. The socket does not block; waiting is done in
    `patience`."""

    def __init__(
        self,
        sock: socket.socket,
        buffered: io.BufferedReader,
        wire: Wire,
        part: Part,
        patience: Patience,
        size: int,
    ) -> None:
        self._sock = sock
        self._wire = wire
        self._buffered: io.BufferedReader | None = buffered
        self._part = part
        self._patience = patience
        self._size = min(size, _BUFFER_BYTES)
        self._view: memoryview | None = None

    def step(self, limit: int) -> None:
        if self.drain(limit):
            return
        if self._view is None:
            self._view = memoryview(bytearray(self._size))
        with _network_errors(self._patience.who, self._wire):
            filled = self._fill(self._view[: min(limit, len(self._view))])
        self._patience.brought(filled)
        self._part.append(self._view[:filled])

    def drain(self, limit: int) -> bool:
        """Append what http.client's reader took from the socket together with the headers, the
        first time; False when that was nothing."""
        buffered, self._buffered = self._buffered, None
        if buffered is None:
            return False
        try:
            data = buffered.read1(limit)  # one read of the socket at most, when nothing is buffered
        except OSError:  # would block (TLS says so by an exception) or is broken: `_fill` will see
            return False
        self._patience.brought(len(data))
        self._part.append(memoryview(data or b""))
        return bool(data)

    def _fill(self, view: memoryview) -> int:
        """Receive until there is enough or nothing more at once; 0 at the end of the body."""
        filled, enough = 0, min(len(view), _ENOUGH_BYTES)
        while filled < enough:
            try:
                received = self._sock.recv_into(view[filled:])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as wait:
                if filled:
                    break
                writing = isinstance(wait, ssl.SSLWantWriteError)
                self._patience.wait_for(self._sock, select.POLLOUT if writing else select.POLLIN)
                continue
            except OSError:
                if filled:  # first what arrived; the next call meets the broken connection again
                    break
                raise
            if received == 0:
                break
            filled += received
        return filled


class _Splice:
    """splice(2) through a pipe; the bytes never enter this process."""

    def __init__(
        self,
        sock: socket.socket,
        wire: Wire,
        part: Part,
        patience: Patience,
        pipe: tuple[int, int],
        receive: _Receive,
    ) -> None:
        self._sock = sock
        self._wire = wire
        self._part = part
        self._patience = patience
        self._out, self._in = pipe
        self._receive = receive
        self._works = True

    def step(self, limit: int) -> None:
        if self._works and self._receive.drain(limit):
            return
        moved = self._into_pipe(min(limit, _BUFFER_BYTES)) if self._works else None
        if moved is None:
            self._receive.step(limit)
            return
        self._patience.brought(moved)
        self._works = self._part.append_from_pipe(self._out, moved)

    def _into_pipe(self, limit: int) -> int | None:
        """How many bytes went from the socket into the pipe; None when splice does not work
        here."""
        flags = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
        with _network_errors(self._patience.who, self._wire):
            while True:
                try:
                    return os.splice(self._sock.fileno(), self._in, limit, flags=flags)
                except BlockingIOError:
                    self._patience.wait_for(self._sock)
                except OSError as error:
                    if error.errno not in CANNOT_SPLICE:
                        raise
                    self._works = False
                    return None


class _Portable:
    """urllib3's read1, the one of its calls that hands out what there is."""

    def __init__(
        self,
        raw: Any,
        wire: Wire,
        part: Part,
        patience: Patience,
        clock: Clock,
        stack: contextlib.ExitStack,
    ) -> None:
        self._raw = raw
        self._wire = wire
        self._part = part
        self._patience = patience
        self._clock = clock
        self._watch = stack.enter_context(contextlib.ExitStack())
        self._watched_until = clock.monotonic()
        if wire.socket is not None:
            wire.socket.settimeout(patience.idle_timeout_seconds)

    def step(self, limit: int) -> None:
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
        self._part.append(memoryview(data)[:limit])
        self._patience.waited(self._clock.monotonic() - begun)

    def _keep_watch(self, now: float) -> None:
        """One read may hang for ever in chunk headers that come byte by byte: a timer frees it."""
        if now >= self._watched_until:
            window = self._patience.window_seconds
            self._watch.close()
            self._watch.enter_context(
                self._wire.deadline(3 * window, f"{self._patience.who}: a piece")
            )
            self._watched_until = now + window
