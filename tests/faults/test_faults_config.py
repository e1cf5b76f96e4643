"""The configuration, the start and secrets: what a user can get wrong before anything runs."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from jack.config import load_config
from jack.errors import ConfigError
from tests.faults.broken_configs import ENVIRON, SENTINELS, broken_config

RANDOM_CONFIGS = int(os.environ.get("JACK_TEST_CONFIGS", "500"))
FIRST_SEED = int(os.environ.get("JACK_TEST_FIRST_SEED", "0"))
FIXED_SEEDS = (2243, 2294, 2771)
"""Seeds that once failed: a key in the place of a type was repeated in the message."""
LONGEST_SECONDS = 10.0


def _complaint(seed: int, path: Path) -> str | None:
    """What is wrong with how jack takes the config of `seed`; None when nothing is."""
    data = broken_config(seed)
    path.write_bytes(data)
    started = time.monotonic()
    try:
        load_config(path, ENVIRON)
        said = ""
    except ConfigError as error:
        said = "\n".join(error.problems)
        line = re.compile(re.escape(str(path)) + r":[1-9][0-9]*:[1-9][0-9]*: .+")
        if not error.problems or not all(map(line.fullmatch, error.problems)):
            return f"not one FILE:LINE:COL line for each problem: {error.problems}"
        if not all(problem.isprintable() for problem in error.problems):
            return f"control characters in a message: {error.problems}"
    except Exception as error:  # a traceback for the user
        return f"{type(error).__name__}: {error}"
    if any(secret in said for secret in SENTINELS):
        return f"a secret is shown: {said}"
    seconds = time.monotonic() - started
    return f"took {seconds:.1f} s" if seconds > LONGEST_SECONDS else None


@pytest.mark.fault("F1", "F3", "F5")
def test_any_accident_in_the_config_is_a_list_of_places_or_no_accident(tmp_path: Path) -> None:
    """More with JACK_TEST_CONFIGS=20000, others with JACK_TEST_FIRST_SEED. A seed that fails is
    printed and belongs into FIXED_SEEDS."""
    path = tmp_path / "jack.yaml"
    seeds = (*FIXED_SEEDS, *range(FIRST_SEED, FIRST_SEED + RANDOM_CONFIGS))
    complaints = {seed: found for seed in seeds if (found := _complaint(seed, path))}
    assert complaints == {}


def test_the_accidents_are_neither_all_fatal_nor_all_harmless(tmp_path: Path) -> None:
    path = tmp_path / "jack.yaml"
    outcomes = []
    for seed in range(100):
        path.write_bytes(broken_config(seed))
        try:
            load_config(path, ENVIRON)
            outcomes.append("read")
        except ConfigError:
            outcomes.append("refused")
    assert outcomes.count("read") >= 5
    assert outcomes.count("refused") >= 50
