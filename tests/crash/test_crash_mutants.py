"""The test of the test: bugs put into jack on purpose are found, each within a few points.

A kill alone would find none of them, because the kernel keeps what a dead process has written; it
takes the power cut. (Try it: `python -m tests.crash resume --mutant no_sync --most 0`.)
"""

from __future__ import annotations

import sys

import pytest

from tests.crash.conftest import Explore
from tests.crash.explore import Plan
from tests.crash.planted import BUGS

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the shim reads /proc/self/fd"),
    pytest.mark.timeout(300),
]

SHOWN_BY = {
    "offset_before_sync": "resume",
    "no_sync": "resume",
    "resume_at_length": "resume",
    "no_folder_sync": "resume",
    "sync_again": "sync-error",
    "part_before_record": "resume",
}
FIRST_POINT = 16
"""About where the first byte is written."""


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_bug_is_found(explore: Explore, bug: str) -> None:
    plan = Plan(seed=1, most=6, first=FIRST_POINT, mutant=bug, stop_at_first=True)
    assert explore(SHOWN_BY[bug], plan).violations
