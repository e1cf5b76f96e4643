"""A list of any length, one element in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from jack.errors import ProtocolError
from jack.support import json_array
from jack.support.json_array import array_items, member_items

OBJECTS: list[dict[str, Any]] = [
    {"a": 1},
    {},
    {"b": {"c": [1, {"d": "]},{["}]}},
    {"é": '\U0001f3ac\\"'},
]


def pieces(data: bytes, length: int) -> list[bytes]:
    return [data[at : at + length] for at in range(0, len(data), length)]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_every_object_comes_however_the_answer_is_cut(
    length: int, indent: int | None, is_ascii: bool
) -> None:
    data = b"\r\n" + json.dumps(OBJECTS, indent=indent, ensure_ascii=is_ascii).encode() + b"\n"
    assert list(array_items(pieces(data, length))) == OBJECTS


@pytest.mark.parametrize("data", [b"[]", b" [ ] ", b"\xef\xbb\xbf[]"])
def test_an_empty_list_is_empty(data: bytes) -> None:
    assert list(array_items([data])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{}",
        b"<html>",
        b"null",
        b"[",
        b"[{}",
        b'[{"a": 1',
        b"[{},",
        b"[{},]",
        b"[,{}]",
        b"[{} {}]",
        b"[1]",
        b'["a"]',
        b"[[]]",
        b'[{"a": NaN}]',
        b'[{"a": \xff}]',
        b"[" + b'{"a":' * 100_000,
    ],
)
@pytest.mark.parametrize("length", [1, 1_000_000])
def test_anything_else_is_a_protocol_error(data: bytes, length: int) -> None:
    if length == 1 and len(data) > 1000:
        length = 1000
    with pytest.raises(ProtocolError):
        list(array_items(pieces(data, length)))


def test_what_came_before_the_cut_was_handed_over() -> None:
    items = array_items([b'[{"a": 1}, {"b"'])
    assert next(items) == {"a": 1}
    with pytest.raises(ProtocolError):
        next(items)


def test_an_element_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "MAX_ELEMENT_CHARACTERS", 10_000)
    taken = []

    def endless() -> Iterator[bytes]:
        yield b'[{"a": "'
        while len(taken) < 1000:
            taken.append(1)
            yield b"x" * 1000

    with pytest.raises(ProtocolError):
        list(array_items(endless()))
    assert len(taken) < 50


def test_memory_does_not_grow_with_the_list() -> None:
    element = json.dumps({"title": "x" * 5000}).encode()

    def chunks() -> Iterator[bytes]:
        yield b"["
        for _ in range(4000):
            yield element + b","
        yield element + b"]"

    tracemalloc.start()
    try:
        assert sum(1 for _ in array_items(chunks())) == 4001
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000, "20 MB went through"


# -- a list that is a member of an object ----------------------------------------------------------


def members(data: bytes, length: int = 10_000, longest: int = 1000) -> list[Any]:
    return list(member_items(pieces(data, length), "items", json.JSONDecoder(), longest))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_every_element_of_the_member_comes_however_the_answer_is_cut(
    length: int, indent: int | None
) -> None:
    items = [*OBJECTS, None, 5, 12345678, -1.5e3, "text", [], [1, [2]], True]
    whole = {"before": {"items": [1]}, "n": 12, "items": items, "after": [{}, "x"]}
    data = b" " + json.dumps(whole, indent=indent).encode() + b"\r\n"
    assert members(data, length) == items


@pytest.mark.parametrize("data", [b'{"items":[]}', b' { "items" : [ ] } ', b'{"a":1,"items":[]}'])
def test_an_empty_member_is_empty(data: bytes) -> None:
    assert members(data) == []


@pytest.mark.parametrize("length", [1, 1000])
@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b"null", b"[]", b"<html>", b"{", b"{}", b'{"a":1}', b'{"items":{}}'),
        *(b'{"items":null}', b'{"items":[}', b'{"items":[]', b'{"items":[],}', b'{,"items":[]}'),
        *(b'{"items":[]}x', b'{"items":[]}{}', b'{"items":[],"items":[]}', b"{items:[]}"),
        *(b'{"items":[1,]}', b'{"items":[,1]}', b'{"items":[1 2]}', b'{"items" []}', b"{1:[]}"),
        *(b'{"items":["\xff"]}', b'{"items":[' + b"[" * 5000, b'{"items":[01]}'),
    ],
)
def test_anything_else_than_an_object_with_that_list_is_refused(data: bytes, length: int) -> None:
    with pytest.raises(ProtocolError):
        members(data, length, longest=100_000)


def test_an_element_beyond_the_limit_is_refused_though_it_is_well_formed() -> None:
    data = json.dumps({"items": ["x" * 5000]}).encode()
    assert members(data, 100, longest=5000) == ["x" * 5000]
    with pytest.raises(ProtocolError):
        members(data, 100, longest=1000)
