"""A connection of the server: fair to the others, and files leave it without passing through us."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import termios
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from jack.support.waits import REQUEST_SECONDS
from jack.web.auth import HOLD_ANSWER
from jack.web.crowd import home_of
from jack.web.pace import MAX_QUANTUM_BYTES, UploadPace
from jack.web.parsing import StrictParser
from jack.web.proxies import Proxies
from jack.web.readahead import ReadAhead
from jack.web.streaming import FileWindow

COPY_BYTES = 262_144
"""Read from a file at once where the kernel cannot send it by itself. What the socket does not take
is read again, so more is not faster.
"""
TURN_BYTES = MAX_QUANTUM_BYTES
"""Sent to one connection before the others get their turn."""
_UNREAD_BLOCKS = 16
_UNREAD_BYTES = 16_384
UNREAD_ANSWER_BYTES = 65_536
"""Who has not read so much of our answers gets no further one."""
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
HAS_SENDFILE = hasattr(os, "sendfile")
_NOT_THIS_FILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})
"""What sendfile says of a file system (FUSE, some network folders) that it cannot send from."""


class OurTask(WSGITask):  # type: ignore[misc]  # waitress carries no types
    """A request that says who really asks, and whose answer may be told to wait."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[HOLD_ANSWER] = self.channel.hold
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        environ["REMOTE_ADDR"] = self.channel.asked_by(forwarded)
        return environ


