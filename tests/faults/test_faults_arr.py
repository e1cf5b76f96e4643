"""Radarr and Sonarr that answer with something else than they should."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from jack.arr.api import ArrApi
from jack.errors import JackError
from jack.support.waits import SCAN_SECONDS
from tests.imports.conftest import Room, Stand
from tests.support.clock import FakeClock
from tests.support.fake_arr_imports import ImportingArr

SEEDS = int(os.environ.get("JACK_TEST_ARR_SEEDS", "40"))
FIRST_SEED = int(os.environ.get("JACK_TEST_FIRST_SEED", "0"))
FIXED_SEEDS = ()
ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2**63, -(2**70), 1.5, float("inf"), "", "0", "x" * 5000),
    *("\ud800", "\x00\n", [], {}, [None], {"": None}, [[[]]], "2026-01-01T00:00:00Z", "9999-99-99"),
)


def _mutated(value: Any, dice: random.Random) -> Any:
    """One place of the answer is something else, missing or there twice."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(sorted(value))
        if dice.random() < 0.2:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: _mutated(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        at = dice.randrange(len(value))
        return [*value[:at], _mutated(value[at], dice), *value[at + dice.randrange(2) :]]
    return dice.choice(ODD_VALUES)


def _stand(folder: Path, arr: ImportingArr, clock: FakeClock) -> Stand:
    folder.mkdir(exist_ok=True)
    return Stand(arr, Room(folder, clock), clock)


@pytest.mark.fault("A12")
@pytest.mark.parametrize("kind", ["radarr", "sonarr"])
def test_any_answer_of_any_shape_is_an_error_in_words_and_the_file_stays_or_is_imported(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More with JACK_TEST_ARR_SEEDS. A seed that fails is printed and belongs into FIXED_SEEDS."""
    genuine = ArrApi.call
    complaints = {}
    for seed in (*FIXED_SEEDS, *range(FIRST_SEED, FIRST_SEED + SEEDS)):
        dice = random.Random(seed)

        def call(*arguments: Any, _dice: random.Random = dice, **options: Any) -> Any:
            answer = genuine(*arguments, **options)
            return _mutated(answer, _dice) if _dice.random() < 0.5 else answer

        clock = FakeClock()
        folder = tmp_path / str(seed)
        with ImportingArr(kind, {"/data": folder}, clock.now) as arr:
            stand = _stand(folder, arr, clock)
            monkeypatch.setattr(ArrApi, "call", call)
            found = _steps(stand, clock)
            monkeypatch.setattr(ArrApi, "call", genuine)
            stand.client.close()
            stand.room.database.close()
        if found is not None:
            complaints[seed] = found
    assert complaints == {}


def _steps(stand: Stand, clock: FakeClock) -> str | None:
    for _ in range(25):
        try:
            pause = stand.step()
        except JackError as error:
            pause = 60.0
            if not str(error).isprintable():
                return f"control characters: {error!r}"
        except Exception as error:  # what the user would see as a traceback
            return f"{type(error).__name__}: {error}"
        if pause is None:
            return None
        if not 0 <= pause < 10**6:
            return f"a pause of {pause}"
        clock.advance(pause)
    return None


@pytest.mark.fault("A13")
def test_a_command_may_take_an_arr_as_long_as_its_disks_need_to_wake_up() -> None:
    assert SCAN_SECONDS >= 90
