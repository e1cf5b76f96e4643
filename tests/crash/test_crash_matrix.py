"""jack is killed at each of its side effects, and the power goes: nothing is lost, nothing wrong.

The points are counted, not listed: k = 1, 2, ... until a run comes to its end before its k-th side
effect. After each, jack starts again on what the kill has left, and on what a power cut would have
left in several ways; then the invariants of `judge` must hold. `python -m tests.crash` tries more.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.crash.conftest import Explore
from tests.crash.explore import Plan, Tally

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the shim reads /proc/self/fd"),
    pytest.mark.timeout(300),
]

PLAN = Plan(seed=1, most=2)


def assert_sound(tally: Tally) -> None:
    """Fails with what was wrong, each with the command that tries that point again."""
    if tally.violations:
        pytest.fail("\n".join(tally.violations[:10]), pytrace=False)


@pytest.mark.fault("C1", "C2", "C3", "C4", "C5", "D16")
def test_whenever_jack_dies_between_stub_and_import_the_file_is_imported_once(
    explore: Explore,
) -> None:
    tally = explore("arrival", PLAN)
    assert_sound(tally)
    assert tally.points > 30, "the whole way has more side effects than that"


@pytest.mark.fault("C1", "C2", "D13")
@pytest.mark.parametrize("story", ["resume", "blocks"])
def test_whenever_jack_dies_around_a_cut_line_it_goes_on_from_what_is_safe(
    explore: Explore, story: str
) -> None:
    assert_sound(explore(story, PLAN))


@pytest.mark.fault("C1", "C2")
@pytest.mark.parametrize("story", ["restart", "replaced"])
def test_whenever_jack_dies_while_a_changed_file_starts_anew_no_two_versions_are_mixed(
    explore: Explore, story: str
) -> None:
    assert_sound(explore(story, PLAN))


@pytest.mark.fault("C7")
def test_whenever_jack_dies_while_it_stops_the_next_start_finishes_the_download(
    explore: Explore,
) -> None:
    assert_sound(explore("shutdown", PLAN))


@pytest.mark.fault("B11")
def test_whenever_jack_dies_while_it_migrates_nothing_of_the_old_rows_is_lost(
    explore: Explore,
) -> None:
    assert_sound(explore("migration", PLAN))


@pytest.mark.fault("C1", "C2")
@pytest.mark.parametrize("story", ["second-start", "second-end"])
def test_whenever_jack_dies_again_while_it_recovers_the_next_start_finishes(
    explore: Explore, story: str
) -> None:
    assert_sound(explore(story, PLAN))


@pytest.mark.fault("D6")
def test_whenever_jack_dies_after_a_failed_sync_no_byte_that_it_dropped_is_believed(
    explore: Explore,
) -> None:
    assert_sound(explore("sync-error", PLAN))


@pytest.mark.fault("C1", "C2")
def test_whenever_jack_dies_while_a_download_fails_its_stub_is_parked_and_its_server_told(
    explore: Explore,
) -> None:
    assert_sound(explore("refusal", PLAN))


@pytest.mark.fault("C1", "C2")
def test_whenever_jack_dies_after_a_stub_was_dropped_again_the_download_goes_on(
    explore: Explore,
) -> None:
    assert_sound(explore("second-drop", PLAN))


@pytest.mark.fault("C1", "C2")
def test_whenever_jack_dies_around_a_cancel_no_part_is_left(explore: Explore) -> None:
    assert_sound(explore("cancel", PLAN))


@pytest.mark.fault("C5")
def test_whenever_jack_dies_around_the_proof_of_an_import_its_own_copy_goes(
    explore: Explore,
) -> None:
    assert_sound(explore("cleanup", PLAN))


def test_whenever_jack_dies_an_older_import_of_that_path_proves_nothing(explore: Explore) -> None:
    """The mark of the history, the proof: each is a side effect of its own."""
    assert_sound(explore("grabbed-again", PLAN))


def test_whenever_jack_dies_a_stub_that_is_refused_without_a_row_is_told_once(
    explore: Explore,
) -> None:
    assert_sound(explore("unsafe-name", PLAN))


@pytest.mark.parametrize("story", ["twins", "twins-cleanup"])
def test_whenever_jack_dies_two_films_of_one_name_are_both_imported_and_none_is_deleted(
    explore: Explore, story: str
) -> None:
    assert_sound(explore(story, replace(PLAN, most=1, every=4)))
