"""The edge to requests: one retry, deadlines, TLS, and nothing from the environment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PeerUnreachable,
    ProtocolError,
    StorageError,
    TransientError,
)
from jack.support import http
from jack.support.http import Wire, new_session, read_capped, send, translated
from tests.support.certificates import Certificate, self_signed
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.support.waiting import eventually


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with ScriptedPeer() as made:
        yield made


@pytest.fixture
def session() -> Iterator[requests.Session]:
    made = new_session({"X-Api-Key": "the-key"}, None, 4)
    yield made
    made.close()


def get(session: requests.Session, url: str, wire: Wire | None = None, **options: Any) -> bytes:
    """One whole exchange; the body."""
    wire = wire or Wire()
    response = send(session, "GET", url, who="ann", wire=wire, **options)
    return read_capped(response, 1024, who="ann", wire=wire)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(http, "HEADER_DEADLINE_SECONDS", 0.2)


def held(gate: threading.Event) -> Callable[[Request], Answer]:
    """Say nothing at all before `gate` is set."""

    def script(request: Request) -> Answer:
        gate.wait(30)
        return Answer()

    return script


# -- connections -----------------------------------------------------------------------------------


def test_a_connection_is_kept_and_used_again(peer: ScriptedPeer, session: requests.Session) -> None:
    first, second = Wire(), Wire()
    peer.always("/x", Answer(200, body=b"hello"))
    assert get(session, peer.url + "/x", first) == b"hello"
    assert get(session, peer.url + "/x", second) == b"hello"
    assert (first.fresh, second.fresh) == (True, False)


def test_a_kept_connection_that_was_closed_meanwhile_is_tried_once_more(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    hangs_up = Answer(raw=b"")
    peer.script("/x", Answer(200, body=b"one"), hangs_up, Answer(200, body=b"two"))
    wire = Wire()
    assert get(session, peer.url + "/x") == b"one"
    assert get(session, peer.url + "/x", wire) == b"two"
    assert wire.fresh
    assert len(peer.requests) == 3


def test_a_fresh_connection_that_is_hung_up_on_is_not_tried_twice(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    peer.always("/x", Answer(raw=b""))
    with pytest.raises(TransientError, match="the connection broke"):
        get(session, peer.url + "/x")
    assert len(peer.requests) == 1


@pytest.mark.fault("N1")
def test_nobody_listening_is_unreachable(session: requests.Session) -> None:
    gone = ScriptedPeer()
    gone.close()
    with pytest.raises(PeerUnreachable, match=r"^ann cannot be reached \(Connection refused\)$"):
        get(session, gone.url + "/x?secret=1")


@pytest.mark.fault("N3")
def test_an_unknown_host_name_is_said_in_one_sentence(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(PeerUnreachable, match=r"^ann: its host name was not found$"):
        get(session, "http://nas.example/x")


@pytest.mark.fault("N2")
def test_a_connect_that_takes_too_long_is_unreachable(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", too_long)
    with pytest.raises(PeerUnreachable, match=r"cannot be reached \(timed out\)"):
        get(session, "http://127.0.0.1:9/x")


# -- deadlines and aborts --------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_headers_that_never_come_end_at_the_deadline(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    gate = threading.Event()
    peer.always("/x", held(gate))
    with pytest.raises(TransientError, match="ann did not answer in time"):
        get(session, peer.url + "/x", header_seconds=0.2)
    gate.set()


@pytest.mark.usefixtures("impatient")
def test_headers_that_come_one_byte_at_a_time_end_at_the_deadline_too(
    session: requests.Session,
) -> None:
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 100_000:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
                if stop.wait(0.05):
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    with pytest.raises(TransientError, match=r"ann: an answer took longer"):
        get(session, url, header_seconds=0.4)
    stop.set()
    thread.join(20)
    listener.close()


@pytest.mark.usefixtures("impatient")
def test_a_small_body_that_trickles_ends_at_the_deadline(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    slow = Answer(200, body=b"x" * 1000, piece_bytes=1, piece_pause_seconds=0.05)
    peer.script("/x", slow)
    with pytest.raises(TransientError, match=r"ann: the answer took longer"):
        get(session, peer.url + "/x", header_seconds=20)


def test_a_wire_is_aborted_from_another_thread_and_keeps_its_first_reason(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    gate, wire = threading.Event(), Wire()
    peer.always("/x", held(gate))

    def abort() -> None:
        eventually(lambda: peer.requests)
        wire.abort(Interrupted("stop"))
        wire.abort(Interrupted("too late"))

    thread = threading.Thread(target=abort)
    thread.start()
    with pytest.raises(Interrupted, match=r"^stop$"):
        get(session, peer.url + "/x", wire)
    thread.join(20)
    gate.set()
    with pytest.raises(Interrupted):
        get(session, peer.url + "/x", wire)
    assert len(peer.requests) == 1, "an aborted wire sends nothing any more"


def test_a_wire_aborted_just_as_the_answer_comes_leaves_no_open_connection(
    peer: ScriptedPeer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, closed = Wire(), []
    real = HTTPAdapter.send
    close = requests.Response.close

    def send(self: HTTPAdapter, *args: Any, **options: Any) -> requests.Response:
        response = real(self, *args, **options)
        wire.abort(Interrupted("stop"))
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.setattr(requests.Response, "close", lambda self: (closed.append(1), close(self))[1])
    with pytest.raises(Interrupted):
        get(session, peer.url + "/handshake", wire)
    assert closed


# -- what is sent ----------------------------------------------------------------------------------


def test_requests_carry_the_key_and_ask_for_no_compression(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    get(session, peer.url + "/handshake", headers={"Accept": "application/json"})
    headers = dict(peer.requests[0].headers)
    headers.pop("host")
    assert headers == {
        "user-agent": "jack",
        "accept-encoding": "identity",
        "x-api-key": "the-key",
        "accept": "application/json",
    }


@pytest.mark.fault("H21")
def test_redirects_are_not_followed(peer: ScriptedPeer, session: requests.Session) -> None:
    with ScriptedPeer() as target:
        peer.always("/x", Answer(302, {"Location": target.url + "/y"}))
        wire = Wire()
        with send(session, "GET", peer.url + "/x", who="ann", wire=wire) as response:
            assert response.status_code == 302
        assert target.requests == []


@pytest.mark.fault("N16")
def test_proxies_of_the_environment_are_ignored(
    peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedPeer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        session = new_session({}, None, 1)
        get(session, peer.url + "/handshake")
        session.close()
        assert (len(peer.requests), proxy.requests) == (1, [])


@pytest.mark.fault("N16")
def test_a_netrc_file_is_ignored(
    peer: ScriptedPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session = new_session({}, None, 1)
    get(session, peer.url + "/handshake")
    session.close()
    assert "authorization" not in peer.requests[0].headers


def test_cookies_are_neither_kept_nor_sent(peer: ScriptedPeer, session: requests.Session) -> None:
    peer.always("/x", Answer(200, {"Set-Cookie": "session=1; Path=/"}))
    get(session, peer.url + "/x")
    get(session, peer.url + "/x")
    assert ["cookie" in request.headers for request in peer.requests] == [False, False]
    assert len(session.cookies) == 0


def test_a_json_body_is_sent_as_json(peer: ScriptedPeer, session: requests.Session) -> None:
    wire = Wire()
    with send(session, "POST", peer.url + "/x", who="ann", wire=wire, json={"a": 1}):
        assert peer.requests[0].headers["content-type"] == "application/json"
        assert peer.requests[0].method == "POST"


# -- what comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(
    peer: ScriptedPeer, session: requests.Session, chunked: bool
) -> None:
    peer.script("/x", Answer(200, body=b"x" * 1024, chunked=chunked, length=-1))
    peer.script("/x", Answer(200, body=b"x" * 1025, chunked=chunked, length=-1))
    assert len(get(session, peer.url + "/x")) == 1024
    with pytest.raises(ProtocolError, match="more than 1024 bytes"):
        get(session, peer.url + "/x")


@pytest.mark.fault("P11")
def test_an_endless_body_is_let_go_at_the_limit(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    peer.script("/x", Answer(200, body=b"x" * 64 * 1024 * 1024, length=None))
    with pytest.raises(ProtocolError, match="more than 1024 bytes"):
        get(session, peer.url + "/x")
    assert peer.requests[0].sent < 64 * 1024 * 1024


@pytest.mark.fault("P13")
@pytest.mark.parametrize("encoding", ["gzip", "br", " GZIP ", "identity, gzip"])
def test_a_compressed_answer_is_refused_unread(
    peer: ScriptedPeer, session: requests.Session, encoding: str
) -> None:
    peer.script("/x", Answer(200, {"Content-Encoding": encoding}, b"x"))
    with pytest.raises(ProtocolError, match="answered compressed"):
        get(session, peer.url + "/x")


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_an_answer_that_says_it_is_not_compressed_is_read(
    peer: ScriptedPeer, session: requests.Session, encoding: str
) -> None:
    peer.script("/x", Answer(200, {"Content-Encoding": encoding}, b"plain"))
    assert get(session, peer.url + "/x") == b"plain"


def test_a_body_shorter_than_announced_is_a_broken_connection(
    peer: ScriptedPeer, session: requests.Session
) -> None:
    peer.script("/x", Answer(200, body=b"x" * 100, length=200, cut_after=100))
    with pytest.raises(TransientError, match="the connection broke"):
        get(session, peer.url + "/x")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 banana OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_nonsense(
    peer: ScriptedPeer, session: requests.Session, raw: bytes
) -> None:
    peer.script("/x", Answer(raw=raw))
    with pytest.raises(ProtocolError, match="sent something that is not HTTP"):
        get(session, peer.url + "/x")


@pytest.mark.parametrize("error", [ValueError("odd"), AttributeError("recv")])
def test_what_the_layers_below_raise_for_absurd_input_is_nonsense(error: Exception) -> None:
    with (
        pytest.raises(ProtocolError, match=f"not HTTP .{type(error).__name__}"),
        translated("ann", Wire()),
    ):
        raise error


def test_jacks_own_errors_pass_unchanged() -> None:
    error: JackError = StorageError("the disk")
    with pytest.raises(StorageError) as caught, translated("ann", Wire()):
        raise error
    assert caught.value is error


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[ScriptedPeer]:
    with ScriptedPeer(tls=certificate.context()) as made:
        yield made


@pytest.mark.fault("N14")
def test_a_self_signed_certificate_is_refused_with_the_remedy(
    secure: ScriptedPeer, session: requests.Session
) -> None:
    with pytest.raises(PeerRefused, match=r"certificate is not trusted .*set caFile"):
        get(session, secure.url + "/handshake")
    assert secure.requests == [], "the key never leaves for an untrusted host"


@pytest.mark.fault("N14")
def test_ca_file_makes_a_private_certificate_trusted(
    secure: ScriptedPeer, certificate: Certificate
) -> None:
    session, wire = new_session({}, str(certificate.cert), 1), Wire()
    assert b"jack" in get(session, secure.url + "/handshake", wire)
    assert b"jack" in get(session, secure.url + "/handshake")
    session.close()


@pytest.mark.fault("N16")
def test_a_certificate_bundle_of_the_environment_is_ignored(
    secure: ScriptedPeer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.cert))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(certificate.cert))
    session = new_session({}, None, 1)
    with pytest.raises(PeerRefused):
        get(session, secure.url + "/handshake")
    session.close()


@contextlib.contextmanager
def listening(reply: bytes) -> Iterator[int]:
    """A port that answers whatever comes first with `reply` and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(20)
    listener.close()


