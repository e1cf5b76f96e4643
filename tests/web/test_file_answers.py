"""The file itself: whole, in parts, and in every way a client may ask for it."""

from __future__ import annotations

import os
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from jack.web.streaming import content_disposition
from tests.web.served_peer import KEY

DATA = bytes(range(256)) * 40
pytestmark = pytest.mark.usefixtures("sending")


@pytest.fixture
def url(peer: Any) -> str:
    return str(peer.share("A Film (2001).mkv", DATA)) + "/file"


def test_the_whole_file_comes_with_all_a_client_needs_to_resume(peer: Any, url: str) -> None:
    answer = peer.get(url)
    assert answer.status_code == 200
    assert answer.content == DATA
    headers = answer.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["ETag"][0] == headers["ETag"][-1] == '"'
    assert 'filename="A Film (2001).mkv"' in headers["Content-Disposition"]
    assert "Transfer-Encoding" not in headers
    assert "Content-Range" not in headers
    mtime = int((peer.folder / "A Film (2001).mkv").stat().st_mtime)
    assert parsedate_to_datetime(headers["Last-Modified"]).timestamp() == mtime


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-", 0, 10239),
        ("bytes=100-199", 100, 199),
        ("bytes=10239-", 10239, 10239),
        ("bytes=10000-99999", 10000, 10239),
        ("bytes=-5", 10235, 10239),
        ("bytes=-99999", 0, 10239),
    ],
)
def test_a_range_is_answered_with_exactly_its_bytes(
    peer: Any, url: str, header: str, start: int, end: int
) -> None:
    answer = peer.get(url, headers={"Range": header})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{len(DATA)}"
    assert answer.headers["Content-Length"] == str(end - start + 1)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "ETag" in answer.headers
    assert answer.content == DATA[start : end + 1]


@pytest.mark.parametrize("header", ["bytes=10240-", f"bytes={2**53}-"])
def test_a_range_outside_is_416_with_the_size_and_no_body(peer: Any, url: str, header: str) -> None:
    answer = peer.get(url, headers={"Range": header})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "header", ["bytes=abc", "bytes=-", "items=0-1", "bytes=0-1,5-6", "bytes=5-2"]
)
def test_a_range_that_makes_no_sense_is_answered_with_the_whole_file(
    peer: Any, url: str, header: str
) -> None:
    answer = peer.get(url, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, DATA)


class TestIfRange:
    def test_the_same_version_goes_on_where_the_client_stopped(self, peer: Any, url: str) -> None:
        etag = peer.get(url).headers["ETag"]
        answer = peer.get(url, headers={"Range": "bytes=10000-", "If-Range": etag})
        assert (answer.status_code, answer.content) == (206, DATA[10000:])

    @pytest.mark.fault("V2")
    def test_another_version_of_the_same_size_starts_over(self, peer: Any, url: str) -> None:
        etag = peer.get(url).headers["ETag"]
        path = peer.folder / "A Film (2001).mkv"
        path.write_bytes(DATA[::-1])
        os.utime(path, ns=(5, 5))
        answer = peer.get(url, headers={"Range": "bytes=10000-", "If-Range": etag})
        assert (answer.status_code, answer.content) == (200, DATA[::-1])
        assert answer.headers["ETag"] != etag

    def test_weak_tags_dates_and_nonsense_never_match(self, peer: Any, url: str) -> None:
        headers = peer.get(url).headers
        for value in (f"W/{headers['ETag']}", headers["Last-Modified"], "*", headers["ETag"][1:-1]):
            answer = peer.get(url, headers={"Range": "bytes=10000-", "If-Range": value})
            assert (answer.status_code, len(answer.content)) == (200, len(DATA))

    def test_a_failed_one_turns_even_an_impossible_range_into_the_whole_file(
        self, peer: Any, url: str
    ) -> None:
        answer = peer.get(url, headers={"Range": "bytes=99999-", "If-Range": '"old"'})
        assert answer.status_code == 200


class TestHead:
    def test_it_tells_everything_but_the_body(self, peer: Any, url: str) -> None:
        whole, head = peer.get(url), peer.get(url, method="HEAD")
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Content-Type"):
            assert head.headers[name] == whole.headers[name]

    def test_it_has_no_ranges(self, peer: Any, url: str) -> None:
        head = peer.get(url, method="HEAD", headers={"Range": "bytes=5-"})
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(DATA)))

    def test_of_an_unknown_file_is_404(self, peer: Any) -> None:
        assert peer.get("/peer/items/x/file", method="HEAD").status_code == 404


def test_an_empty_file_is_an_empty_answer(peer: Any) -> None:
    url = peer.share("empty.mkv", b"") + "/file"
    answer = peer.get(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == "0"
    assert peer.get(url, headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.fault("V8")
def test_the_file_is_never_compressed(peer: Any) -> None:
    url = peer.share("zeros.mkv", b"\0" * 100_000) + "/file"
    answer = peer.get(url, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "100000"
    assert "no-transform" in answer.headers["Cache-Control"]


def test_handshake_item_and_file_share_one_connection(peer: Any, url: str) -> None:
    """The order in which the TypeScript client asks."""
    with requests.Session() as session:
        session.headers["X-Api-Key"] = KEY.encode().decode("latin-1")
        for _ in range(3):
            assert session.get(peer.url + "/handshake", timeout=20).ok
            item = session.get(peer.url + url.removesuffix("/file"), timeout=20).json()
            headers = {"Range": "bytes=1000-"}
            part = session.get(peer.url + url, headers=headers, timeout=20)
            assert len(part.content) == item["size"] - 1000
        pools = session.get_adapter(peer.url).poolmanager.pools
        (key,) = pools.keys()
        assert pools[key].num_connections == 1


@pytest.mark.parametrize(
    "name",
    [
        "plain.mkv",
        'quo"te.mkv',
        "back\\slash.mkv",
        "umlaut \u00fc.mkv",
        "\u65e5\u672c.mkv",
        "percent%41.mkv",
        "semi;colon=1.mkv",
        "line\r\nX-Evil: 1.mkv",
        "tab\tnul\x01.mkv",
        "\u202egnp.mkv",
        "emoji \U0001f600.mkv",
    ],
)
def test_any_file_name_travels_whole_and_harmless(peer: Any, name: str) -> None:
    answer = peer.get(peer.share(name) + "/file")
    assert answer.content == b"0123456789"
    assert "X-Evil" not in answer.headers
    header = answer.headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    encoding, _, full = header.partition("filename*=")[2].partition("''")
    assert (encoding, requests.utils.unquote(full)) == ("UTF-8", name)


def test_the_fallback_name_stays_one_quoted_string() -> None:
    header = content_disposition('a";b\\"\r\n\u00fc.mkv')
    assert header.startswith('attachment; filename="a_;b_____.mkv"; filename*=')
