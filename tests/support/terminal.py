"""What a terminal shows after all that a program has written to it: lines, and the few codes by
which jack moves the cursor and clears."""

from __future__ import annotations

import re

_PIECES = re.compile(r"\x1b\[\d*[AKJ]|\r|\n|[^\x1b\r\n]+")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shown(written: str) -> list[str]:
    """The lines from the top, without colours."""
    rows: dict[int, str] = {}
    row = 0
    for piece in _PIECES.findall(_COLOURS.sub("", written)):
        if piece == "\n":
            row += 1
        elif piece.startswith("\x1b") and piece.endswith("A"):
            row -= int(piece[2:-1])
        elif piece == "\x1b[2K":
            rows[row] = ""
        elif piece == "\x1b[J":
            rows = {number: line for number, line in rows.items() if number < row}
        elif piece != "\r":
            rows[row] = piece
    return [rows[number].rstrip() for number in sorted(rows)]
