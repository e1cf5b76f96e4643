"""What friends, their programs and the disk do to a jack that shares: on real sockets."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import socket
import struct
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from jack.library.folder_source import FolderSource
from jack.peers.protocol import file_path
from jack.web import channel
from tests.scenarios.harness import Jack
from tests.support.ports import Port
from tests.support.sharing_jack import KEY, SharingJack, sharing_jack, status_of
from tests.support.waiting import eventually

FIXED_SEEDS = (1, 2, 3)
CASES_PER_SEED = 120
MIB = 1024 * 1024
BIG = 64 * MIB


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[SharingJack]:
    with sharing_jack(tmp_path) as made:
        yield made


def ask(sock: socket.socket, path: str, method: str = "GET", **fields: str) -> None:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    sock.sendall("\r\n".join((*lines, "", "")).encode())


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(sock: socket.socket, has_body: bool = True) -> Answer:
    """One answer of a connection that stays open: exactly what Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(65_536)
        assert got, data
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers["content-length"]) if has_body else 0
    while len(body) < length:
        body += sock.recv(65_536)
    assert len(body) == length
    return Answer(status_of(data), headers, body)


def read_to_the_end(sock: socket.socket) -> int:
    total = 0
    with contextlib.suppress(ConnectionError):
        while got := len(sock.recv(MIB)):
            total += got
    return total


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def settled(jack: SharingJack) -> int:
    """Descriptors when every thread of the server has what it keeps."""
    eventually(lambda: jack.database_connections() == 9)
    assert jack.get("/ping").status_code == 200
    return open_files()


def big_file(jack: SharingJack) -> str:
    url = jack.share("big.mkv", b"start") + "/file"
    os.truncate(jack.folder / "big.mkv", BIG)
    return url


# -- files that change ---------------------------------------------------------------------------


@pytest.mark.fault("V2")
@pytest.mark.parametrize("has_sendfile", [True, False])
def test_a_file_overwritten_in_place_while_it_is_sent_ends_short_and_has_another_tag(
    jack: SharingJack,
    has_sendfile: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of the same size: nothing but the end of the connection could tell the client."""
    if not has_sendfile:
        monkeypatch.setattr(channel, "HAS_SENDFILE", False)
    url = big_file(jack)
    tag = jack.get(url, method="HEAD").headers["ETag"]
    with jack.connect(receive_bytes=4096) as sock:
        ask(sock, url)
        assert status_of(sock.recv(1024)) == 200
        with (jack.folder / "big.mkv").open("r+b") as file:
            file.write(b"other")
        assert read_to_the_end(sock) < BIG
    assert "was overwritten" in caplog.text
    assert jack.get(url, method="HEAD").headers["ETag"] != tag
    resumed = jack.get(url, headers={"Range": "bytes=1000-1009", "If-Range": tag}, stream=True)
    assert resumed.status_code == 200
    resumed.close()


@pytest.mark.fault("V2")
def test_a_file_that_is_replaced_while_it_is_sent_goes_on_as_it_was(jack: SharingJack) -> None:
    """Its bytes are still there, for as long as somebody reads them."""
    url = big_file(jack)
    with jack.connect(receive_bytes=4096) as sock:
        ask(sock, url, Connection="close")
        head = sock.recv(1024)
        other = jack.folder / "other"
        other.write_bytes(b"x" * BIG)
        other.replace(jack.folder / "big.mkv")
        total = len(head.partition(b"\r\n\r\n")[2])
        while data := sock.recv(MIB):
            assert b"x" not in data
            total += len(data)
    assert total == BIG


# -- friends -------------------------------------------------------------------------------------


@pytest.mark.fault("V4")
def test_twenty_slow_friends_leave_the_daemon_free_for_everybody_else(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One more is told when to come back, everything else is answered at once."""
    video = tmp_path / "video"
    video.mkdir()
    (video / "Film (2020) {tmdb-603}.mkv").write_bytes(b"start")
    os.truncate(video / "Film (2020) {tmdb-603}.mkv", BIG)
    (release,) = (shared.release for shared in FolderSource(video).scan())
    port = Port()
    request.addfinalizer(port.close)
    you = Jack(
        tmp_path / "you",
        jack={"internalUrl": port.url, "apiKey": KEY},
        library=[{"folder": str(video)}],
        share={"maxUploads": 20},
    )
    request.addfinalizer(you.close)
    you.start()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(20)
            sock.connect(("127.0.0.1", port.number))
            ask(sock, file_path(release.id))
            assert status_of(sock.recv(1024)) == 200
        for path in ("/ping", "/peer/search?tmdbId=603", "/handshake") * 5:
            answer = requests.get(port.url + path, headers={"X-Api-Key": KEY}, timeout=10)
            assert answer.status_code == 200
        busy = requests.get(
            port.url + file_path(release.id), headers={"X-Api-Key": KEY}, timeout=10, stream=True
        )
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "30")
        busy.close()
    assert you.stop() == 0


