"""Key, handshake, search and items, asked over real HTTP."""

from __future__ import annotations

import logging
import socket
from typing import Any
from urllib.parse import quote

import pytest
import requests

from jack.errors import PermanentError, TransientError
from jack.model import connector_id
from jack.web.auth import KeyGuard
from tests.web.served_peer import KEY

GUARDED = ["/handshake", "/peer/search", "/peer/items/a%3Ab%3Ac", "/peer/items/a%3Ab%3Ac/file"]
XML = "application/rss+xml, application/xml+rss, application/xml, text/xml"


def bare(peer: Any, path: str, **headers: str | bytes) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(peer.url + path, headers=named, timeout=20)


class TestKey:
    def test_ping_needs_none(self, peer: Any) -> None:
        answer = bare(peer, "/ping")
        assert (answer.status_code, answer.json()) == (200, {"status": "OK"})

    @pytest.mark.parametrize("path", GUARDED)
    def test_without_it_nothing_else_answers(self, peer: Any, path: str) -> None:
        answer = bare(peer, path)
        assert answer.status_code == 401
        assert answer.json() == {
            "ok": False,
            "error": {"code": "UNAUTHORIZED", "message": "Unauthorized: missing API key"},
        }

    @pytest.mark.parametrize("key", ["x", KEY[:-1], KEY + "x", KEY.upper(), "\u00ff"])
    def test_a_wrong_one_is_refused(self, peer: Any, key: str) -> None:
        for answer in (
            bare(peer, "/handshake", X_Api_Key=key.encode()),
            bare(peer, f"/handshake?apikey={quote(key)}"),
        ):
            assert answer.status_code == 401
            assert answer.json()["error"]["message"] == "Unauthorized: invalid API key"

    def test_the_right_one_is_taken_from_query_or_header(self, peer: Any) -> None:
        assert bare(peer, f"/handshake?apikey={quote(KEY)}").status_code == 200
        assert bare(peer, "/handshake", X_Api_Key=KEY.encode()).status_code == 200

    def test_the_query_wins_over_the_header(self, peer: Any) -> None:
        assert bare(peer, "/handshake?apikey=x", X_Api_Key=KEY.encode()).status_code == 401
        answer = bare(peer, f"/handshake?apikey={quote(KEY)}", X_Api_Key="x")
        assert answer.status_code == 200

    @pytest.mark.parametrize("accept", [XML, "text/xml", "application/xml;q=0.9, text/html"])
    def test_arr_applications_get_an_error_they_show(self, peer: Any, accept: str) -> None:
        answer = bare(peer, "/handshake", Accept=accept)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/xml")
        assert 'code="100" description="Unauthorized: missing API key"' in answer.text

    @pytest.mark.parametrize("accept", ["*/*", "application/json", f"application/json, {XML}"])
    def test_everybody_else_gets_json(self, peer: Any, accept: str) -> None:
        assert bare(peer, "/handshake", Accept=accept).status_code == 401

    @pytest.mark.fault("P27")
    def test_wrong_keys_are_logged_rarely_and_never_shown(
        self, peer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(5):
            bare(peer, "/handshake?apikey=s3cret-guess")
        lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(lines) == 1
        assert "127.0.0.1" in lines[0]
        peer.clock.advance(61)
        bare(peer, "/handshake", X_Api_Key="s3cret-guess")
        assert "4 more" in caplog.records[-1].getMessage()
        assert "s3cret" not in caplog.text

    def test_an_empty_key_cannot_be_configured(self, clock: Any) -> None:
        with pytest.raises(ValueError, match="empty"):
            KeyGuard("", clock)


def test_the_handshake_tells_name_and_version(peer: Any) -> None:
    answer = peer.get("/handshake")
    assert answer.json() == {"name": "jack", "version": "0.1.0"}
    assert answer.headers["Content-Type"] == "application/json"


class TestSearch:
    def test_an_empty_library_is_an_empty_list(self, peer: Any) -> None:
        assert peer.get("/peer/search").json() == {"items": []}

    def test_without_parameters_the_whole_catalog_comes(self, peer: Any) -> None:
        peer.share("A (2001).mkv")
        peer.share("Show - S01E02.mkv")
        items = peer.get("/peer/search?q=ignored").json()["items"]
        names = [item["filename"] for item in items]
        assert sorted(names) == ["A (2001).mkv", "Show - S01E02.mkv"]
        assert None not in [value for item in items for value in item.values()]

    def test_ids_season_and_episode_narrow_it(self, peer: Any) -> None:
        peer.share("A {tmdb-603}.mkv")
        peer.share("Show {tvdb-7} S01E01.mkv")
        peer.share("Show {tvdb-7} S01E02.mkv")

        def found(query: str) -> list[str]:
            return [x["filename"] for x in peer.get(f"/peer/search?{query}").json()["items"]]

        assert found("tmdbId=603") == ["A {tmdb-603}.mkv"]
        assert len(found("tvdbId=7&season=1")) == 2
        assert found("tvdbId=7&season=1&episode=2") == ["Show {tvdb-7} S01E02.mkv"]
        assert found("imdbId=tt1") == []

    @pytest.mark.parametrize("value", ["x", "", "1.5", "-1", "1e3", "9" * 40, "%00", "%D9%A1"])
    @pytest.mark.parametrize("name", ["season", "episode"])
    def test_a_bad_number_is_a_bad_request(self, peer: Any, name: str, value: str) -> None:
        answer = peer.get(f"/peer/search?tvdbId=1&{name}={value}")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "BAD_REQUEST"
        assert name in answer.json()["error"]["message"]


class TestItems:
    def test_an_item_is_found_by_its_encoded_or_plain_id(self, peer: Any) -> None:
        path = peer.share("A (2001).mkv")
        for spelling in (path, path.replace("%3A", ":"), path.replace("%3A", "%3a")):
            answer = peer.get(spelling)
            assert answer.status_code == 200
            assert answer.json()["id"].startswith(connector_id(str(peer.folder)) + ":movie:")
            assert answer.json()["size"] == 10

    @pytest.mark.parametrize(
        "item_id",
        [
            "unknown",
            "a%3Amovie%3A1",
            "%00",
            "a%3A%00",
            "%FF%FE",
            "x" * 9000,
            "%2E%2E",
            "..%5C..%5Cetc",
            "%0d%0aX-Evil%3A1",
        ],
    )
    def test_an_unknown_id_is_not_found(self, peer: Any, item_id: str) -> None:
        peer.share("A.mkv")
        answer = peer.get(f"/peer/items/{item_id}")
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
        answer = peer.get(f"/peer/items/{item_id}/file")
        assert (answer.status_code, answer.json()) == (404, {"error": "File not found"})

    def test_a_file_deleted_since_the_scan_is_not_found(self, peer: Any) -> None:
        path = peer.share("A.mkv")
        (peer.folder / "A.mkv").unlink()
        assert peer.get(path).status_code == 404
        assert peer.get(path + "/file").json() == {"error": "File not found"}

    @pytest.mark.parametrize(
        "target",
        [
            "/peer/items/../../../../etc/passwd",
            "/peer/items/..%2F..%2F..%2Fetc%2Fpasswd",
            "/peer/items/..%2F..%2Fetc%2Fpasswd/file",
            "/peer/items/%2Fetc%2Fpasswd/file",
            "/peer//search",
            "/handshake/",
        ],
    )
    def test_no_path_wanders_or_redirects(self, peer: Any, target: str) -> None:
        peer.share("A.mkv")
        assert raw_status(peer, f"GET {target} HTTP/1.1", f"X-Api-Key: {KEY}") == 404


def raw_status(peer: Any, first_line: str, *headers: str) -> int:
    """A request as typed, for requests would tidy the path."""
    lines = [first_line, "Host: x", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", peer.server.port), timeout=20) as sock:
        sock.sendall("\r\n".join(lines).encode())
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1])


