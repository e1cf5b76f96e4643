"""One friend as a client sees it: metadata, file, probe, and how each answer is understood."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    ProtocolError,
    TransientError,
)
from jack.model import connector_id
from jack.peers.peer_client import PeerClient, PeerEntry
from jack.support.http import Wire
from tests.support.clock import FakeClock
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path, item_path
from tests.support.waiting import eventually

ITEM = "c:movie:1"
PATH = item_path(ITEM)


@pytest.fixture
def friend() -> Iterator[ScriptedPeer]:
    with ScriptedPeer(api_key="the-key") as made:
        made.offer(ITEM, b"0123456789", imdbId="tt1", tmdbId=7)
        yield made


@pytest.fixture
def client(friend: ScriptedPeer, clock: FakeClock) -> Iterator[PeerClient]:
    made = client_of(friend, clock)
    yield made
    made.close()


def client_of(friend: ScriptedPeer, clock: FakeClock, **changes: Any) -> PeerClient:
    values = {"url": friend.url, "api_key": "the-key", **changes}
    return PeerClient(PeerEntry(connector_id(values["url"]), "ann", **values), 2, clock)


def failure(client: PeerClient) -> JackError:
    with pytest.raises(JackError) as caught:
        client.get_release(ITEM, Wire())
    return caught.value


def test_a_release_comes_back_field_by_field(client: PeerClient) -> None:
    release = client.get_release(ITEM, Wire())
    assert (release.id, release.filename, release.size) == (ITEM, "Film (2020).mkv", 10)
    assert (release.imdb_id, release.tmdb_id, release.category) == ("tt1", 7, 2000)


def test_the_key_and_the_configured_headers_are_sent(
    friend: ScriptedPeer, clock: FakeClock
) -> None:
    client = client_of(friend, clock, headers={"CF-Access": "token", "x-api-key": "not this"})
    client.get_release(ITEM, Wire())
    client.close()
    (request,) = friend.requests
    assert request.headers["x-api-key"] == "the-key"
    assert request.headers["cf-access"] == "token"
    assert request.headers["accept"] == "application/json"


def test_no_secret_is_in_the_text_of_a_peer() -> None:
    peer = PeerEntry("15ee3276", "ann", "http://x", "the-key", {"Authorization": "token"})
    assert "the-key" not in repr(peer)
    assert "token" not in repr(peer)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_url_may_have_a_path_prefix(clock: FakeClock, slash: str) -> None:
    with ScriptedPeer(api_key="the-key", prefix="/jack") as friend:
        friend.offer(ITEM, b"x")
        client = client_of(friend, clock, url=friend.url + slash)
        assert client.get_release(ITEM, Wire()).size == 1
        client.probe(Wire())
        client.close()
        assert [request.path for request in friend.requests] == [PATH, "/handshake"]


@pytest.mark.parametrize("item", ["c:movie:a/b?c#d", "..", "%2e%2e/x", "\u00e9\u00e8:1", "a b"])
def test_an_item_id_never_changes_the_path(
    friend: ScriptedPeer, client: PeerClient, item: str
) -> None:
    friend.offer(item, b"x")
    assert client.get_release(item, Wire()).id == item
    assert friend.requests[-1].path == item_path(item)


def test_the_answer_must_be_about_the_item_that_was_asked_for(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    other = {"id": "c:movie:2", "title": "x", "filename": "x.mkv", "category": 2000, "size": 1}
    friend.script(PATH, Answer(200, body=json.dumps(other).encode()))
    error = failure(client)
    assert isinstance(error, ProtocolError)
    assert "'c:movie:1' and answered with 'c:movie:2'" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, PermanentError),
        (410, PermanentError),
        (401, PeerRefused),
        (403, PeerRefused),
        (408, TransientError),
        (500, TransientError),
        (302, ProtocolError),
        (204, ProtocolError),
    ],
)
def test_the_status_of_the_metadata_decides_which_error_it_is(
    friend: ScriptedPeer, client: PeerClient, status: int, kind: type[JackError]
) -> None:
    friend.script(PATH, Answer(status))
    assert type(failure(client)) is kind
    assert client.get_release(ITEM, Wire()).id == ITEM, "the connection is usable afterwards"


def test_retry_after_of_the_metadata_is_read(friend: ScriptedPeer, client: PeerClient) -> None:
    friend.script(PATH, Answer(429, {"Retry-After": "Thu, 01 Jan 2026 12:02:00 GMT"}))
    error = failure(client)
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds == 120


def test_more_than_a_mebibyte_of_metadata_is_refused(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    friend.script(PATH, Answer(200, body=b" " * (1024 * 1024 + 1)))
    assert isinstance(failure(client), ProtocolError)


def test_a_file_answer_is_handed_on_unread_whatever_its_status(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    with client.open_file(ITEM, {"Range": "bytes=4-"}, Wire()) as response:
        assert (response.status_code, response.raw.read()) == (206, b"456789")
    friend.script(file_path(ITEM), Answer(500))
    with client.open_file(ITEM, {}, Wire()) as response:
        assert response.status_code == 500


@pytest.mark.parametrize("status", [200, 404, 500, 503])
def test_any_answer_to_the_probe_is_a_sign_of_life(
    friend: ScriptedPeer, client: PeerClient, status: int
) -> None:
    friend.script("/handshake", Answer(status))
    client.probe(Wire())
    client.probe(Wire())


@pytest.mark.parametrize("status", [401, 403])
def test_a_probe_tells_that_the_key_is_refused(
    friend: ScriptedPeer, client: PeerClient, status: int
) -> None:
    friend.script("/handshake", Answer(status))
    with pytest.raises(PeerRefused, match=f"ann does not accept our key .HTTP {status}."):
        client.probe(Wire())


def test_a_friend_who_takes_the_connection_and_says_nothing_is_not_there(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    friend.script("/handshake", Answer(raw=b""))
    with pytest.raises(PeerUnreachable, match="the connection broke"):
        client.probe(Wire())


def test_a_friend_whose_machine_is_off_is_not_there(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    friend.close()
    with pytest.raises(PeerUnreachable, match="cannot be reached"):
        client.probe(Wire())


def test_a_probe_of_something_that_is_not_http_says_so(
    friend: ScriptedPeer, client: PeerClient
) -> None:
    friend.script("/handshake", Answer(raw=b"SSH-2.0\r\n\r\n"))
    with pytest.raises(ProtocolError):
        client.probe(Wire())


def test_a_probe_ends_when_it_is_told_to(friend: ScriptedPeer, client: PeerClient) -> None:
    gate, wire = threading.Event(), Wire()

    def hold(request: Request) -> Answer:
        gate.wait(30)
        return Answer()

    friend.script("/handshake", hold)
    thread = threading.Thread(
        target=lambda: eventually(lambda: friend.requests) and wire.abort(Interrupted("stop"))
    )
    thread.start()
    with pytest.raises(Interrupted):
        client.probe(wire)
    gate.set()
    thread.join(20)


def test_without_a_clock_of_its_own_a_client_uses_the_machines(friend: ScriptedPeer) -> None:
    client = PeerClient(PeerEntry("x", "ann", friend.url, "the-key"), 1)
    friend.script(PATH, Answer(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    error = failure(client)
    client.close()
    assert isinstance(error, TransientError)
    assert error.retry_after_seconds is None