class FairChannel(HTTPChannel):  # type: ignore[misc]  # waitress carries no types
    """A connection that leaves room for the others.

    waitress sends for as long as the socket takes bytes, so a reader as fast as the disk would hold
    its only event loop for a whole film. After TURN_BYTES this channel says "socket full", which
    waitress understands, and goes on in the next round of the loop. It says the same, and asks not
    to be woken, while a file of its has no turn with `pace`, and while `ahead` waits for the disk;
    everything else leaves at once.
    """

    parser_class = StrictParser
    task_class = OurTask
    will_close: bool

    def __init__(
        self,
        *args: Any,
        ahead: ReadAhead,
        pace: UploadPace | None = None,
        proxies: Proxies,
        **kwargs: Any,
    ) -> None:
        self._pace = pace
        self._proxies = proxies
        self._ahead = ahead
        self._is_reading = False
        self._window: FileWindow | None = None
        super().__init__(*args, **kwargs)
        self.sendbuf_len = COPY_BYTES
        self._turn_bytes = 0
        self._is_flushing = False
        address = str(self.addr[0])
        self.home = "" if address in proxies else home_of(address)
        """Whose connection it is; of a proxy's, the one it asked for last."""
        self._is_stalled = False
        self._held_until_seconds = 0.0
        self.moved_at_seconds = time.monotonic()
        """When the last byte came or went."""
        self._due_seconds: float | None = self.moved_at_seconds + REQUEST_SECONDS

    def received(self, data: bytes) -> bool:
        self.moved_at_seconds = now = time.monotonic()
        before = self.request
        taken = bool(super().received(data))
        if self.request is None or self.request is not before:
            self._due_seconds = now + REQUEST_SECONDS if self.request else None
        return taken

    def readable(self) -> bool:
        """Also gives up those who send their request byte by byte, for a waitress that hears
        anything at all takes them for alive.
        """
        self._is_stalled = self._is_stalled and _unarrived(self.socket) > UNREAD_ANSWER_BYTES
        is_readable = bool(super().readable()) and not self._is_stalled
        if self._due_seconds is not None:
            now = time.monotonic()
            if not is_readable:  # we do not listen, so it cannot be late
                self._due_seconds = now + REQUEST_SECONDS
            self.will_close = self.will_close or now > self._due_seconds
        return is_readable

    def handle_read(self) -> None:
        """Not from those who ask on without reading: the system would keep all their answers."""
        self._is_stalled = _unarrived(self.socket) > UNREAD_ANSWER_BYTES
        if not self._is_stalled:
            super().handle_read()

    @property
    def carries_file(self) -> bool:
        """Whether a film is on its way, which only a key can bring about."""
        window = self._window
        return window is not None and window.counts_as_film and bool(self.total_outbufs_len)

    @property
    def is_served(self) -> bool:
        """Whether an answer is being made."""
        return bool(self.requests)

    def writable(self) -> bool:
        """Not while a thread of the application sends: the loop could only spin until it has. If
        something is left, waitress wakes the loop afterwards.
        """
        self._look()
        if self._is_flushing:
            return False
        is_held = (
            self._is_held
            or self._is_reading
            or (self._pace is not None and self._pace.holds(id(self)))
        )
        if is_held and not self.will_close:
            return False
        return bool(super().writable())

    def hold(self, seconds: float) -> None:
        """The next answer leaves when so much time has passed, and up to a round of the loop."""
        self._held_until_seconds = time.monotonic() + seconds

    @property
    def _is_held(self) -> bool:
        return time.monotonic() < self._held_until_seconds

    def write_soon(self, data: Any) -> int:
        """waitress reads what it sends from `data.file`; see Pieces."""
        if isinstance(data, ReadOnlyFileBasedBuffer) and isinstance(data.file, FileWindow):
            self._window = data.file
            self._bound_unsent(UNREAD_ANSWER_BYTES if data.file.is_list else 0)
            if data.file.upload:
                data.file.upload.cut = self._cut
            data.file = Pieces(data.file) if HAS_SENDFILE else data.file
        return int(super().write_soon(data))

    def asked_by(self, forwarded: str) -> str:
        """The address of the one who asks now, by the X-Forwarded-For of the request."""
        address = str(self.addr[0])
        if address in self._proxies:
            address = self._proxies.client_of(address, forwarded)
            self.home = "" if address in self._proxies else home_of(address)
        return address

    def _bound_unsent(self, most_bytes: int) -> None:
        """How much of what cannot leave yet the system takes from us (tcp(7), TCP_NOTSENT_LOWAT);
        0: as much as it likes. A list that is in there whole would hold a place no longer.
        """
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, most_bytes)

    def _look(self) -> None:
        """Tell the upload under way how far it is."""
        if self._window and self._window.upload and not self.will_close:
            self._window.upload.look(self._window.tell(), partial(_unarrived, self.socket))

    def _cut(self) -> None:
        """End the connection, from any thread. What the system has of it still arrives. The loop
        is told by the shutdown, for a full socket would tell nothing else.
        """
        self.will_close = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.server.pull_trigger()

    def _flush_some(self, do_close: bool = True) -> bool:
        if self._is_held:
            return False
        self._turn_bytes = 0
        self._is_flushing = True
        try:
            return bool(super()._flush_some(do_close=do_close))
        finally:
            self._is_flushing = False

    def send(self, data: bytes | Piece, do_close: bool = True) -> int:
        wanted = min(len(data), TURN_BYTES - self._turn_bytes)
        if wanted <= 0:
            return 0
        is_file = isinstance(self.outbufs[0], ReadOnlyFileBasedBuffer)
        if self._pace and is_file and self._window and self._window.counts_as_film:
            sent = self._send_paced(self._pace, data, wanted, do_close)
        else:
            sent = self._send(data, wanted, do_close)
        self._turn_bytes += sent
        if sent:
            self.moved_at_seconds = time.monotonic()
        return sent

    def _send_paced(
        self, pace: UploadPace, data: bytes | Piece, wanted: int, do_close: bool
    ) -> int:
        if wanted < min(len(data), pace.quantum_bytes):  # the rest of a turn; the next is whole
            return 0
        granted = pace.take(id(self), wanted)
        sent = 0
        try:
            sent = self._send(data, granted, do_close) if granted else 0
        finally:
            pace.give_back(granted - sent)
        return sent

    def _send(self, data: bytes | Piece, count: int, do_close: bool) -> int:
        if not isinstance(data, Piece):
            return int(super().send(memoryview(data)[:count], do_close=do_close) or 0)
        count = 0 if self._is_reading else data.window.ready(count)
        if not count:
            self._read_ahead(data.window)
            return 0
        try:
            return data.window.send(self.socket.fileno(), count)
        except BlockingIOError:
            return 0
        except OSError as error:
            # A peer that is gone needs nothing else here: waitress closes on any OSError.
            if error.errno not in _NOT_THIS_FILE:
                raise
            self.outbufs[0].file = data.window
            return 0

    def _read_ahead(self, window: FileWindow) -> None:
        if not self._is_reading:
            self._is_reading = True
            window.read_ahead(self._ahead, TURN_BYTES, self._has_read)

    def _has_read(self) -> None:
        self._is_reading = False
        self.server.pull_trigger()

    def handle_close(self) -> None:
        """Closing with unread bytes makes the system send a reset, which would overtake the answer
        that says why.
        """
        sock = self.socket
        with contextlib.suppress(OSError):
            for _ in range(_UNREAD_BLOCKS):
                if sock is None or not sock.recv(_UNREAD_BYTES):
                    break
        super().handle_close()

    def del_channel(self, map: Any = None) -> None:
        if self._pace is not None:
            self._pace.forget(id(self))
        super().del_channel(map)


def _unarrived(sock: socket.socket) -> int:
    """Bytes that the reader's system has not acknowledged; 0 where ours does not tell."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0])
    except OSError:
        return 0


@dataclass(frozen=True)
class Piece:
    """`length` bytes of a file that have not been read: the kernel sends them from its cache."""

    window: FileWindow
    length: int

    def __len__(self) -> int:
        return self.length


class Pieces:
    """Stands for a FileWindow towards waitress, which calls only what is here: what it "reads" are
    Pieces, and it hands them to `FairChannel.send` without looking inside.
    """

    def __init__(self, window: FileWindow) -> None:
        self._window = window
        self.seek = window.seek
        self.tell = window.tell
        self.close = window.close

    def read(self, size: int) -> Piece:
        """All that is left, for nothing of it comes into memory; `size` is about memory."""
        return Piece(self._window, self._window.left)
