"""A friend's jack on a raw socket: honest by default, and as broken as a script says.

    with ScriptedPeer() as peer:
        peer.offer("c:movie:1", body, filename="Film (2020).mkv", etag='"v1"')
        ... peer.url ...                                    # metadata and file are served honestly
        peer.script(file_path("c:movie:1"),                 # used up in order, then honest again
            Answer(503, {"Retry-After": "5"}),
            lambda request: replace(peer.honest(request), cut_after=700_000),
            Answer(200, body=b"x" * 100, length=5000))      # lies, then hangs up
        peer.always(path, lambda request: ...)              # for every request to that path
        peer.requests                                       # what arrived, and how much was sent

An `Answer` is sent as it is, sense or not. Paths are compared without percent-encoding. With
`api_key` requests without it are refused; `tls` takes an SSLContext; `prefix` puts everything below
a path; `port` is for a peer that comes back where it was. Closing ends all connections and threads.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.ports import Port

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


@dataclass
class Request:
    """One request as it arrived: header names in lower case; `sent` counts the answer's body."""

    method: str
    path: str
    headers: Mapping[str, str]
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass(frozen=True)
class Answer:
    """What to send. `length` is the Content-Length: -1 the body's own, None no such header. After
    `cut_after` body bytes the peer hangs up, with RST if `reset`, else FIN; at `pause_at` it waits
    for `gate`; small pieces with a pause between make a trickle. `raw` replaces all, then FIN."""

    status: int = 200
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    body: bytes | memoryview = b""
    length: int | None = -1
    chunked: bool = False
    cut_after: int | None = None
    reset: bool = False
    pause_at: int | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    piece_bytes: int = 256 * 1024
    piece_pause_seconds: float = 0.0
    keep_alive: bool = True
    raw: bytes | None = None


Script = Answer | Callable[[Request], Answer]


@dataclass(frozen=True)
class _Offer:
    release: Mapping[str, Any]
    body: bytes
    headers: Mapping[str, str]


def item_path(item_id: str) -> str:
    return f"/peer/items/{item_id}"


def file_path(item_id: str) -> str:
    return f"/peer/items/{item_id}/file"


