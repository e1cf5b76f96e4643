"""What each kind of answer does to the row, the `.part` and the file."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from jack.errors import JackError, PeerRefused, PermanentError, ProtocolError, TransientError
from jack.model import Validator
from tests.support.scripted_peer import Answer, ScriptedPeer
from tests.transfer.rig import DATED, ETAG, FILE, ITEM, Rig, film

BODY = film(50_000)
OTHER = film(50_000, seed=2)
HALF = 20_000


def part_of(body: bytes, span: str | None, start: int = HALF, **more: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    if span is not None:
        headers["Content-Range"] = span
    return Answer(206, headers, body[start:])


@pytest.fixture(autouse=True)
def half(rig: Rig, peer: ScriptedPeer) -> None:
    """Half of the file is on disk and recorded."""
    peer.offer(ITEM, BODY, etag=ETAG)
    rig.had(BODY[:HALF], expected=len(BODY), etag=ETAG)


def test_a_resume_appends_an_exact_206_and_nothing_is_sent_twice(rig: Rig) -> None:
    outcome = rig.attempt()
    (request,) = rig.peer.requests_to(FILE)
    assert not outcome.restarted
    assert request.headers["range"] == f"bytes={HALF}-"
    assert request.headers["if-range"] == ETAG
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["accept"] == "*/*"
    assert request.sent == len(BODY) - HALF
    assert rig.dest.read_bytes() == BODY
    assert rig.row.kinds() == ["checkpoint", "outdated?"]


def test_without_use_if_range_only_the_range_is_sent(rig: Rig) -> None:
    rig.use_if_range = False
    rig.attempt()
    assert "if-range" not in rig.peer.requests_to(FILE)[0].headers
    assert rig.dest.read_bytes() == BODY


REST = f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"
NONSENSE = {
    "no Content-Range": part_of(BODY, None),
    "a start too low": part_of(BODY, f"bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}", HALF - 1),
    "a start too high": part_of(BODY, f"bytes {HALF + 1}-{len(BODY) - 1}/{len(BODY)}", HALF + 1),
    "a start too low, in chunks": replace(
        part_of(BODY, f"bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}", HALF - 1), chunked=True
    ),
    "a start too high, in chunks": replace(
        part_of(BODY, f"bytes {HALF + 1}-{len(BODY) - 1}/{len(BODY)}", HALF + 1), chunked=True
    ),
    "an unknown total": part_of(BODY, f"bytes {HALF}-{len(BODY) - 1}/*"),
    "another total": part_of(BODY + b"!", f"bytes {HALF}-{len(BODY)}/{len(BODY) + 1}"),
    "a star": part_of(BODY, f"bytes */{len(BODY)}"),
    "full-width digits": Answer(206, {"Content-Range": REST.replace("2", "\xb2")}, BODY[HALF:]),
    "a length that disagrees": replace(part_of(BODY, REST), length=len(BODY)),
    "two lengths": Answer(206, [("Content-Range", REST), ("Content-Length", "30000")], BODY[HALF:]),
    "two ranges": Answer(206, [("Content-Range", REST), ("Content-Range", REST)], BODY[HALF:]),
    "several parts": part_of(BODY, REST, Content_Type="multipart/byteranges; boundary=x"),
    "another ETag": part_of(BODY, REST, ETag='"v2"'),
    "a weak ETag": part_of(BODY, REST, ETag=f"W/{ETAG}"),
}


@pytest.mark.fault("H2")
@pytest.mark.parametrize("name", NONSENSE)
def test_a_206_that_does_not_fit_is_discarded_and_the_file_fetched_from_byte_0(
    rig: Rig, name: str
) -> None:
    rig.peer.offer(ITEM, OTHER, etag='"v2"')
    rig.peer.script(FILE, NONSENSE[name])
    outcome = rig.attempt()
    assert outcome.restarted
    assert rig.asked() == [f"bytes={HALF}-", None]
    assert len(rig.row.reasons) == 1
    assert rig.row.validator == Validator('"v2"')
    assert rig.dest.read_bytes() == OTHER


@pytest.mark.fault("H10")
def test_another_last_modified_restarts(rig: Rig) -> None:
    rig.had(BODY[:HALF], expected=len(BODY), last_modified=DATED)
    rig.peer.offer(ITEM, OTHER, last_modified="Wed, 01 Jan 2020 11:00:00 GMT")
    rig.attempt()
    assert rig.row.reasons == ["the file at the peer has changed (another Last-Modified)"]
    assert rig.dest.read_bytes() == OTHER


@pytest.mark.fault("H2")
def test_nonsense_twice_is_a_protocol_error(rig: Rig) -> None:
    rig.peer.script(FILE, part_of(BODY, None), part_of(BODY, REST))
    with pytest.raises(ProtocolError, match="friend: it sent a part"):
        rig.attempt()
    assert (rig.row.offset, rig.asked()) == (0, [f"bytes={HALF}-", None])


def test_a_206_nobody_asked_for_writes_nothing(rig: Rig) -> None:
    rig.part.unlink()
    rig.row.offset = 0
    rig.peer.script(FILE, part_of(BODY, f"bytes 0-{len(BODY) - 1}/{len(BODY)}", 0))
    with pytest.raises(ProtocolError, match="asked for as a whole"):
        rig.attempt()
    assert not rig.part.exists()


@pytest.mark.fault("H1")
def test_a_200_to_a_range_is_recorded_as_a_reset_first_and_then_used(rig: Rig) -> None:
    rig.peer.offer(ITEM, OTHER, etag='"v2"')
    length_at_reset: list[int] = []
    real = rig.row.restart

    def restart(reason: str, validator: Validator) -> None:
        length_at_reset.append(rig.part.stat().st_size)
        real(reason, validator)

    rig.row.restart = restart  # type: ignore[method-assign]
    outcome = rig.attempt()
    assert length_at_reset == [HALF], "the row says 0 before the part is touched"
    assert outcome.restarted
    assert not outcome.if_range_ignored
    assert rig.row.reasons == ["the file at the peer has changed (another ETag)"]
    assert rig.row.validator == Validator('"v2"')
    assert rig.asked() == [f"bytes={HALF}-"]
    assert rig.dest.read_bytes() == OTHER


def test_a_200_to_if_range_with_our_own_etag_is_noticed(rig: Rig) -> None:
    rig.peer.script(FILE, Answer(200, {"ETag": ETAG}, BODY))
    assert rig.attempt().if_range_ignored
    assert "whole file instead of the rest" in rig.row.reasons[0]
    assert rig.dest.read_bytes() == BODY


def test_a_200_without_if_range_says_nothing_about_if_range(rig: Rig) -> None:
    rig.use_if_range = False
    rig.peer.script(FILE, Answer(200, {"ETag": ETAG}, BODY))
    assert not rig.attempt().if_range_ignored


def test_a_part_of_the_rest_is_kept_and_resumed(rig: Rig) -> None:
    rig.peer.script(
        FILE,
        Answer(
            206,
            {"Content-Range": f"bytes {HALF}-29999/{len(BODY)}", "ETag": ETAG},
            BODY[HALF:30000],
        ),
    )
    with pytest.raises(TransientError, match="up to 30000 only"):
        rig.attempt()
    assert rig.row.offset == 30000
    rig.attempt()
    assert rig.asked()[1:] == ["bytes=30000-"]
    assert rig.dest.read_bytes() == BODY


def test_a_chunked_206_needs_no_content_length(rig: Rig) -> None:
    rig.peer.always(FILE, lambda request: replace(rig.peer.honest(request), chunked=True))
    assert not rig.attempt().restarted
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("H6")
@pytest.mark.parametrize("expected", [None, "same"])
def test_416_at_exactly_the_full_size_finishes_after_checking(
    rig: Rig, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.had(BODY, etag=ETAG)
    assert rig.attempt().size == len(BODY)
    assert rig.asked() == [f"bytes={len(BODY)}-"]
    assert (rig.row.expected, rig.row.source) == (len(BODY), "content_range")
    assert rig.dest.read_bytes() == BODY


@pytest.mark.fault("H7")
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes */{len(BODY) - 1}"},
        {"Content-Range": f"bytes */{HALF}"},
        {"Content-Range": f"bytes */{len(BODY)}", "ETag": '"v2"'},
        {"Content-Range": "bytes */*"},
        {"Content-Range": f"bytes 0-1/{len(BODY)}"},
        {},
    ],
)
def test_any_other_416_restarts(rig: Rig, headers: dict[str, str]) -> None:
    rig.peer.offer(ITEM, OTHER, etag='"v2"')
    rig.peer.script(FILE, Answer(416, headers))
    assert rig.attempt().restarted
    assert rig.asked() == [f"bytes={HALF}-", None]
    assert rig.dest.read_bytes() == OTHER


@pytest.mark.fault("H6")
def test_416_with_another_version_at_the_full_size_restarts(rig: Rig) -> None:
    rig.had(BODY, etag=ETAG)
    rig.peer.offer(ITEM, OTHER, etag='"v2"')
    rig.peer.script(FILE, Answer(416, {"Content-Range": "bytes */50000", "ETag": '"v2"'}))
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == OTHER


@pytest.mark.fault("H7")
@pytest.mark.parametrize("total", [HALF - 1, HALF + 1])
def test_416_with_another_total_restarts_though_none_was_recorded(rig: Rig, total: int) -> None:
    rig.had(film(HALF, seed=4))
    rig.peer.script(FILE, Answer(416, {"Content-Range": f"bytes */{total}"}))
    assert rig.attempt().restarted
    assert rig.dest.read_bytes() == BODY


def test_416_to_a_request_for_the_whole_file_is_nonsense(rig: Rig) -> None:
    rig.part.unlink()
    rig.row.offset = 0
    rig.peer.script(FILE, Answer(416))
    with pytest.raises(ProtocolError, match="not asked for"):
        rig.attempt()


STATUSES: list[tuple[int, type[JackError]]] = [
    *((status, PeerRefused) for status in (401, 403)),
    *((status, PermanentError) for status in (400, 404, 405, 410, 418, 451, 499)),
    *((status, TransientError) for status in (408, 425, 429, 500, 502, 503, 504, 507, 522, 599)),
    *((status, TransientError) for status in (999,)),
    *((status, ProtocolError) for status in (201, 202, 203, 205, 226, 299)),
    (204, PermanentError),
    *((status, ProtocolError) for status in (101, 300, 301, 302, 303, 304, 307, 308)),
]


@pytest.mark.fault("H19", "H26")
@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("body", [b"", b"no film"])
def test_every_other_status_has_its_class_and_leaves_the_part_untouched(
    rig: Rig, status: int, kind: type[JackError], body: bytes
) -> None:
    rig.peer.script(FILE, Answer(status, {}, body))
    with pytest.raises(JackError) as caught:
        rig.attempt()
    assert type(caught.value) is kind
    assert rig.part.read_bytes() == BODY[:HALF]
    assert (rig.row.events, rig.progress.end_offset) == ([], HALF)
    assert rig.attempt().size == len(BODY)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("Retry-After", "7"), ("Retry-After", "9")], 9.0),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "0")], None),
        ([], None),
    ],
)
def test_what_the_peer_asks_us_to_wait_travels_with_the_error(
    rig: Rig, lines: list[tuple[str, str]], seconds: float | None
) -> None:
    rig.peer.script(FILE, Answer(503, lines))
    with pytest.raises(TransientError) as caught:
        rig.attempt()
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.fault("H21")
@pytest.mark.parametrize(
    "location",
    ["http://elsewhere.example/secret?path", "file:///etc/passwd", "", "//[bad", "/loop"],
)
def test_a_redirect_is_not_followed_and_only_its_origin_is_named(rig: Rig, location: str) -> None:
    rig.peer.script(FILE, Answer(302, {"Location": location}))
    with pytest.raises(ProtocolError) as caught:
        rig.attempt()
    assert "secret" not in str(caught.value)
    assert "passwd" not in str(caught.value)
    assert ("elsewhere.example" in str(caught.value)) is ("elsewhere" in location)
    assert len(rig.asked()) == 1


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/html"},
        {"Content-Type": "application/json"},
        {"Content-Encoding": "gzip"},
        {"Transfer-Encoding": "gzip"},
    ],
)
def test_an_answer_that_cannot_be_the_film_touches_nothing(
    rig: Rig, status: int, headers: dict[str, str]
) -> None:
    span = {"Content-Range": REST} if status == 206 else {}
    rig.peer.script(FILE, Answer(status, {**headers, **span}, BODY[HALF:]))
    with pytest.raises(ProtocolError):
        rig.attempt()
    assert rig.part.read_bytes() == BODY[:HALF]
    assert (rig.row.events, rig.progress.restarted) == ([], False)


def test_a_page_on_a_fresh_start_leaves_no_file_at_all(rig: Rig) -> None:
    rig.part.unlink()
    rig.row.offset = 0
    rig.peer.script(FILE, Answer(200, {"Content-Type": "text/html"}, b"<html>"))
    with pytest.raises(ProtocolError, match="never a film"):
        rig.attempt()
    assert list(rig.folder.iterdir()) == []


def test_a_restart_is_said_once_with_its_reason(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.peer.script(FILE, part_of(BODY, None))
    with caplog.at_level(logging.INFO):
        rig.attempt()
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "friend" in line
    assert "byte 0" in line
    assert "without saying which" in line


def test_what_a_later_look_learns_about_the_version_is_kept(rig: Rig) -> None:
    rig.had(BODY[:HALF], expected=len(BODY), last_modified=DATED)
    rig.peer.offer(ITEM, BODY, etag=ETAG)
    rig.attempt()
    assert rig.row.validator == Validator(ETAG, DATED)


@pytest.mark.fault("H29")
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_server_that_speaks_http_1_0_or_closes_each_time_works(rig: Rig, connection: str) -> None:
    rest = BODY[HALF:]
    head = (
        f"HTTP/1.0 206 Partial Content\r\nConnection: {connection}\r\nContent-Range: {REST}\r\n"
        f"Content-Length: {len(rest)}\r\n\r\n"
    )
    rig.peer.script(FILE, Answer(raw=head.encode() + rest))
    rig.attempt()
    assert rig.dest.read_bytes() == BODY
