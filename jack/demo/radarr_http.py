"""The HTTP side of the pretend Radarr: a key, JSON in, JSON out."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.05

Answer = tuple[int, object]
"""Status and JSON."""


class JsonServer:
    """Listens on a free port of loopback from the start; `close` ends it.

    `answer` gets method, path with query, and the parsed body, of clients that know the key only.
    """

    def __init__(self, key: str, answer: Callable[[str, str, Any], Answer]) -> None:
        self._server = _Server(key, answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_SECONDS,), name=self.url, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, key: str, answer: Callable[[str, str, Any], Answer]) -> None:
        self.key = key
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _JsonHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed in the middle of a request is part of the play."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _JsonHandler(BaseHTTPRequestHandler):
    """HTTP/1.0, one request per connection: no thread outlives its request."""

    server: _Server
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer: Answer = (401, {"message": "Unauthorized"})
        if self.headers.get("X-Api-Key") == self.server.key:
            answer = self.server.answer(self.command, self.path, json.loads(raw or "null"))
        status, content = answer
        said = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the screen belongs to the play."""
