"""The edge to requests and urllib3: sessions, a handle on the socket in use, error translation,
capped bodies.

Foreign exceptions are turned into jack's own here and never travel further.
"""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import requests
import urllib3
import urllib3.connection
import urllib3.connectionpool
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from jack.errors import (
    JackError,
    PeerRefused,
    PeerUnreachable,
    ProtocolError,
    TransientError,
)
from jack.support.heads import BrokenChunks, NotHTTP, StrictResponse, TLSInstead
from jack.support.shortage import as_shortage
from jack.support.tls import tls_error
from jack.support.waits import CONNECT_TIMEOUT_SECONDS, HEADER_DEADLINE_SECONDS
from jack.support.wire import Wire

__all__ = [
    "HEADER_DEADLINE_SECONDS",
    "Wire",
    "new_session",
    "pieces_capped",
    "raw_pieces",
    "read_capped",
    "refuse_compressed",
    "send",
    "translated",
]

_URLLIB3_VERSION = str(getattr(urllib3, "__version__", "0."))
if _URLLIB3_VERSION.startswith(("0.", "1.")):
    # It would mostly work, and then let errors through that nobody here translates.
    raise ImportError(f"urllib3 {_URLLIB3_VERSION} is too old")

_PIECE_BYTES = 65536


_current_wire: contextvars.ContextVar[Wire | None] = contextvars.ContextVar("wire", default=None)


_NOT_HTTP = (
    http.client.BadStatusLine,
    http.client.LineTooLong,
    http.client.UnknownProtocol,
    NotHTTP,
    BrokenChunks,
    urllib3.exceptions.InvalidHeader,  # two Content-Lengths that differ, for example
    requests.exceptions.InvalidHeader,
)


def _bind_current(connection: Any, fresh: bool) -> None:
    wire = _current_wire.get()
    if wire is not None:
        wire.fresh = wire.fresh or fresh
        wire.bind(connection.sock)


class _Watched:
    """Tells the current wire which socket carries its exchange, and reads answers strictly."""

    response_class: type[http.client.HTTPResponse] = StrictResponse
    _handle: socket.socket | None = None

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # urllib3's connection stands behind this class
        finally:
            self._close_handle()
        _bind_current(self, fresh=True)

    def _new_conn(self) -> socket.socket:
        """The wire gets a second handle on the socket at once: for TLS the first one is taken over
        by the handshake, which may last as long as the other side likes.
        """
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        wire = _current_wire.get()
        if wire is not None:
            self._handle = sock.dup()
            wire.bind(self._handle)
        return sock

    def _close_handle(self) -> None:
        handle, self._handle = self._handle, None
        wire = _current_wire.get()
        if handle is not None and wire is not None:
            wire.bind(None)
            handle.close()

    def getresponse(self) -> Any:
        _bind_current(self, fresh=False)
        return super().getresponse()  # type: ignore[misc]


class _WatchedHTTP(_Watched, urllib3.connection.HTTPConnection):
    pass


class _WatchedHTTPS(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _WatchedHTTPPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _WatchedHTTPSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _WatchedHTTPPool,
            "https": _WatchedHTTPSPool,
        }


