"""What a stub says, for a person who looks into one."""

from __future__ import annotations

from dataclasses import dataclass

import bencode2

from jack.blackhole.stub import MAX_STUB_BYTES, info_hash, read_stub
from jack.model import Stub


@dataclass(frozen=True)
class StubDetails:
    """`size` in bytes and `title` as the grabbed release announced them; the hash is lower-case
    hex.
    """

    stub: Stub
    title: str
    size: int
    info_hash: str


def describe_stub(data: bytes) -> StubDetails | None:
    """Everything a stub tells; None when `data` is not one of jack's."""
    stub = read_stub(data) if len(data) <= MAX_STUB_BYTES else None
    if not isinstance(stub, Stub):
        return None
    document = bencode2.bdecode(data.rstrip())
    info = document.get(b"info")
    if not isinstance(info, dict):
        return None
    name, length = info.get(b"name"), info.get(b"length")
    return StubDetails(
        stub=stub,
        title=name.decode("utf-8", "replace") if isinstance(name, bytes) else "",
        size=length if isinstance(length, int) else 0,
        info_hash=info_hash(data),
    )
