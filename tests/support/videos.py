"""The smallest files that a reader of headers takes for videos: a header and no picture."""

from __future__ import annotations

import struct


def matroska(width: int, height: int) -> bytes:
    """EBML (RFC 8794) with one video track (RFC 9559), as every `.mkv` begins."""
    video = _element(0xE0, _number(0xB0, width) + _number(0xBA, height))
    track = _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1)
    entry = _element(0xAE, track + _element(0x86, b"V_MPEG4/ISO/AVC") + video)
    info = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))
    head = _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8)
    head += _element(0x4282, b"matroska") + _number(0x4287, 4) + _number(0x4285, 2)
    segment = _element(0x18538067, info + _element(0x1654AE6B, entry))
    return _element(0x1A45DFA3, head) + segment


def mp4(width: int, height: int) -> bytes:
    """ISO 14496-12: what a file is, then a movie of one video track."""
    sizes = struct.pack(">II", width << 16, height << 16)
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie = struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 0x10000, 0x100)
    movie += matrix + bytes(24) + struct.pack(">I", 2)
    track = struct.pack(">IIIIII8xHHHH", 7, 0, 0, 1, 0, 1000, 0, 0, 0, 0) + matrix + sizes
    tracks = _box(b"trak", _box(b"tkhd", track))
    return _box(b"ftyp", b"isom\0\0\2\0isom") + _box(b"moov", _box(b"mvhd", movie) + tracks)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _element(number: int, content: bytes) -> bytes:
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (0x01 << 56 | len(content)).to_bytes(8, "big") + content


def _number(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))
