"""A file that is to go is renamed to a name that nobody else writes to, looked at once more there,
and removed, or put back when it is another one by then.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jack.errors import StorageError
from jack.support.files import NAME_MAX_BYTES, printable, rename_new, same_file

log = logging.getLogger(__name__)

ASIDE: Final = ".jack~"
"""What such names begin with."""
MAX_COPIES: Final = 1000


def aside_of(path: Path) -> Path:
    """That name, beside `path`; of the longest names the start is left out."""
    kept = os.fsencode(path.name)[-(NAME_MAX_BYTES - len(ASIDE)) :]
    return path.with_name(ASIDE + os.fsdecode(kept))


def put_back(aside: Path, path: Path) -> None:
    """Under its own name, or under one with a number when there is a still newer one. Nothing when
    there is no file aside.
    """
    if not os.path.lexists(aside):
        return
    for target in numbered(path.parent, path.name):
        if same_file(aside, target):  # a disk refused the second half of an earlier try
            os.unlink(aside)
            return
        try:
            rename_new(aside, target)
        except FileExistsError:
            continue
        except StorageError as error:
            name = printable(target.name)
            log.debug("%s is back, and perhaps not for good: %s", name, error)
        return


def numbered(folder: Path, name: str) -> Iterator[Path]:
    """`name`, and names with a number for when it is taken."""
    stem, suffix = os.path.splitext(name)
    yield folder / name
    for number in itertools.islice(itertools.count(2), MAX_COPIES):
        ending = f" ({number}){suffix}"
        while len(os.fsencode(stem + ending)) > NAME_MAX_BYTES:
            stem = stem[:-1]
        yield folder / (stem + ending)