class ScriptedPeer:
    """The server; the top of this module shows its use."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        api_key: str | None = None,
        prefix: str = "",
        port: int | None = None,
    ) -> None:
        self._tls = tls
        self._api_key = api_key
        self._prefix = prefix
        self._port = None if port else Port()
        """Also after the end: who comes back finds it free."""
        self.port: int = self._port.number if self._port else port or 0
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{prefix}"
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._offers: dict[str, _Offer] = {}
        self._scripts: dict[str, list[Script]] = defaultdict(list)
        self._always: dict[str, Script] = {}
        self._head_answer: Script = self.honest
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> ScriptedPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and thread; new connections are refused from then on."""
        self._closing.set()
        _shut(self._listener)
        self._listener.close()
        self._acceptor.join(20)
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            _shut(connection)
        for thread in threads:
            thread.join(20)

    @property
    def is_closed(self) -> bool:
        """Whether new connections are refused already."""
        return self._listener.fileno() == -1

    def back(self) -> ScriptedPeer:
        """After `close`: the same friend, back at the same address with what it shares."""
        peer = ScriptedPeer(self._tls, self._api_key, self._prefix, self.port)
        peer._offers = self._offers
        return peer

    def offer(
        self,
        item_id: str,
        body: bytes,
        *,
        filename: str = "Film (2020).mkv",
        category: int = 2000,
        size: int | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
        **release: Any,
    ) -> None:
        """Share `body`, or a new version of it; `size` is what the metadata says."""
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        versions = {"ETag": etag, "Last-Modified": last_modified}
        headers |= {name: value for name, value in versions.items() if value}
        title, told = filename.rsplit(".", 1)[0], len(body) if size is None else size
        release = {"title": title, "category": category, "size": told, **release}
        self._offers[item_id] = _Offer(
            {"id": item_id, "filename": filename, **release}, body, headers
        )

    def script(self, path: str, *answers: Script) -> None:
        """Answer the next requests to `path` with `answers`, one each."""
        with self._lock:
            self._scripts[path].extend(answers)

    def always(self, path: str, answer: Script | None) -> None:
        """Answer every request to `path` like that, after what `script` queued; None: honest."""
        with self._lock:
            self._always[path] = answer or self.honest
            if answer is None:
                self._scripts[path].clear()

    def on_head(self, answer: Script | None) -> None:
        """Answer every HEAD like that; None: honestly. Scripts for paths are for other methods."""
        self._head_answer = answer or self.honest

    def requests_to(self, path: str, method: str = "GET") -> list[Request]:
        asked = list(self.requests)
        return [each for each in asked if (each.path, each.method) == (path, method)]

    def honest(self, request: Request) -> Answer:
        """What a jack without faults answers."""
        if self._api_key is not None and request.headers.get("x-api-key") != self._api_key:
            return _json(401, {"error": "Unauthorized"})
        if request.path == "/handshake":
            return _json(200, {"name": "jack", "version": "0.1.0"})
        if request.path.partition("?")[0] == "/peer/search":
            return _json(200, {"items": [offer.release for offer in self._offers.values()]})
        name = request.path.removeprefix("/peer/items/")
        offer = self._offers.get(name.removesuffix("/file"))
        if offer is None:
            return _json(404, {"error": "Not found"})
        return _file(offer, request) if name.endswith("/file") else _json(200, offer.release)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        try:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                    with self._lock:
                        self._connections.add(connection)
                with connection.makefile("rb") as reader:
                    while (request := self._read(reader)) is not None:
                        if not self._send(connection, request, self._answer(request)):
                            break
        finally:
            connection.close()
            with self._lock:
                self._connections -= {plain, connection}
                self._threads.discard(threading.current_thread())

    def _read(self, reader: Any) -> Request | None:
        words = reader.readline(65536).decode("latin-1").split()
        if len(words) != 3:
            return None
        headers = {}
        while line := reader.readline(65536).decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        reader.read(int(headers.get("content-length", "0")))
        request = Request(words[0], unquote(words[1]).removeprefix(self._prefix), headers)
        self.requests.append(request)
        return request

    def _answer(self, request: Request) -> Answer:
        path = request.path.partition("?")[0]
        with self._lock:
            queue = self._scripts[path] if request.method != "HEAD" else []
            script = queue.pop(0) if queue else self._always.get(path, self.honest)
            script = self._head_answer if request.method == "HEAD" else script
        return script if isinstance(script, Answer) else script(request)

    def _send(self, connection: socket.socket, request: Request, answer: Answer) -> bool:
        """Send it all; True when the connection may serve another request."""
        if answer.raw is not None:
            connection.sendall(answer.raw)
            self._end(connection, answer)
            return False
        connection.sendall(_head(answer))
        if request.method == "HEAD":
            return answer.keep_alive
        body = memoryview(answer.body)[: answer.cut_after]
        while body and not self._closing.is_set():
            size = min(len(body), answer.piece_bytes)
            if answer.pause_at is not None and request.sent < answer.pause_at:
                size = min(size, answer.pause_at - request.sent)
            elif answer.pause_at is not None and not self._wait(answer.gate):
                return False
            piece = bytes(body[:size])
            connection.sendall(b"%x\r\n%b\r\n" % (size, piece) if answer.chunked else piece)
            request.sent += size
            body = body[size:]
            self._closing.wait(answer.piece_pause_seconds)
        if answer.pause_at == request.sent and not self._wait(answer.gate):
            return False
        return self._end(connection, answer)

    def _wait(self, gate: threading.Event) -> bool:
        while not gate.wait(0.02) and not self._closing.is_set():
            pass
        return gate.is_set()

    def _end(self, connection: socket.socket, answer: Answer) -> bool:
        if answer.reset:
            # Linger 0: close sends RST and drops what the other side has not fetched yet.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.reset or answer.cut_after is not None:
            return False
        if answer.chunked:
            connection.sendall(b"0\r\n\r\n")
        return answer.keep_alive and (answer.chunked or answer.length in (-1, len(answer.body)))


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _json(status: int, value: Any) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _file(offer: _Offer, request: Request) -> Answer:
    total, etag = len(offer.body), offer.headers.get("ETag")
    match = _RANGE.fullmatch(request.range or "")
    stale = "if-range" in request.headers and request.headers["if-range"] != etag
    if match is None or stale:
        return Answer(200, offer.headers, offer.body)
    start, end = int(match[1]), min(int(match[2] or total), total - 1)
    if start > end:
        return Answer(416, {**offer.headers, "Content-Range": f"bytes */{total}"})
    span = {**offer.headers, "Content-Range": f"bytes {start}-{end}/{total}"}
    return Answer(206, span, memoryview(offer.body)[start : end + 1])


def _head(answer: Answer) -> bytes:
    headers = answer.headers
    lines = list(headers.items() if isinstance(headers, Mapping) else headers)
    if answer.chunked:
        lines.append(("Transfer-Encoding", "chunked"))
    if answer.length is not None and (answer.length >= 0 or not answer.chunked):
        told = answer.length if answer.length >= 0 else len(answer.body)
        lines.append(("Content-Length", str(told)))
    status = f"HTTP/1.1 {answer.status} Scripted\r\n"
    return (status + "".join(f"{k}: {v}\r\n" for k, v in lines) + "\r\n").encode("latin-1")