class TestErrors:
    def test_an_unknown_path_is_404_without_asking_for_the_key(self, peer: Any) -> None:
        answer = bare(peer, "/nothing?apikey=x")
        assert answer.status_code == 404
        assert answer.json()["ok"] is False

    def test_another_method_is_405(self, peer: Any) -> None:
        answer = peer.get("/peer/search", method="POST")
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]

    def test_a_huge_query_is_refused(self, peer: Any) -> None:
        assert peer.get("/peer/search?q=" + "x" * 40_000).status_code == 431

    def test_a_huge_body_is_refused(self, peer: Any) -> None:
        headers = ("X-Api-Key: x", "Content-Length: 99999999")
        assert raw_status(peer, "POST /peer/search HTTP/1.1", *headers) == 413

    def test_garbage_is_a_bad_request(self, peer: Any) -> None:
        assert raw_status(peer, "GET /\x00 HTTP/1.1") in {400, 404}
        assert raw_status(peer, "\x16\x03\x01 hello") == 400

    def test_every_answer_carries_the_secure_headers(self, peer: Any) -> None:
        path = peer.share("A.mkv")
        for target in ("/ping", "/nothing", "/peer/search", path + "/file"):
            headers = peer.get(target).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Server" not in headers

    def test_a_bug_is_a_500_with_a_traceback_in_the_log_only(
        self, peer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("secret detail")

        monkeypatch.setattr(peer.catalog, "each", broken)
        answer = peer.get("/peer/search?apikey=" + quote(KEY))
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "INTERNAL_SERVER_ERROR"
        assert "secret detail" not in answer.text
        (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert record.exc_info
        assert quote(KEY) not in caplog.text

    @pytest.mark.parametrize(
        ("error", "retry_after"),
        [(TransientError("at 10.0.0.7", 19.5), "20"), (PermanentError("at 10.0.0.7"), None)],
    )
    def test_a_failing_source_is_a_503(
        self,
        peer: Any,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        retry_after: str | None,
    ) -> None:
        def failing(_: str) -> None:
            raise error

        monkeypatch.setattr(peer.catalog, "get", failing)
        answer = peer.get("/peer/items/x")
        assert answer.status_code == 503
        assert answer.json()["ok"] is False
        assert answer.headers.get("Retry-After") == retry_after
        assert "10.0.0.7" not in answer.text