@pytest.mark.fault("V5")
def test_a_thousand_friends_who_hang_up_leave_nothing_behind_and_no_word_in_the_log(
    jack: SharingJack, caplog: pytest.LogCaptureFixture
) -> None:
    """With a reset: before a request, in the middle of one, before its answer, and in the body."""
    url = big_file(jack)
    before = settled(jack)
    request = f"GET {url} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n".encode()
    with caplog.at_level(logging.INFO):
        for number in range(1000):
            with jack.connect() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sent = (0, len(request) // 2, len(request), len(request))[number % 4]
                sock.sendall(request[:sent])
                if number % 4 == 3:
                    sock.recv(1)
        eventually(lambda: open_files() <= before)
    assert jack.get("/ping").status_code == 200
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


# -- ranges --------------------------------------------------------------------------------------


def _random_range(chance: random.Random, size: int) -> str:
    edges = (0, 1, size - 1, size, size + 1, size // 2, 2**31, 2**53 - 1, 2**53, 2**64, 10**30)
    numbers = [str(max(0, edge)) for edge in edges] + ["", "007", "+1", "-1", "1.0", "1e3", "\xb2"]
    pair = f"{chance.choice(numbers)}-{chance.choice(numbers)}"
    return chance.choice(
        [
            f"bytes={pair}",
            f"bytes={pair}",
            f"bytes={chance.choice(numbers)}-",
            f"bytes=-{chance.choice(numbers)}",
            f"bytes={pair},{pair}",
            f"bytes= {pair}",
            f"bytes ={pair}",
            f"\tbytes={pair} ",
            f"Bytes={pair}",
            f"items={pair}",
            f"bytes={pair}-",
            f"bytes:{pair}",
            pair,
            "bytes",
            "bytes=",
            "",
        ]
    )


def _expected(size: int, method: str, asked: str | None) -> tuple[int, int, int]:
    """Status, first byte and length, from RFC 9110 (14.1 and 14.2) and what jack says it ignores:
    several ranges, other units, a range that ends before it begins, and the last 0 bytes.
    """
    whole = (200, 0, size)
    form = r"\s*bytes\s*=\s*(?:(\d+)-(\d*)|-(\d+))\s*"
    match = re.fullmatch(form, asked or "", re.ASCII | re.IGNORECASE)
    if method == "HEAD" or match is None:
        return whole
    if int(match[2] or match[1] or match[3]) < int(match[1] or 1):
        return whole
    if match[3]:
        first, last = max(0, size - int(match[3])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
    return (206, first, last - first + 1) if first <= last else (416, 0, 0)


@pytest.mark.fault("V8")
@pytest.mark.parametrize("seed", FIXED_SEEDS)
def test_of_whatever_is_asked_for_exactly_that_is_sent(jack: SharingJack, seed: int) -> None:
    chance = random.Random(seed)
    contents = [chance.randbytes(size) for size in (0, 1, 1000, 70_000)]
    urls = [jack.share(f"{i}.mkv", body) + "/file" for i, body in enumerate(contents)]
    with jack.connect() as sock:
        for number in range(CASES_PER_SEED):
            url, content = chance.choice(list(zip(urls, contents, strict=True)))
            method = chance.choice(["GET", "GET", "GET", "HEAD"])
            asked = _random_range(chance, len(content)) if chance.random() < 0.9 else None
            known = jack.get(url, method="HEAD").headers if chance.random() < 0.5 else None
            fields = {"Accept_Encoding": chance.choice(["gzip", "br;q=1, *;q=0", "identity"])}
            fields |= {"Range": asked} if asked is not None else {}
            if known is not None:
                right, date = known["ETag"], known["Last-Modified"]
                condition = chance.choice([right, right, f"W/{right}", '"x"', date, "*", ""])
                fields["If_Range"] = condition
                asked = asked if condition == right else None
            ask(sock, url, method, **fields)
            answer = read_answer(sock, has_body=method == "GET")
            said = (seed, number, method, fields, len(content), answer.status, answer.headers)
            status, first, length = _expected(len(content), method, asked)
            assert answer.status == status, said
            assert answer.body == (content[first : first + length] if method == "GET" else b""), (
                said
            )
            assert answer.headers["content-length"] == str(length), said
            assert answer.headers["accept-ranges"] == "bytes", said
            assert "content-encoding" not in answer.headers, said
            assert "transfer-encoding" not in answer.headers, said
            expected = {
                200: None,
                206: f"bytes {first}-{first + length - 1}/{len(content)}",
                416: f"bytes */{len(content)}",
            }
            assert answer.headers.get("content-range") == expected[status], said


@pytest.mark.fault("V8")
@pytest.mark.parametrize(
    "path", ["/ping", "/handshake", "/peer/search", "/downloads", "/torznab/api?t=caps"]
)
def test_no_answer_is_ever_compressed(jack: SharingJack, path: str) -> None:
    for number in range(50):
        (jack.folder / f"Film {number} (2020).mkv").write_bytes(b"x")
    answer = jack.get(path, headers={"Accept-Encoding": "gzip, deflate, br, zstd, *"}, stream=True)
    assert "Content-Encoding" not in answer.headers
    assert len(answer.raw.read(decode_content=False)) == int(answer.headers["Content-Length"])


# -- searches ------------------------------------------------------------------------------------

ODD = (
    "%",
    "_",
    "%%%",
    "*",
    "603%",
    "60_",
    "603' OR '1'='1",
    '603" OR 1=1 --',
    "603; DROP TABLE releases",
    "(a+)+$",
    "[[:alpha:]]",
    ".*",
    "\\",
    "\x00",
    "603\x00",
    "\u0660\u0661",
    "\uff16\uff10\uff13",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "-603",
    "+603",
    " 603",
    "0603",
    "6.03e2",
    "0x25b",
    "9" * 400,
    "x" * 20_000,
    "603,604",
    "NULL",
    "true",
)


@pytest.mark.fault("V9")
@pytest.mark.parametrize("name", ["tmdbId", "imdbId", "tvdbId", "season", "episode"])
def test_an_odd_number_finds_nothing_and_breaks_nothing(jack: SharingJack, name: str) -> None:
    jack.share("Film (2020) {tmdb-603} {imdb-tt0133093}.mkv")
    for value in ODD:
        query = {name: value} if name.endswith("Id") else {"tvdbId": "1", name: value}
        answer = jack.get("/peer/search?" + urlencode(query))
        said = (name, value[:50], answer.status_code)
        assert answer.status_code == 200 or (answer.status_code == 400 and "tvdbId" in query), said
        assert answer.json().get("items", []) == [], said
    assert len(jack.get("/peer/search?tmdbId=603").json()["items"]) == 1


@pytest.mark.fault("V9")
@pytest.mark.parametrize("text", ODD)
def test_an_odd_text_finds_nothing_and_breaks_nothing(jack: SharingJack, text: str) -> None:
    answer = jack.get("/torznab/api?" + urlencode({"t": "search", "q": text, "apikey": KEY}))
    assert answer.status_code == 200
    assert ET.fromstring(answer.content).tag in {"rss", "error"}


@pytest.mark.fault("V9")
@pytest.mark.parametrize("path", ["/peer/search?imdbId=", "/torznab/api?t=search&q="])
def test_a_search_for_a_hundred_kilobytes_is_refused(jack: SharingJack, path: str) -> None:
    request = f"GET {path}{'x' * 100_000} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n"
    assert status_of(jack.raw(request.encode())) == 431


_NAMES = ("q", "cat", "limit", "offset", "season", "ep", "imdbid", "tmdbid", "tvdbid", "rid", "x")
_VALUES = (
    *ODD[:24],
    "",
    "-1",
    "1000000000",
    "abc",
    "S01",
    "E99",
    "01/15",
    "02/30",
    "2024",
    "2000,5000",
    "2000,,x",
    "tt0133093",
    "]]>",
    "<script>",
    "&amp;",
    "\ufffe",
    "\x1b",
)


@pytest.mark.fault("V10")
@pytest.mark.parametrize("seed", FIXED_SEEDS)
def test_whatever_a_torznab_client_asks_the_answer_is_well_formed_and_its_status_200(
    jack: SharingJack, seed: int
) -> None:
    chance = random.Random(seed)
    functions = ("caps", "search", "movie", "tvsearch", "music", "Search", "", "\x00", "t", "]]>&<")
    with jack.connect() as sock:
        for number in range(CASES_PER_SEED):
            given = [(name, chance.choice(_VALUES)) for name in chance.choices(_NAMES, k=3)]
            given += [("t", chance.choice(functions))] if chance.random() < 0.95 else []
            has_key = chance.random() < 0.9
            chance.shuffle(given)
            query = urlencode(given + ([("apikey", KEY)] if has_key else []))
            sock.sendall(f"GET /torznab/api?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = read_answer(sock)
            said = (seed, number, query, answer)
            assert answer.status == 200, said
            root = ET.fromstring(answer.body)
            assert root.tag in {"caps", "rss", "error"}, said
            if root.tag == "error":
                assert root.get("code") in {"100", "200", "201", "202"}, said
                assert root.get("description"), said
            assert (root.get("code") == "100") == (not has_key), said


# -- what lies in a shared folder, and what an id may say ----------------------------------------


def _socket(path: Path) -> None:
    short = Path("/tmp") / f"{os.getpid()}.{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(short))
    os.rename(short, path)


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


SPECIAL: dict[str, Callable[[Path], Any]] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": _device,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to a process's memory": lambda path: path.symlink_to("/proc/self/mem"),
    "a link out of the folder": lambda path: path.symlink_to("../secret.mkv"),
    "a link out by an absolute path": lambda path: path.symlink_to(
        path.parent.parent / "secret.mkv"
    ),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing.mkv"),
    "a link to the folder above": lambda path: path.symlink_to(".."),
    "a folder": lambda path: path.mkdir(),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_of_the_folder_is_neither_listed_nor_opened_and_never_waited_for(
    jack: SharingJack, kind: str
) -> None:
    (jack.folder.parent / "secret.mkv").write_bytes(b"secret")
    SPECIAL[kind](jack.folder / "Special (2020).mkv")
    SPECIAL[kind](jack.folder / "sub")
    item = jack.share("Good (2020).mkv")
    items = jack.get("/peer/search").json()["items"]
    assert [found["filename"] for found in items] == ["Good (2020).mkv"]
    before = settled(jack)
    (jack.folder / "Good (2020).mkv").unlink()
    SPECIAL[kind](jack.folder / "Good (2020).mkv")
    for path in (item, item + "/file"):
        assert jack.get(path).status_code == 404
    assert requests.get(jack.url + "/ping", timeout=10).ok
    eventually(lambda: open_files() <= before)


_STEPS = (
    "..",
    "%2e%2e",
    "%252e%252e",
    ".%2e",
    "/",
    "%2f",
    "%252f",
    "%5c",
    "\\",
    "%00",
    "%c0%ae%c0%ae",
    "%ef%bc%8f",
    "~",
    ";",
    "%3b",
    ":movie:",
    "%3Amovie%3A",
    "secret.mkv",
    "etc/passwd",
    "C:",
    "%0d%0a",
    "%20",
    ".",
)


@pytest.mark.parametrize("seed", FIXED_SEEDS)
def test_no_spelling_of_an_id_leads_anywhere(jack: SharingJack, seed: int) -> None:
    (jack.folder.parent / "secret.mkv").write_bytes(b"secret")
    good = jack.share("sub/Good (2020).mkv")
    source = good.rpartition("/")[2].partition("%3A")[0]
    chance = random.Random(seed)
    absolute = quote(str(jack.folder.parent / "secret.mkv"), safe="")
    with jack.connect() as sock:
        for number in range(CASES_PER_SEED):
            steps = chance.choices((*_STEPS, absolute, source), k=chance.randrange(1, 8))
            path = "/peer/items/" + "".join(steps) + chance.choice(["", "/file", "%2ffile"])
            ask(sock, path)
            answer = read_answer(sock)
            said = (seed, number, path, answer)
            assert answer.status in {404, 405}, said
            assert b"secret" not in answer.body, said
            assert "location" not in answer.headers, said
    assert jack.get(good + "/file").status_code == 200
