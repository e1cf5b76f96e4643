"""The doctor on friends: what it asks them, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jack.doctor.findings import Level
from tests.doctor.patient import PEER_KEY, Patient
from tests.support.certificates import self_signed
from tests.support.scripted_peer import Answer, Request, ScriptedPeer, file_path

ITEM = "c:movie:1"
FILE = file_path(ITEM)
MIB = 1024 * 1024
PART = f"bytes={2 * MIB}-{2 * MIB + 1023}"
"""What is asked for of a film of 6 MiB: of the 4 MiB that are known by then, the middle."""


@pytest.fixture
def film(peer: ScriptedPeer, patient: Patient) -> bytes:
    body = bytes(range(256)) * (6 * MIB // 256)
    peer.offer(ITEM, body, etag='"v1"')
    patient.befriend(peer)
    return body


def lines(patient: Patient) -> list[str]:
    return [finding.line for finding in patient.examine() if "friend friend:" in finding.text]


def test_a_good_friend_is_well_in_every_respect(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    said = lines(patient)
    assert said[0] == "ok   friend friend: reachable by plain HTTP, the key is accepted"
    assert said[1].startswith("warn friend friend: its url is plain http")
    assert said[2] == "ok   friend friend: speaks version 0.1.0"
    assert said[3].startswith("ok   friend friend: 4.0 MiB in ")
    assert said[3].endswith("iB/s")
    assert said[4:] == [
        "ok   friend friend: broken transfers go on where they were (Range)",
        "ok   friend friend: a replaced file is noticed (If-Range)",
    ]
    assert patient.troubles() == []


def test_the_speed_costs_4_mib_and_no_more(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    patient.examine()
    asked = [request.range for request in peer.requests_to(FILE)]
    assert asked == [f"bytes=0-{4 * MIB - 1}", PART, PART, PART]


def test_a_friend_that_is_not_there_is_one_failure(patient: Patient, film: bytes) -> None:
    patient.blocks["peers"][0]["url"] = "http://127.0.0.1:1"
    (line,) = patient.troubles()
    assert line.startswith("FAIL friend friend: cannot be reached (Connection refused)")
    assert "-> check its url" in line


def test_a_key_that_is_refused_is_named(patient: Patient, film: bytes) -> None:
    patient.blocks["peers"][0]["apiKey"] = "another-key"
    (line,) = patient.troubles()
    assert "does not accept our key (HTTP 401) -> ask your friend for the key" in line


def test_a_certificate_that_is_not_trusted_is_a_failure_until_ca_file_names_it(
    patient: Patient, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    with ScriptedPeer(tls=certificate.context(), api_key=PEER_KEY) as secure:
        patient.befriend(secure)
        (line,) = patient.troubles()
        assert "its certificate is not trusted" in line
        assert "-> correct url or caFile" in line
        patient.blocks["peers"][0]["caFile"] = str(certificate.cert)
        assert patient.troubles() == []
        assert "reachable by TLS" in lines(patient)[0]
        assert "plain http" not in "".join(lines(patient))


@pytest.mark.parametrize("version", ['"0.0.9"', "null", '"v1"', "[]"])
def test_a_version_that_is_too_old_or_none_is_a_failure(
    peer: ScriptedPeer, patient: Patient, film: bytes, version: str
) -> None:
    answer = Answer(200, {}, f'{{"name": "jack", "version": {version}}}'.encode())
    peer.always("/handshake", answer)
    (line,) = patient.troubles()
    assert "at least 0.1.0 is needed -> ask your friend to update jack" in line
    assert peer.requests_to(FILE) == []


def test_a_friend_without_a_handshake_is_an_early_version(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    peer.always("/handshake", Answer(404))
    assert "early version" in patient.found("without a handshake").text
    assert patient.troubles() == []


def test_a_friend_who_shares_nothing_cannot_be_tried_further(
    peer: ScriptedPeer, patient: Patient
) -> None:
    patient.befriend(peer)
    assert patient.found("shares nothing now").level is Level.WARN
    assert patient.troubles() == []


def test_a_friend_that_ignores_range_is_a_failure(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    peer.always(FILE, Answer(200, {"ETag": '"v1"'}, film))
    (line,) = patient.troubles()
    assert "ignores Range, so a broken transfer starts over -> a proxy" in line


def part(peer: ScriptedPeer, answer: Answer) -> None:
    """From now on whoever asks for a part from within the file gets this answer."""
    peer.always(
        FILE,
        lambda request: peer.honest(request) if "=0-" in (request.range or "") else answer,
    )


@pytest.mark.parametrize(
    "span",
    [
        "bytes 0-1023/6291456",
        "bytes 2097152-2098175/9",
        "bytes 2097152-2098175/*",
        "nonsense",
    ],
)
def test_a_friend_that_answers_range_with_other_bytes_is_a_failure(
    peer: ScriptedPeer, patient: Patient, film: bytes, span: str
) -> None:
    part(peer, Answer(206, {"Content-Range": span}, film[2 * MIB : 2 * MIB + 1024]))
    (line,) = patient.troubles()
    assert "answers Range with other bytes" in line


RIGHT = {"Content-Range": f"bytes {2 * MIB}-{2 * MIB + 1023}/{6 * MIB}", "ETag": '"v1"'}


@pytest.mark.parametrize(
    ("chunked", "size", "sends"),
    [
        (False, 6 * MIB, "sends the whole file"),
        (True, 6 * MIB, "sends more than that"),
        (True, 1000, "sends 1000 bytes of 1024"),
    ],
)
def test_a_friend_whose_206_has_another_length_makes_going_on_cost_everything(
    peer: ScriptedPeer, patient: Patient, film: bytes, chunked: bool, size: int, sends: str
) -> None:
    """As the TypeScript jack does on Bun 1.4.0: the right Content-Range, and the whole file."""
    length = None if chunked else -1
    part(peer, Answer(206, RIGHT, film[:size], length=length, chunked=chunked))
    (line,) = patient.troubles()
    assert f"{sends}: going on after a broken transfer costs everything that was there" in line
    assert "-> ask your friend to update jack or what it runs on (Bun 1.4.0 does this)" in line


def test_a_friend_whose_206_has_the_bytes_of_another_place_is_a_failure(
    peer: ScriptedPeer, patient: Patient
) -> None:
    film = b"\0" * 2 * MIB + b"x" * 4 * MIB
    peer.offer(ITEM, film, etag='"v1"')
    patient.befriend(peer)
    part(peer, Answer(206, RIGHT, film[:1024]))
    (line,) = patient.troubles()
    assert "sends other bytes: a broken transfer that goes on would be spoilt" in line


def test_a_friend_that_ignores_if_range_is_well_for_jack_compares_itself(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    def deaf(request: Request) -> Answer:
        headers = {name: v for name, v in request.headers.items() if name != "if-range"}
        return peer.honest(replace(request, headers=headers))

    peer.always(FILE, deaf)
    assert patient.found("ignores If-Range").level is Level.OK


def test_a_friend_without_etags_is_well(peer: ScriptedPeer, patient: Patient) -> None:
    peer.offer(ITEM, b"film", last_modified="Thu, 01 Jan 2015 12:00:00 GMT")
    patient.befriend(peer)
    finding = patient.found("sends no strong ETag; jack compares size, date and the last MiB")
    assert finding.level is Level.OK
    assert patient.troubles() == []


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_date_that_is_not_sent_is_not_said_to_be_compared(
    peer: ScriptedPeer, patient: Patient, date: str | None
) -> None:
    peer.offer(ITEM, b"film", etag='W/"1"', last_modified=date)
    patient.befriend(peer)
    finding = patient.found("sends neither a strong ETag nor a date that tells versions apart")
    assert finding.level is Level.OK
    assert "size, date" not in "".join(lines(patient))


def test_a_friend_that_refuses_its_own_version_is_a_warning(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    def forgetful(request: Request) -> Answer:
        whole = "if-range" in request.headers
        return Answer(200, {"ETag": '"v1"'}, film) if whole else peer.honest(request)

    peer.always(FILE, forgetful)
    assert patient.found("refuses to go on with the very version").level is Level.WARN


@pytest.mark.parametrize("size", [0, 1])
def test_a_friend_with_a_film_too_small_for_a_range_is_not_asked_for_one(
    peer: ScriptedPeer, patient: Patient, size: int
) -> None:
    peer.offer(ITEM, b"x", size=size)
    patient.befriend(peer)
    patient.examine()
    assert [request.range for request in peer.requests_to(FILE)] == [f"bytes=0-{4 * MIB - 1}"]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_file_that_is_not_given_is_a_failure(
    peer: ScriptedPeer, patient: Patient, film: bytes, status: int
) -> None:
    peer.always(FILE, Answer(status))
    (line,) = patient.troubles()
    assert f"HTTP {status}" in line
    assert " -> " in line


def test_a_connection_that_breaks_while_it_is_measured_is_a_failure(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    def broken(request: Request) -> Answer:
        answer = peer.honest(request)
        return replace(answer, cut_after=1000) if "=0-" in (request.range or "") else answer

    peer.always(FILE, broken)
    (line,) = patient.troubles()
    assert line.startswith("FAIL friend friend: the connection broke")


def test_every_friend_is_looked_at_whatever_the_one_before_does(
    peer: ScriptedPeer, patient: Patient, film: bytes
) -> None:
    dead = {"name": "dead", "url": "http://127.0.0.1:1", "apiKey": PEER_KEY}
    patient.blocks["peers"].insert(0, dead)
    assert len(patient.troubles()) == 1
    assert "4.0 MiB" in patient.found("4.0 MiB").text


@pytest.mark.parametrize("status", [206, 500])
def test_a_file_of_which_no_byte_comes_is_a_failure(
    peer: ScriptedPeer, patient: Patient, status: int
) -> None:
    peer.offer(ITEM, b"x", size=1)
    patient.befriend(peer)
    peer.always(FILE, Answer(status))
    (line,) = patient.troubles()
    assert ("sent no byte of 'Film (2020).mkv'" if status == 206 else "HTTP 500") in line
