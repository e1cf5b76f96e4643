"""A small Radarr or Sonarr on loopback: answers like the real ones, and fails on demand.

    with FakeArr("radarr", api_key="k") as radarr:
        ... radarr.url ...
        radarr.wait_for_commands(1)
        radarr.go_down(); radarr.come_back()          # the same port, refused in between
        with radarr.answering(503, "<html>starting</html>"): ...
        with radarr.hanging(): ...                    # takes the request, says nothing

Commands end at once (`completed`); a path that does not exist ends as `unsuccessful`, as there.
With `hold_commands=True` they stay `queued`, and an identical one is answered with the first's id.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.fake_arr_providers import Answer, Providers
from tests.support.ports import Port

PRODUCTS = {"radarr": "Radarr", "sonarr": "Sonarr"}
SCANS = {"radarr": "DownloadedMoviesScan", "sonarr": "DownloadedEpisodesScan"}
WAIT_SECONDS = 10.0
START_PAGE = "<!doctype html><html><head><title>Start</title></head><body></body></html>"
"""The single-page interface, which answers every address outside the API."""
NOT_FOUND = {
    "type": "https://tools.ietf.org/html/rfc9110#section-15.5.5",
    "title": "Not Found",
    "status": 404,
    "traceId": "00-7c68aca99a00d4ebb4e122d0872d2e49-af8d9faf6ca9ce00-00",
}
"""Of a command that Radarr does not know; a route that is not there is a 404 without a body."""
_ORDER = {
    "requiresDiskAccess": True,
    "sendUpdatesToClient": True,
    "updateScheduledTask": True,
    "isExclusive": False,
    "isLongRunning": False,
    "trigger": "manual",
    "suppressMessages": False,
}
_SCAN = {**_ORDER, "isLongRunning": True, "suppressMessages": True}
COMMAND_BODY: Mapping[tuple[str, bool], Mapping[str, Any]] = {
    ("radarr", True): {**_ORDER, "isTypeExclusive": False},
    ("radarr", False): {**_SCAN, "isTypeExclusive": False, "sendUpdates": False}
    | {"sendUpdatesToClient": False},
    ("sonarr", True): _ORDER,
    ("sonarr", False): _SCAN,
}
"""What the programs add to the body of an order: (kind, whether it is a ManualImport)."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `body` is the parsed JSON, or the raw text when it was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class FakeArr:
    """One fake server; listens from construction on. `close` (or `with`) ends every thread."""

    def __init__(
        self,
        kind: str = "radarr",
        api_key: str = "0123456789abcdef0123456789abcdef",
        url_base: str = "",
        hold_commands: bool = False,
    ) -> None:
        self.kind = kind
        self.product = PRODUCTS[kind]
        self.api_key = api_key
        self.url_base = url_base
        self.hold_commands = hold_commands
        self.providers = Providers(kind)
        """Indexers, download clients, and the folders this *arr can see."""
        self.requests: list[Request] = []
        self.commands: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._fault: Answer | None = None
        self._gate = threading.Event()
        self._gate.set()
        self._port = Port()
        self.port: int = self._port.number
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.come_back()

    def __enter__(self) -> FakeArr:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.url_base}"

    @property
    def is_idle(self) -> bool:
        """Whether nobody is connected."""
        return self._server is None or self._server.is_idle

    @property
    def scanned(self) -> list[str]:
        """The paths of the import commands, in the order they came."""
        with self._changed:
            return [str(command["body"].get("path")) for command in self.commands]

    # -- faults ------------------------------------------------------------------------------------

    def go_down(self) -> None:
        """Close the port and every open connection: from here on connecting is refused."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.shutdown()
        thread.join()
        server.cut_connections()
        was_open = self._gate.is_set()
        self._gate.set()  # lets hanging handlers see their cut connection
        server.server_close()  # joins the handlers' threads
        if not was_open:
            self._gate.clear()

    def come_back(self) -> None:
        """Listen again, on the same port. What was recorded stays."""
        if self._server is None:
            self._server = _Server(self)
            self._thread = threading.Thread(
                target=self._server.serve_forever,
                kwargs={"poll_interval": 0.01},
                name=f"fake-{self.kind}",
                daemon=True,
            )
            self._thread.start()

    @contextlib.contextmanager
    def answering(
        self, status: int, body: Any = "", headers: Mapping[str, str] | None = None
    ) -> Iterator[None]:
        """Inside the block every request gets this answer (text is sent as HTML)."""
        self._fault = Answer(status, body, headers or {})
        try:
            yield
        finally:
            self._fault = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Inside the block requests are taken and recorded, and answered only after it."""
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    def close(self) -> None:
        self._gate.set()
        self.go_down()
        self._port.close()

    # -- waiting -----------------------------------------------------------------------------------

    def wait_for_commands(self, count: int, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Return once `count` commands were accepted; AssertionError when that takes too long."""
        self._wait(lambda: len(self.commands) >= count, f"{count} commands", timeout_seconds)

    def wait_for_requests(self, count: int, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Return once `count` requests arrived, answered or not."""
        self._wait(lambda: len(self.requests) >= count, f"{count} requests", timeout_seconds)

    def _wait(self, done: Any, what: str, timeout_seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(done, timeout_seconds):
                raise AssertionError(
                    f"{self.product}: no {what} in {timeout_seconds:g} s;"
                    f" {len(self.requests)} requests, commands {self.commands}"
                )

    # -- answers (called by the handler) -----------------------------------------------------------

    def handle(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        self._gate.wait()
        if self._server is None:
            return Answer(503)
        settled = self._fault or self._refusal(request) or self._of_providers(request)
        with self._changed:
            if self._server is None:
                return Answer(503)  # down meanwhile: nobody reads this, and no command is taken
            answer = settled or self._route(request)
            self._changed.notify_all()
        return answer

    def _of_providers(self, request: Request) -> Answer | None:
        """Without the lock: a Test asks the indexer, which may ask this *arr in turn."""
        parts = urlsplit(request.path)
        route = parts.path.removeprefix(f"{self.url_base}/api/v3/")
        return self.providers.answer(
            request.method, route, dict(parse_qsl(parts.query)), request.body
        )

    def _refusal(self, request: Request) -> Answer | None:
        """What needs no key, or has none; None for everything else."""
        path = request.path.split("?", 1)[0]
        if path == f"{self.url_base}/ping":
            return Answer(200, {"status": "OK"})
        if path != f"{self.url_base}/api" and not path.startswith(f"{self.url_base}/api/"):
            return Answer(200, START_PAGE)
        sent = {name.lower(): value for name, value in request.headers.items()}
        if sent.get("x-api-key") != self.api_key:
            return Answer(401)
        if path == f"{self.url_base}/api":
            return Answer(200, {"current": "v3", "deprecated": []})
        return None

    def _route(self, request: Request) -> Answer:
        path = request.path.split("?", 1)[0]
        route = (request.method, path.removeprefix(f"{self.url_base}/api/v3/"))
        if route == ("GET", "system/status"):
            return Answer(200, self._status())
        if route == ("POST", "command"):
            return self._take_command(request.body)
        if route == ("GET", "command"):
            return Answer(200, [self._shown(command) for command in self.commands])
        if request.method == "GET" and route[1].startswith("command/"):
            wanted = route[1].removeprefix("command/")
            found = [command for command in self.commands if str(command["id"]) == wanted]
            return Answer(200, self._shown(found[0])) if found else self._not_there()
        return Answer(404)

    def _not_there(self) -> Answer:
        """Radarr says so in the answer's body, too."""
        return Answer(404, NOT_FOUND if self.kind == "radarr" else "")

    def _status(self) -> dict[str, Any]:
        return {
            "appName": self.product,
            "instanceName": self.product,
            "version": "6.1.0.10293" if self.kind == "radarr" else "4.0.19.2979",
            "urlBase": self.url_base,
            "isDocker": True,
        }

    def _take_command(self, body: Any) -> Answer:
        if not isinstance(body, dict) or not body.get("name"):
            return Answer(400, {"message": "A request body is required", "description": "..."})
        if str(body["name"]).lower() != SCANS[self.kind].lower():
            message = "Sequence contains no matching element"
            status = 500 if self.kind == "radarr" else 400
            return Answer(status, {"message": message, "description": "(stack trace)"})
        return self._started(body)

    def _started(self, body: Mapping[str, Any]) -> Answer:
        """An identical one that still waits is the same one."""
        for command in self.commands:
            if command["status"] == "queued" and command["body"] == body:
                return Answer(201, self._shown(command))
        status = "queued" if self.hold_commands else "started"
        command = {"id": len(self.commands) + 1, "name": body["name"], "body": body}
        command |= {"status": status, "result": "unknown"}
        answer = Answer(201, self._shown(command))
        self.commands.append(command)
        if not self.hold_commands:
            self._finish(command)
        return answer

    def _finish(self, command: dict[str, Any]) -> None:
        command |= self._outcome(command["body"])

    def _outcome(self, body: Mapping[str, Any]) -> dict[str, Any]:
        path = body.get("path")
        if not path:
            return {"status": "failed", "exception": "A path must be provided"}
        if not os.path.exists(path):
            return {"status": "completed", "result": "unsuccessful", "message": "Failed to import"}
        return {"status": "completed", "result": "successful", "message": "Completed"}

    def _shown(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """As it is sent: with what the program adds to the order, and the times."""
        is_manual = command["name"] == "ManualImport"
        moment = "2026-11-28T01:03:31Z"
        body = {**COMMAND_BODY[self.kind, is_manual], "importMode": "auto", **command["body"]}
        found: dict[str, Any] = {"commandName": "Manual Import" if is_manual else "Downloaded Scan"}
        found |= {"priority": "high" if is_manual else "normal", "trigger": "manual"}
        found |= {"sendUpdatesToClient": body["sendUpdatesToClient"], "updateScheduledTask": True}
        found |= {"queued": moment, "stateChangeTime": moment, **command, "body": body}
        if command["status"] != "queued":
            found["started"] = moment
        if command["status"] in {"completed", "failed"}:
            found |= {"ended": moment, "duration": "00:00:00.2412631"}
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close joins the handlers
    block_on_close = True

    def __init__(self, fake: FakeArr) -> None:
        self.fake = fake
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", fake.port), _Handler)

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    @property
    def is_idle(self) -> bool:
        with self._open_lock:
            return not self._open

    def cut_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened(request)  # here, not in the handler's thread: a cut right after accept meets it
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.closed(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the scenarios, not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: in two, Nagle costs 40 ms an answer
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _respond(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode("utf-8", "replace")
        answer = self.server.fake.handle(
            Request(self.command, self.path, dict(self.headers.items()), body)
        )
        payload, content_type = answer.encoded()
        self.send_response(answer.status)
        for name, value in {"Content-Type": content_type, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are recorded."""
