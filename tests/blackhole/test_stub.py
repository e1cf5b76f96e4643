from __future__ import annotations

import hashlib
import random

import bencode2
import pytest

from jack.blackhole.stub import (
    MAX_STUB_BYTES,
    PIECE_BYTES,
    NoStub,
    build_stub,
    info_hash,
    read_stub,
    read_torrent,
)
from jack.errors import UserError
from jack.model import Stub

STUB = Stub("15ee3276", "33cf6f5d:movie:42")


def torrent(comment: object) -> bytes:
    return bencode2.bencode({"comment": comment, "info": {"length": 1, "name": "x"}})


def test_the_info_hash_names_one_item_of_one_friend() -> None:
    """Two friends with the very same film: what is said of one copy is not said of the other."""
    stubs = [STUB, Stub("00000000", STUB.item_id), Stub(STUB.peer_id, "33cf6f5d:movie:43")]
    hashes = [info_hash(build_stub(stub, "Big Buck Bunny", 10)) for stub in stubs]
    assert len(set(hashes)) == len(stubs)


def test_the_source_in_the_info_dictionary_says_what_the_comment_says() -> None:
    document = bencode2.bdecode(build_stub(Stub("15ee3276", "ä:ö"), "T", 7))
    assert document[b"info"][b"source"] == "jack:15ee3276:ä:ö".encode()
    assert document[b"comment"] == document[b"info"][b"source"]


def test_a_stub_of_an_older_jack_without_a_source_is_read_as_before() -> None:
    info = {"length": 10, "name": "T", "piece length": PIECE_BYTES, "pieces": bytes(20)}
    data = bencode2.bencode({"comment": "jack:15ee3276:33cf6f5d:movie:42", "info": info})
    assert read_torrent(data) == (STUB, hashlib.sha1(bencode2.bencode(info)).hexdigest())


def test_the_info_hash_is_taken_over_the_raw_info_bytes() -> None:
    data = build_stub(STUB, "Ein schöner Film", 3 * PIECE_BYTES)
    raw = data[data.index(b"4:info") + len("4:info") : -1]
    assert info_hash(data) == hashlib.sha1(raw).hexdigest()


@pytest.mark.parametrize("data", [b"", b"i5e", b"d4:infoi5ee", b"d4:infod"])
def test_what_is_no_torrent_has_no_info_hash(data: bytes) -> None:
    with pytest.raises(UserError, match="not a torrent"):
        info_hash(data)


def test_a_stub_has_the_exact_bytes_that_radarr_and_sonarr_accept() -> None:
    data = build_stub(STUB, "T", PIECE_BYTES + 1)
    assert data == (
        b"d7:comment31:jack:15ee3276:33cf6f5d:movie:42"
        b"4:infod6:lengthi16777217e4:name1:T12:piece lengthi16777216e6:pieces40:"
        + bytes(40)
        + b"6:source31:jack:15ee3276:33cf6f5d:movie:42ee"
    )


@pytest.mark.parametrize(
    ("size", "pieces"), [(1, 1), (PIECE_BYTES, 1), (PIECE_BYTES + 1, 2), (5 * 10**9, 299)]
)
def test_the_number_of_piece_hashes_fits_the_size(size: int, pieces: int) -> None:
    info = bencode2.bdecode(build_stub(STUB, "T", size))[b"info"]
    assert info[b"pieces"] == bytes(20 * pieces)
    assert info[b"length"] == size


def test_the_same_input_gives_the_same_bytes() -> None:
    assert build_stub(STUB, "T", 5) == build_stub(STUB, "T", 5)