@pytest.mark.fault("N15")
def test_plain_http_behind_an_https_url_is_said(session: requests.Session) -> None:
    with (
        listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(PeerRefused, match=r"answers plain HTTP; its url should start with http://"),
    ):
        get(session, f"https://127.0.0.1:{port}/x")


def test_a_tls_handshake_that_is_cut_is_worth_another_try(session: requests.Session) -> None:
    with listening(b"") as port, pytest.raises(TransientError) as caught:
        get(session, f"https://127.0.0.1:{port}/x")
    assert not isinstance(caught.value, PeerRefused)


def test_no_error_text_repeats_the_url(peer: ScriptedPeer, session: requests.Session) -> None:
    def each() -> Iterator[str]:
        path = "/secret-abc"
        peer.script(path, Answer(raw=b""), Answer(raw=b"what\r\n\r\n"))
        for url in (peer.url, peer.url, peer.url.replace("http:", "https:"), "http://127.0.0.1:1"):
            with pytest.raises(JackError) as caught:
                get(session, url + path)
            yield str(caught.value)

    for text in each():
        assert "secret" not in text
        assert "127.0.0.1" not in text


def test_requests_are_seen_as_they_arrived(peer: ScriptedPeer, session: requests.Session) -> None:
    seen: list[Request] = []
    peer.always("/a b", lambda request: (seen.append(request), Answer())[1])
    get(session, peer.url + "/a%20b")
    assert seen[0].method == "GET"
