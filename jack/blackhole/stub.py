"""The stub `.torrent`: what jack writes for Radarr and Sonarr, and what it reads back. Pure
bencode (BEP 3).

A stub is a valid single-file torrent, because the *arr loads it before writing it to the blackhole
folder; only its `comment`, `jack:<peerId>:<itemId>`, means anything to jack. The same text stands
as `source` in the info dictionary, so that the info hash, by which the *arr tells releases apart
in its history and blocklist, names one item of one peer. Stubs without it are as good as ever.
"""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from typing import Any, Final

import bencode2

from jack.errors import UserError
from jack.model import Stub
from jack.support.files import shown

MAX_STUB_BYTES: Final = 1024 * 1024
"""Larger files are never read as stubs; a stub of 80 GB is about 100 kB."""
PIECE_BYTES: Final = 16 * 1024 * 1024
"""Radarr from 6.0.2 refuses a number of piece hashes that does not fit the size."""
MAX_ITEM_ID_CHARACTERS: Final = 512

_PIECE_HASH = bytes(20)  # never verified by the *arr
_PREFIX = "jack"
_PEER_ID = re.compile(r"[0-9a-f]{8}")
_ABSURD_INTEGER = re.compile(rb"i-?[0-9]{100}")
_PADDING = b" \t\r\n"
_MOST_BYTES = 2**62  # what a column of the database holds


class NoStub(enum.Enum):
    """Why some bytes are not a stub."""

    FOREIGN = "whole, but not jack's"
    UNREADABLE = "not (yet) one whole bencoded value"


def read_stub(data: bytes) -> Stub | NoStub:
    """What `data` says. Never raises: the bytes may come from anybody, or be half of a file being
    written."""
    return _stub_of(_decoded(data))


def read_torrent(data: bytes) -> tuple[Stub | NoStub, str]:
    """What `data` says, and for a stub its info hash ("" for one made by hand without an info
    dictionary). Never raises.
    """
    document = _decoded(data)
    stub = _stub_of(document)
    return stub, (_hash_of(document) or "") if isinstance(stub, Stub) else ""


def announced_bytes(data: bytes) -> int:
    """How large the torrent says its file is; 0 when it does not say."""
    size = _entry(_entry(_decoded(data), "info"), "length")
    return size if isinstance(size, int) and 0 < size < _MOST_BYTES else 0


def _stub_of(document: Any) -> Stub | NoStub:
    if document is _BROKEN:
        return NoStub.UNREADABLE
    comment = _entry(document, "comment")
    if isinstance(comment, bytes):
        try:
            comment = comment.decode("utf-8")
        except UnicodeDecodeError:
            return NoStub.FOREIGN
    if not isinstance(comment, str):
        return NoStub.FOREIGN
    prefix, _, rest = comment.partition(":")
    peer_id, _, item_id = rest.partition(":")
    if prefix != _PREFIX or _stub_problem(peer_id, item_id):
        return NoStub.FOREIGN
    return Stub(peer_id, item_id)


def build_stub(stub: Stub, title: str, size: int) -> bytes:
    """The bytes of a stub for `size` bytes (at least 1) under the release title. Same input, same
    bytes.

    Raises UserError for values no stub can carry.
    """
    problem = _stub_problem(stub.peer_id, stub.item_id)
    if problem:
        raise UserError(f"cannot make a stub: {problem}")
    if not title or _holds_control(title):
        raise UserError(f"cannot make a stub: {shown(title)} cannot be a title")
    if size < 1:
        raise UserError(f"cannot make a stub: the size must be at least 1 byte, not {size}")
    if size > MAX_STUB_BYTES // len(_PIECE_HASH) * PIECE_BYTES:
        raise UserError(f"cannot make a stub: {size} bytes is more than a stub can describe")
    said = ":".join((_PREFIX, stub.peer_id, stub.item_id))
    info = {
        "length": size,
        "name": title,
        "piece length": PIECE_BYTES,
        "pieces": _PIECE_HASH * -(-size // PIECE_BYTES),
        "source": said,
    }
    data = bencode2.bencode({"comment": said, "info": info})
    if len(data) > MAX_STUB_BYTES:
        raise UserError(f"cannot make a stub: {size} bytes is more than a stub can describe")
    return data


def info_hash(data: bytes) -> str:
    """The v1 info-hash of a torrent: sha1 of its info dictionary (BEP 3), lower-case hex.
    UserError when
    `data` is not a torrent.

    Encoding the decoded dictionary gives the raw bytes back, because the decoder accepts only the
    one canonical form of every value (sorted keys, no leading zeros).
    """
    found = _hash_of(_decoded(data))
    if found is None:
        raise UserError("this is not a torrent: it has no info dictionary")
    return found


def _hash_of(document: Any) -> str | None:
    info = _entry(document, "info")
    if not isinstance(info, dict):
        return None
    return hashlib.sha1(bencode2.bencode(info), usedforsecurity=False).hexdigest()


_BROKEN: Final = object()


def _decoded(data: bytes) -> Any:
    """The decoded value, or _BROKEN. A newline that an editor left behind the end is tolerated."""
    if _ABSURD_INTEGER.search(data):
        # The pure-Python decoder takes quadratic time for such a number, minutes for 1 MiB of
        # digits.
        return _BROKEN
    try:
        return bencode2.bdecode(data.rstrip(_PADDING))
    except (ValueError, TypeError, IndexError, ArithmeticError, MemoryError, RecursionError):
        return _BROKEN


def _entry(document: Any, key: str) -> Any:
    """A value of the dictionary by a key that may be text or bytes; None when there is none."""
    if not isinstance(document, dict):
        return None
    return document.get(key.encode(), document.get(key))


def _stub_problem(peer_id: str, item_id: str) -> str | None:
    if not _PEER_ID.fullmatch(peer_id):
        return f"the peer id {shown(peer_id)} is not 8 lower-case hex digits"
    if not 1 <= len(item_id) <= MAX_ITEM_ID_CHARACTERS:
        return f"the item id must have 1 to {MAX_ITEM_ID_CHARACTERS} characters"
    if _holds_control(item_id):
        return f"the item id {shown(item_id)} holds a control character"
    return None


def _holds_control(text: str) -> bool:
    """Control characters, and the lone surrogates that UTF-8 cannot carry."""
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
