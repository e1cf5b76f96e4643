"""A JSON array read element by element, so that its length costs no memory. Pure."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from jack.errors import ProtocolError

MAX_ELEMENT_CHARACTERS = 4 * 1024 * 1024
"""A movie with everything known about it is a thousandth of this."""
_SPACE = " \t\r\n"


class _Text:
    """The part of the answer that was received and not used yet."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._buffer = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._grow(1):
                return ""

    def skip(self) -> None:
        self._at += 1

    def object(self, decoder: json.JSONDecoder) -> Any:
        """The value that starts here, which must be a JSON object: its end cannot be mistaken."""
        while True:
            try:
                value, self._at = decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                # Not all here yet, or broken. Twice as much before the next try keeps the work
                # linear in the size of the element.
                there = len(self._buffer) - self._at
                if there > MAX_ELEMENT_CHARACTERS or not self._grow(there):
                    raise ProtocolError("the answer is not valid JSON, or was cut off") from error
            else:
                return value

    def _grow(self, characters: int) -> bool:
        """Receive at least so many more, as far as there are; False when there are none at all."""
        parts: list[str] = []
        received = 0
        while received < characters and not self._ended:
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            part = self._decode(chunk or b"", self._ended)
            parts.append(part)
            received += len(part)
        self._buffer = self._buffer[self._at :] + "".join(parts)
        self._at = 0
        return received > 0


def array_items(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of one JSON array that arrives in `chunks` (UTF-8).

    Holds one element and one chunk at a time. Raises ProtocolError when it is anything else than a
    complete array of objects; what came before the fault has been yielded by then.
    """
    try:
        yield from _items(_Text(chunks))
    except (UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError("the answer is not valid JSON") from error


def _items(text: _Text) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    if text.peek() != "[":
        raise ProtocolError("the answer is a page or an object where a list was expected")
    text.skip()
    wanted = "{]"
    while (character := text.peek()) != "]":
        if character == "" or character not in wanted:
            raise ProtocolError("the answer is not a list of objects, or was cut off")
        if character == ",":
            text.skip()
            wanted = "{"
            continue
        yield text.object(decoder)
        wanted = ",]"
    if "]" not in wanted:
        raise ProtocolError("the answer is not valid JSON")


def _no_constant(name: str) -> float:
    raise ProtocolError(f"the answer holds {name}, which is not JSON")
