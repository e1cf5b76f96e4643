"""Which sizes of a file are taken. Bytes throughout."""

from __future__ import annotations

from typing import Final

from jack.errors import PermanentError
from jack.support.text import size_text

LEAST_PART: Final = 10
"""A file of less than this part of what was offered is not what was offered."""


def checked_size(who: str, size: int | None, limit: int, announced: int | None) -> int:
    """`size`, when a file of it may be fetched; else PermanentError says why not. `announced` is
    what was said at the grab."""
    if size is None:
        raise PermanentError(f"neither the release nor {who}'s answer says how big the file is")
    if size == 0:
        raise PermanentError(f"the file is empty at {who}")
    if size > limit:
        raise PermanentError(
            f"the file has {size_text(size)}, more than {size_text(limit)} are allowed"
            " (maxFileBytes)"
        )
    refuse_a_rest(who, size, announced)
    return size


def refuse_a_rest(who: str, size: int, announced: int | None) -> None:
    """Raise PermanentError for much less than was offered: a placeholder, or a page of an error."""
    if announced is not None and size * LEAST_PART < announced:
        raise PermanentError(
            f"{size_text(announced)} were offered, {size_text(size)} are there at {who}: this is"
            " not the file that was grabbed"
        )
