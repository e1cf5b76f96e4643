"""Hundreds of downloads, a tenth of them in trouble: nothing lost, nothing kept (R4).

The long form, 10,000 downloads, is `python -m tests.bench.soak`.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.soak import Soak

MIB = 1024 * 1024


@pytest.mark.fault("R4")
def test_hundreds_of_downloads_with_faults_lose_nothing_and_leave_nothing_behind(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        soak = Soak(tmp_path, 240, stack)
        soak.run(2, 60)
        half, end = soak.readings
        assert soak.problems() == []
    assert end.descriptors <= half.descriptors + 8
    assert end.threads <= half.threads + 12, "timers of requests come and go"
    assert end.resident <= half.resident + 5 * MIB