def new_session(
    headers: Mapping[str, str], ca_file: str | None, pool_size: int
) -> requests.Session:
    """A session that keeps connections alive and nothing else.

    Requests go past what requests.Session does with the environment, cookies and redirects (see
    `_exchange`): a proxy variable, a .netrc or another host would get to see the key.
    """
    session = requests.Session()
    session.verify = ca_file or True
    session.headers.clear()
    session.headers.update({"User-Agent": "jack", "Accept-Encoding": "identity", **headers})
    adapter = _Adapter(pool_connections=2, pool_maxsize=pool_size, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def send(
    session: requests.Session,
    method: str,
    url: str,
    *,
    who: str,
    wire: Wire,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    header_seconds: float = HEADER_DEADLINE_SECONDS,
) -> requests.Response:
    """Send one request and return once the headers are in; the body is left on the wire.

    Redirects are never followed: X-Api-Key is for this host only. A kept-alive
    connection that the other side had already closed is tried once more on a fresh one. Raises
    PeerUnreachable, PeerRefused, TransientError, or what the wire was aborted with.
    """
    try:
        return _send_once(session, method, url, who, wire, headers, json, header_seconds)
    except _StaleConnection:
        return _send_once(session, method, url, who, wire, headers, json, header_seconds)


class _StaleConnection(TransientError):
    pass


def _send_once(
    session: requests.Session,
    method: str,
    url: str,
    who: str,
    wire: Wire,
    headers: Mapping[str, str] | None,
    json: object,
    header_seconds: float,
) -> requests.Response:
    wire.check()
    token = _current_wire.set(wire)
    wire.bind(None)
    wire.fresh = False
    try:
        with (
            translated(who, wire),
            wire.deadline(CONNECT_TIMEOUT_SECONDS + header_seconds, f"{who}: an answer"),
        ):
            response = _exchange(session, method, url, headers or {}, json, header_seconds)
    finally:
        _current_wire.reset(token)
    try:
        wire.check()
    except JackError:
        response.close()  # nobody else will
        raise
    return response


def _exchange(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    json: object,
    header_seconds: float,
) -> requests.Response:
    """The request as requests' adapter takes it. Session.request would look for proxies, cookies
    and credentials to add, prepare to follow a redirect and unpack the body for that; none of this
    is wanted, and it takes longer than all the rest."""
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.url = url
    request.prepare_headers({**session.headers, **headers})
    request.prepare_body(None, None, json)
    return session.get_adapter(url).send(
        request,
        stream=True,
        timeout=(CONNECT_TIMEOUT_SECONDS, header_seconds),
        verify=session.verify or True,
    )


@contextlib.contextmanager
def translated(who: str, wire: Wire) -> Iterator[None]:
    """Turn everything requests, urllib3, http.client and the socket can raise into jack's
    errors.
    """
    try:
        yield
    except JackError:
        raise
    except (requests.RequestException, HTTPError, http.client.HTTPException, OSError) as error:
        wire.check()
        raise _translate(who, error, wire) from error
    except (ValueError, AttributeError) as error:
        # What these layers raise for an absurd header or for a socket shut under them.
        wire.check()
        raise ProtocolError(
            f"{who} sent something that is not HTTP ({type(error).__name__})"
        ) from error
    except MemoryError as error:
        wire.check()
        raise as_shortage(error) or error from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Every exception folded into `error`: urllib3 and requests carry the real one in `reason` or
    `args`.
    """
    stack, seen = [error], set()
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [getattr(current, "reason", None), current.__cause__, *current.args]
        stack.extend(item for item in inner if isinstance(item, BaseException))


def _translate(who: str, error: BaseException, wire: Wire) -> JackError:
    causes = list(_causes(error))
    shortage = next(filter(None, map(as_shortage, causes)), None)
    if shortage is not None:
        return shortage
    tls = _first(causes, ssl.SSLError)
    if tls is not None:
        return tls_error(who, tls)
    if _first(causes, NameResolutionError, socket.gaierror) is not None:
        return PeerUnreachable(f"{who}: its host name was not found")
    refused = _first(causes, ConnectTimeoutError, requests.ConnectTimeout, NewConnectionError)
    if refused is not None:
        return PeerUnreachable(f"{who} cannot be reached ({_short(causes)})")
    reset = _first(causes, ConnectionError, http.client.RemoteDisconnected) is not None
    if reset and not wire.fresh and wire.socket is not None:
        return _StaleConnection(f"{who} closed a kept-alive connection")
    if _first(causes, TLSInstead) is not None:
        return PeerRefused(f"{who} answers TLS; its url should start with https://")
    if _is_not_http(causes) and not reset:
        return ProtocolError(f"{who} sent something that is not HTTP")
    if _first(causes, TimeoutError, requests.Timeout) is not None:
        return TransientError(f"{who} did not answer in time")
    return TransientError(f"{who}: the connection broke ({_short(causes)})")


def _is_not_http(causes: list[BaseException]) -> bool:
    # The bare class is what http.client raises for more than 100 headers.
    too_many = any(type(cause) is http.client.HTTPException for cause in causes)
    return too_many or _first(causes, *_NOT_HTTP) is not None


def _first(causes: list[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def _short(causes: list[BaseException]) -> str:
    """The operating system's own words where there are any; urllib3's text would repeat the whole
    URL.
    """
    for cause in causes:
        if (
            isinstance(cause, OSError)
            and cause.strerror
            and not isinstance(cause, requests.RequestException)
        ):
            return cause.strerror
    deepest = causes[-1]
    return "timed out" if isinstance(deepest, TimeoutError) else type(deepest).__name__


def read_capped(response: requests.Response, limit: int, *, who: str, wire: Wire) -> bytes:
    """The whole body, at most `limit` bytes; more is a ProtocolError. Compressed bodies are refused
    unread.
    """
    return b"".join(pieces_capped(response, limit, who=who, wire=wire))


def pieces_capped(
    response: requests.Response, limit: int, *, who: str, wire: Wire
) -> Generator[bytes, None, None]:
    """As `read_capped`, piece by piece while they arrive; to be closed when not read to the end."""
    refuse_compressed(response, who)
    received = 0
    with (
        translated(who, wire),
        wire.deadline(HEADER_DEADLINE_SECONDS, f"{who}: the answer"),
        contextlib.closing(response),
    ):
        for piece in raw_pieces(response):
            received += len(piece)
            if received > limit:
                raise ProtocolError(f"{who} answered with more than {limit} bytes")
            yield piece
    wire.check()


def refuse_compressed(response: requests.Response, who: str) -> None:
    """Raise ProtocolError, and close the connection, for a body that is not as it was asked for."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        response.close()
        raise ProtocolError(f"{who} answered compressed although identity was asked for")


def raw_pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives, whatever Content-Encoding says.

    Not urllib3's `stream`: that one reads the frames of a chunked body by itself, and takes a size
    of -1 for "everything there is".
    """
    while piece := response.raw.read1(_PIECE_BYTES, decode_content=False):
        yield piece