@pytest.mark.parametrize(
    ("stub", "title", "size"),
    [
        (STUB, "T", 0),
        (STUB, "T", -1),
        (STUB, "", 1),
        (STUB, "a\nb", 1),
        (STUB, "\udcff", 1),
        (Stub("15EE3276", "x"), "T", 1),
        (Stub("15ee327", "x"), "T", 1),
        (STUB, "T", 10**15),
        (STUB, "T" * 2 * MAX_STUB_BYTES, 1),
        (STUB, "T" * 200, MAX_STUB_BYTES // 20 * PIECE_BYTES),
        (Stub("15ee3276", ""), "T", 1),
        (Stub("15ee3276", "a\x00b"), "T", 1),
        (Stub("15ee3276", "x" * 513), "T", 1),
    ],
)
def test_what_no_stub_can_carry_is_the_users_error(stub: Stub, title: str, size: int) -> None:
    with pytest.raises(UserError, match="cannot make a stub"):
        build_stub(stub, title, size)


@pytest.mark.parametrize("item", ["x", "33cf6f5d:movie:42", ":", "::a:", "ä:ö", "x" * 512])
def test_a_stub_reads_back_as_it_was_built(item: str) -> None:
    assert read_stub(build_stub(Stub("15ee3276", item), "T", 7)) == Stub("15ee3276", item)


def test_white_space_behind_the_end_is_tolerated() -> None:
    assert read_stub(build_stub(STUB, "T", 7) + b"\r\n \t") == STUB


@pytest.mark.fault("W1")
def test_a_stub_truncated_anywhere_is_unreadable() -> None:
    data = build_stub(STUB, "Big Buck Bunny", PIECE_BYTES * 2)
    assert {read_stub(data[:end]) for end in range(len(data))} == {NoStub.UNREADABLE}


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "jack:",
        "jack:15ee3276",
        "jack:15ee3276:",
        "jack::x",
        "jack:15EE3276:x",
        "jack:15ee32760:x",
        "Jack:15ee3276:x",
        "jackal:15ee3276:x",
        "downloaded from somewhere",
        "jack:15ee3276:a\nb",
        "jack:15ee3276:a\x9fb",
        "jack:15ee3276:" + "x" * 513,
        b"jack:15ee3276:\xff",
        5,
        ["jack:15ee3276:x"],
    ],
)
def test_a_whole_torrent_with_any_other_comment_is_foreign(comment: object) -> None:
    assert read_stub(torrent(comment)) is NoStub.FOREIGN


@pytest.mark.parametrize("data", [b"de", b"le", b"i5e", b"3:abc", b"d4:infodee"])
def test_a_whole_value_without_a_comment_is_foreign(data: bytes) -> None:
    assert read_stub(data) is NoStub.FOREIGN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        bytes(4096),
        b"<html>",
        b"d7:comment31:jack:15ee3276:33cf6f5d:movie:42",
        build_stub(STUB, "T", 1) + b"x",
        b"l" * MAX_STUB_BYTES,
        b"l" * 300_000 + b"e" * 300_000,
        b"d1:a" * 200_000,
        b"d1:ai" + b"9" * 1_000_000 + b"ee",
        b"99999999999999999999999:a",
        b"-1:a",
    ],
)
def test_broken_and_hostile_bytes_are_unreadable(data: bytes) -> None:
    assert read_stub(data) is NoStub.UNREADABLE


def test_the_decoder_giving_up_on_depth_is_not_an_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_deep(data: bytes) -> object:
        raise RecursionError

    monkeypatch.setattr(bencode2, "bdecode", too_deep)
    assert read_stub(build_stub(STUB, "T", 1)) is NoStub.UNREADABLE


def test_a_decoder_that_gives_text_keys_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bencode2, "bdecode", lambda data: {"comment": "jack:15ee3276:a:b"})
    assert read_stub(b"de") == Stub("15ee3276", "a:b")


def test_random_bytes_never_raise_and_never_become_a_stub() -> None:
    chance = random.Random(20260101)
    alphabets = [bytes(range(256)), b"dlei0123456789:-ackjomnt"]
    for _ in range(4000):
        alphabet = chance.choice(alphabets)
        data = bytes(chance.choices(alphabet, k=chance.randrange(120)))
        assert isinstance(read_stub(data), NoStub)


def test_a_stub_with_any_one_byte_changed_never_raises() -> None:
    chance = random.Random(7)
    data = build_stub(STUB, "Big Buck Bunny", 10)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << chance.randrange(8)
        assert isinstance(read_stub(bytes(changed)), (Stub, NoStub))
