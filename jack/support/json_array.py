"""JSON arrays read element by element, so that their length costs no memory. Pure."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from jack.errors import ProtocolError

MAX_ELEMENT_CHARACTERS = 4 * 1024 * 1024
"""A movie with everything known about it is a thousandth of this."""
_SPACE = re.compile(r"[ \t\r\n]+")
_BRACKETED = '{["'
_LONGEST_NUMBER = 64


class _Received:
    """The part of the answer that was received and not used yet."""

    def __init__(
        self, chunks: Iterable[bytes], decoder: json.JSONDecoder, longest: int | None = None
    ) -> None:
        self._chunks = iter(chunks)
        self._decoder = decoder
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._buffer = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._grow(1):
                return ""

    def skip(self) -> None:
        self._at += 1

    def expect(self, character: str) -> None:
        if self.peek() != character:
            raise ProtocolError("the answer is not valid JSON, or was cut off")
        self._at += 1

    def value(self) -> Any:
        """The value that starts here."""
        if self.peek() not in _BRACKETED and len(self._buffer) - self._at < _LONGEST_NUMBER:
            self._grow(_LONGEST_NUMBER)  # the end of a number cannot be seen before what follows
        longest = MAX_ELEMENT_CHARACTERS if self._longest is None else self._longest
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                # Not all here yet, or broken. Twice as much before the next try keeps the work
                # linear in the size of the element.
                there = len(self._buffer) - self._at
                if there > longest or not self._grow(there):
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
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    text = _Received(chunks, decoder)
    with _understood():
        if text.peek() != "[":
            raise ProtocolError("the answer is a page or an object where a list was expected")
        for element in _elements(text):
            if not isinstance(element, dict):
                raise ProtocolError("the answer is not a list of objects")
            yield element


def member_items(
    chunks: Iterable[bytes], member: str, decoder: json.JSONDecoder, longest: int
) -> Generator[Any, None, None]:
    """Yield the elements of the array `member` of one JSON object that arrives in `chunks` (UTF-8).

    Holds one element, of at most about twice `longest` characters, and one chunk at a time. Raises
    ProtocolError when it is anything else than a complete object with such a member; what came
    before the fault has been yielded by then.
    """
    text = _Received(chunks, decoder, longest)
    found = False
    with _understood():
        if text.peek() != "{":
            raise ProtocolError(f'the answer is not of the form {{"{member}": [...]}}')
        text.skip()
        while text.peek() != "}":
            key = text.value() if text.peek() == '"' else None
            text.expect(":")
            if key == member and not found and text.peek() == "[":
                found = True
                yield from _elements(text)
            elif key is None or key == member:
                raise ProtocolError(f'the answer is not of the form {{"{member}": [...]}}')
            else:
                text.value()
            if text.peek() != "}":
                text.expect(",")
                if text.peek() == "}":
                    raise ProtocolError("the answer is not valid JSON")
        text.skip()
        if text.peek() or not found:
            raise ProtocolError(f'the answer is not of the form {{"{member}": [...]}}')


def _elements(text: _Received) -> Iterator[Any]:
    text.expect("[")
    if text.peek() == "]":
        text.skip()
        return
    while True:
        yield text.value()
        if text.peek() == "]":
            text.skip()
            return
        text.expect(",")


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """ValueError is also what a decoder's own hooks raise for a number they do not take."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the answer is not valid JSON") from error


def _no_constant(name: str) -> float:
    raise ProtocolError(f"the answer holds {name}, which is not JSON")
