"""The line between the two jacks of the demo: a TCP relay that is slow on purpose and can be
cut.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time

BLOCK = 256 * 1024
_RANGE = re.compile(rb"^Range: (bytes=\d+-)\r?$", re.MULTILINE | re.IGNORECASE)


class Cable:
    """Relays connections to `port` on this machine; `port` of the cable itself is `.port`."""

    def __init__(self, target_port: int, bytes_per_second: int) -> None:
        self._target_port = target_port
        self._bytes_per_second = bytes_per_second
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self.carried = 0
        """Bytes the friend has sent."""
        self.ranges: list[str] = []
        """The Range headers seen on the way to the friend."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def cut(self) -> int:
        """Reset every connection, as a pulled plug or a router restart does; returns how many."""
        with self._lock:
            victims = list(self._open)
            self._open.clear()
        for victim in victims:
            with contextlib.suppress(OSError):
                victim.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                victim.shutdown(socket.SHUT_RDWR)
        return len(victims) // 2

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _spawn(self, target: object, *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port), 5)
            except OSError:
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            self._spawn(self._carry, near, far, False)
            self._spawn(self._carry, far, near, True)

    def _carry(self, source: socket.socket, sink: socket.socket, from_friend: bool) -> None:
        due = time.monotonic()
        try:
            while data := source.recv(BLOCK):
                if from_friend:
                    self.carried += len(data)
                    due = max(due, time.monotonic()) + len(data) / self._bytes_per_second
                    self._closed.wait(max(0.0, due - time.monotonic()))
                else:
                    self.ranges += [found.decode() for found in _RANGE.findall(data)]
                sink.sendall(data)
        except OSError:
            pass  # cut, or one side has gone: both directions end
        finally:
            with self._lock:
                self._open -= {source, sink}
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
