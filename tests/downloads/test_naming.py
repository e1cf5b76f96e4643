"""The names a download may get, in the order in which they are tried."""

from __future__ import annotations

import hashlib
import itertools
import os

import pytest

from jack.downloads.naming import MOST_NAMES, names
from jack.model import Stub
from jack.support.files import safe_filename

STUB = Stub("0123abcd", "c:movie:1")
MARK = hashlib.sha256(b"0123abcd:c:movie:1").hexdigest()[:8]


def test_the_second_name_is_made_of_friend_and_item_and_further_ones_are_counted() -> None:
    found = list(itertools.islice(names("The.Film.mkv", STUB), 4))
    assert found == [
        "The.Film.mkv",
        f"The.Film.{MARK}.mkv",
        f"The.Film.{MARK}.2.mkv",
        f"The.Film.{MARK}.3.mkv",
    ]
    assert (
        next(itertools.islice(names("The.Film.mkv", Stub("0123abcd", "c:movie:2")), 1, 2))
        not in found
    )


@pytest.mark.parametrize("stem", ["x" * 246, "\U0001f3ac" * 61, "e\u0301" * 82])
def test_every_name_is_as_safe_as_the_first(stem: str) -> None:
    first = safe_filename(f"{stem}.mkv")
    found = list(names(first, STUB))
    assert len(set(found)) == MOST_NAMES
    for name in found:
        assert safe_filename(name) == name
        assert os.path.splitext(name)[1] == ".mkv"
