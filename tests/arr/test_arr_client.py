"""ArrClient: one command, and what every kind of answer means."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses

from jack.arr.client import ArrClient, ArrServer
from jack.errors import (
    Interrupted,
    JackError,
    PeerRefused,
    PeerUnreachable,
    PermanentError,
    ProtocolError,
    TransientError,
)
from jack.support.http import Wire
from tests.support.fake_arr import FakeArr

KEY = "K-SENTINEL-radarr-0123456789"
URL = "http://nas.local:7878"
COMMAND_URL = f"{URL}/api/v3/command"
FILE = "/volume1/torrents/completed/Film (2020).mkv"


def server(**changes: Any) -> ArrServer:
    values: dict[str, Any] = {"name": "Radarr", "kind": "radarr", "url": URL, "api_key": KEY}
    return ArrServer(**{**values, **changes})


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def scan(**changes: Any) -> int:
    client = ArrClient(server(**changes))
    try:
        return client.scan_path(FILE, Wire())
    finally:
        client.close()


def failure(http: responses.RequestsMock, status: int, **answer: Any) -> JackError:
    http.post(COMMAND_URL, status=status, **answer)
    with pytest.raises(JackError) as caught:
        scan()
    return caught.value


def sent(http: responses.RequestsMock) -> requests.PreparedRequest:
    request: requests.PreparedRequest = http.calls[0].request
    return request


@pytest.mark.parametrize(
    ("kind", "name"), [("radarr", "DownloadedMoviesScan"), ("sonarr", "DownloadedEpisodesScan")]
)
@pytest.mark.parametrize("status", [200, 201])
def test_the_scan_command_names_the_file_and_nothing_else(
    http: responses.RequestsMock, kind: str, name: str, status: int
) -> None:
    http.post(COMMAND_URL, status=status, json={"id": 77, "status": "queued"})
    assert scan(kind=kind) == 77
    assert json.loads(sent(http).body or "") == {"name": name, "path": FILE}


def test_the_path_is_the_one_the_arr_sees(http: responses.RequestsMock) -> None:
    http.post(COMMAND_URL, status=201, json={"id": 1})
    scan(path_map=(("/volume1/torrents", "\\\\nas\\media"),))
    path = json.loads(sent(http).body or "")["path"]
    assert path == "\\\\nas\\media\\completed\\Film (2020).mkv"


def test_a_url_base_and_a_trailing_slash_are_kept_apart(http: responses.RequestsMock) -> None:
    http.post(f"{URL}/radarr/api/v3/command", status=201, json={"id": 1})
    assert scan(url=f"{URL}/radarr/") == 1


def test_configured_headers_travel_but_never_replace_the_key(http: responses.RequestsMock) -> None:
    http.post(COMMAND_URL, status=201, json={"id": 1})
    scan(headers={"x-api-KEY": "other", "CF-Access-Client-Id": "me", "accept-encoding": "gzip"})
    headers = sent(http).headers
    assert headers["X-Api-Key"] == KEY
    assert headers["CF-Access-Client-Id"] == "me"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Content-Type"] == "application/json"
    assert KEY not in (sent(http).url or "")


@pytest.mark.fault("A2")
@pytest.mark.parametrize(
    "body", ["<html>Radarr</html>", "", "null", "[" * 100_000, "\x00\xff"], ids=range(5)
)
def test_a_page_instead_of_json_points_at_the_url_base(
    http: responses.RequestsMock, body: str
) -> None:
    error = failure(http, 200, body=body)
    assert isinstance(error, ProtocolError)
    assert "the url of Radarr does not lead to Radarr (is the URL base missing?)" in str(error)


@pytest.mark.fault("A12")
@pytest.mark.parametrize("number", [None, "7", True, 1.5, -1, 2**63, [1]])
def test_an_answer_without_an_integer_id_is_refused(
    http: responses.RequestsMock, number: object
) -> None:
    error = failure(http, 201, json={"id": number, "name": "DownloadedMoviesScan"})
    assert isinstance(error, ProtocolError)
    assert "named no command id" in str(error)


@pytest.mark.fault("A12")
@pytest.mark.parametrize("answer", [[], [{"id": 1}], "1", 5])
def test_json_of_another_shape_is_refused_without_a_crash(
    http: responses.RequestsMock, answer: object
) -> None:
    assert isinstance(failure(http, 200, json=answer), ProtocolError)


@pytest.mark.fault("A2")
def test_a_wrong_key_is_named_as_such(http: responses.RequestsMock) -> None:
    error = failure(http, 401)
    assert isinstance(error, PeerRefused)
    assert "Radarr refuses the apiKey" in str(error)


def test_a_forbidding_proxy_is_named_as_such(http: responses.RequestsMock) -> None:
    error = failure(http, 403, body="<html>no</html>")
    assert isinstance(error, PeerRefused)
    assert str(error) == "Radarr, or a proxy before it, refuses jack (403)"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_says_so(http: responses.RequestsMock, status: int) -> None:
    error = failure(http, status, headers={"Location": "https://other.example/api"})
    assert isinstance(error, ProtocolError)
    assert "'https://other.example/api'" in str(error)
    assert "does not follow" in str(error)
    assert len(http.calls) == 1


@pytest.mark.fault("A2")
def test_no_such_address_points_at_the_url_base(http: responses.RequestsMock) -> None:
    error = failure(http, 404, json={"message": "NotFound"})
    assert isinstance(error, ProtocolError)
    assert "is the URL base missing?" in str(error)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_of_the_server_is_transient_with_its_own_words(
    http: responses.RequestsMock, status: int
) -> None:
    error = failure(http, status, json={"message": "database is\nlocked", "description": "at ..."})
    assert isinstance(error, TransientError)
    assert str(error) == f"Radarr cannot take the import now ({status}): 'database is\\nlocked'"


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_of_this_file_is_permanent_with_the_arrs_own_words(
    http: responses.RequestsMock, status: int
) -> None:
    failures = [{"propertyName": "Path", "errorMessage": "bad path"}, {"errorMessage": "no"}, 7]
    error = failure(http, status, json=failures)
    assert isinstance(error, PermanentError)
    assert str(error) == f"Radarr refuses this import ({status}): 'bad path; no'"


def test_a_long_message_is_cut(http: responses.RequestsMock) -> None:
    assert len(str(failure(http, 500, json={"message": "x" * 100_000}))) < 400


@pytest.mark.parametrize(
    "answer",
    [
        {"body": "x" * 2_000_000},
        {"json": {"message": "hidden"}, "headers": {"Content-Encoding": "gzip"}},
        {"json": {"message": 5}},
    ],
    ids=["huge", "compressed", "no-text"],
)
def test_an_unreadable_error_body_leaves_the_status(
    http: responses.RequestsMock, answer: dict[str, Any]
) -> None:
    assert str(failure(http, 500, **answer)) == "Radarr cannot take the import now (500)"


def test_no_secret_reaches_an_error_a_log_or_a_repr(
    http: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "S-SENTINEL-header"
    http.post(COMMAND_URL, status=500, json={"message": f"sent {KEY} and {secret}, mode on"})
    http.post(COMMAND_URL, status=302, headers={"Location": f"/login?apikey={KEY}"})
    client = ArrClient(server(headers={"X-Proxy": secret, "X-Mode": "on"}))
    texts = [repr(client.server)]
    for _ in range(2):
        with pytest.raises(JackError) as caught:
            client.scan_path(FILE, Wire())
        texts.append(str(caught.value))
    client.close()
    assert "sent *** and ***, mode on" in texts[1]
    assert KEY not in "".join(texts) + caplog.text
    assert secret not in "".join(texts) + caplog.text


@pytest.mark.parametrize("key", ["K-SENTINEL\n", "K-SENTINEL-ä", " K-SENTINEL"])
def test_a_key_no_header_can_carry_is_said_without_quoting_it(key: str) -> None:
    with pytest.raises(PeerRefused) as caught:
        scan(api_key=key)
    assert "the apiKey of Radarr holds characters" in str(caught.value)
    assert "SENTINEL" not in str(caught.value)


def test_a_header_no_request_can_carry_is_named_without_its_value() -> None:
    with pytest.raises(PeerRefused) as caught:
        scan(headers={"X-Token": "S-SENTINEL\r\n"})
    assert "'X-Token'" in str(caught.value)
    assert "SENTINEL" not in str(caught.value)


def test_a_closed_port_is_unreachable_and_the_same_port_works_again() -> None:
    with FakeArr("radarr", api_key=KEY) as fake:
        client = ArrClient(server(url=fake.url))
        assert client.scan_path(FILE, Wire()) == 1
        fake.go_down()
        with pytest.raises(PeerUnreachable):
            client.scan_path(FILE, Wire())
        fake.come_back()
        assert client.scan_path(FILE, Wire()) == 2
        client.close()


def test_an_aborted_wire_frees_a_request_the_server_never_answers() -> None:
    with FakeArr("radarr", api_key=KEY) as fake, fake.hanging():
        client, wire, seen = ArrClient(server(url=fake.url)), Wire(), []

        def ask() -> None:
            with pytest.raises(Interrupted) as caught:
                client.scan_path(FILE, wire)
            seen.append(str(caught.value))

        thread = threading.Thread(target=ask)
        thread.start()
        fake.wait_for_requests(1)
        wire.abort(Interrupted("enough"))
        thread.join(5.0)
        client.close()
        assert seen == ["enough"]
