"""A part of a file as the body of an answer."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import quote

from jack.library.shared import OpenFile
from jack.support.files import shown
from jack.web.readahead import BLOCK_BYTES, ReadAhead, is_cached
from jack.web.spans import Span
from jack.web.uploads import Upload

log = logging.getLogger(__name__)

LONGEST_LIST_BYTES = 1024 * 1024
"""A list that is longer counts as a film."""
_CACHED_SECONDS = 5.0
"""Bytes seen in memory are taken to be there for so long: small sends need not ask each time."""
_ATTR_CHARACTERS = "!#$&+-.^_`|~"
"""What RFC 8187 section 3.2.1 lets stand unescaped besides letters and digits."""


class FileWindow:
    """A span of an open file that looks like a file of its own, and owns the descriptor.

    waitress takes the length of a body from seek and tell, and would quietly lower Content-Length
    for a file that has shrunk. The window always claims the whole span, and reading where the file
    has ended raises OSError, upon which waitress drops the connection: short, never padded.
    It leaves `upload`, the place that it holds if it needs one, when the last byte has left or the
    connection is gone.
    """

    def __init__(
        self,
        opened: OpenFile,
        span: Span,
        upload: Upload | None = None,
        is_list: bool = False,
    ) -> None:
        self.upload = upload
        self.is_list = is_list
        self.counts_as_film = not is_list or span.length > LONGEST_LIST_BYTES
        """Whether the limit of bytes per second counts it, and no newcomer drives it out."""
        self._opened = opened
        self._span = span
        self._position = 0
        self._cached_up_to = 0
        self._known_since_seconds = 0.0
        self._is_closed = False

    @property
    def left(self) -> int:
        """Bytes from here to the end of the span."""
        return self._span.length - self._position

    @property
    def offset(self) -> int:
        """Where we are in the file."""
        return self._span.start + self._position

    def ready(self, count: int) -> int:
        """How many of the next `count` bytes can very likely be sent without waiting for a disk;
        with 0, use `read_ahead`.
        """
        wanted = min(count, self.left)
        known = self._cached_up_to - self.offset
        if known > 0 and time.monotonic() - self._known_since_seconds < _CACHED_SECONDS:
            return min(wanted, known)
        for some in (wanted, min(wanted, BLOCK_BYTES)):
            if is_cached(self._opened.descriptor, self.offset, some):
                self._know(some)
                return some
        return 0

    def read_ahead(self, ahead: ReadAhead, count: int, done: Callable[[], None]) -> None:
        """Have up to `count` bytes from here read into the system's cache, then call `done`."""
        wanted = min(count, self.left)

        def has_read() -> None:
            # Asking again could go on for ever where the cache keeps nothing.
            self._know(wanted)
            done()

        ahead.want(self._opened, self.offset, wanted, has_read)

    def _know(self, count: int) -> None:
        self._cached_up_to = self.offset + count
        self._known_since_seconds = time.monotonic()

    def read(self, size: int = -1) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        if wanted <= 0:
            return b""
        self._check_version()
        data = os.pread(self._opened.descriptor, wanted, self.offset)
        if not data:
            self._refuse("became shorter")
        self._position += len(data)
        return data

    def send(self, descriptor: int, count: int) -> int:
        """Have the kernel send up to `count` bytes from here to a socket, and stay here.

        Raises OSError: BlockingIOError when the socket is full, and whatever else sendfile says.
        """
        wanted = min(count, self.left)
        self._check_version()
        sent = os.sendfile(descriptor, self._opened.descriptor, self.offset, wanted)
        if not sent:
            self._refuse("became shorter")
        return sent

    def _check_version(self) -> None:
        """One whole answer must not hold bytes of two versions: the client could not tell. A file
        that shrinks never ends whole, and one that grows is still written to at its end.
        """
        status = os.fstat(self._opened.descriptor)
        is_same_size = status.st_size == self._opened.size
        if is_same_size and status.st_mtime_ns != self._opened.modified_ns:
            self._refuse("was overwritten")

    def _refuse(self, what: str) -> NoReturn:
        log.warning("%s %s while it was sent", shown(self._opened.filename), what)
        raise OSError(errno.EIO, f"the file {what} while it was sent")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._span.length}
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            if self.upload:
                self.upload.leave()
            self._opened.close()


def content_disposition(filename: str) -> str:
    """`attachment` with the name in ASCII and in full (RFC 6266, 4.3 and appendix D).

    Everything but plain printable characters is replaced or percent-encoded, so that no name can
    end the header or the quoted string.
    """
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    full = quote(filename, safe=_ATTR_CHARACTERS)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"
