"""What the doctor's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.patient import ARR_KEY, PEER_KEY, Patient
from tests.support.fake_arr import FakeArr
from tests.support.scripted_peer import ScriptedPeer


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    with ScriptedPeer(api_key=PEER_KEY) as server:
        yield server


@pytest.fixture
def new_arr() -> Iterator[Callable[..., FakeArr]]:
    fakes: list[FakeArr] = []

    def make(kind: str = "radarr", **options: Any) -> FakeArr:
        fakes.append(FakeArr(kind, api_key=ARR_KEY, **options))
        return fakes[-1]

    yield make
    for fake in fakes:
        fake.close()
