"""Whole downloads of friends who answer at random: rows, files and stubs stay in step.

With JACK_SEEDS=500 in the environment it takes longer. A seed that fails prints itself; put it
into FIXED_SEEDS.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from jack.model import DownloadStatus as S
from tests.downloads.world import World, world
from tests.support import random_json
from tests.support.clock import FakeClock
from tests.support.random_http import RandomAnswers
from tests.support.scripted_peer import Answer, ScriptedPeer, file_path, item_path
from tests.support.seeds import each_seed
from tests.support.waiting import eventually
from tests.transfer.rig import film

SEEDS = 4
FIXED_SEEDS: tuple[int, ...] = ()
DOWNLOADS = 10
SETTLED = {S.COMPLETED, S.FAILED}


def offer(pick: random.Random, peer: ScriptedPeer, item: str, elsewhere: str) -> bytes:
    """A film with some trouble before the truth."""
    body = film(pick.randrange(1, 30_000), seed=pick.randrange(1000))
    peer.offer(item, body, filename=f"film {item}.mkv", etag='"v1"')
    if pick.random() < 0.3:
        garbage = random_json.garbled(pick, random_json.release(pick))
        peer.script(item_path(item), Answer(body=garbage))
    liar = RandomAnswers(pick, body, elsewhere)
    peer.script(file_path(item), *[liar] * pick.randrange(4))
    return body


def all_settled(made: World) -> bool:
    """Every stub has become a row or was parked, and every row has come to its end. Waits pass."""
    made.advance(7 * 3600.0)
    made.look()
    rows = made.rows()
    return len(rows) + len(made.parked) >= DOWNLOADS and {row.status for row in rows} <= SETTLED


def check(made: World, bodies: dict[str, bytes]) -> None:
    """Whatever ended well is right; whatever did not is resumable, and nothing else is there."""
    expected = set()
    for row in made.rows():
        body = bodies[row.item_id]
        if row.status is S.COMPLETED:
            assert row.dest_path.read_bytes() == body
            expected.add(row.dest_path)
        elif row.part_path.exists():
            assert row.downloaded_bytes <= row.part_path.stat().st_size
            assert body.startswith(row.part_path.read_bytes()[: row.downloaded_bytes])
            expected.add(row.part_path)
        else:
            assert row.downloaded_bytes == 0
    assert set(made.completed.iterdir()) == expected


@pytest.mark.fault("N4", "H2", "H26", "P10")
def test_friends_who_answer_at_random_lose_and_spoil_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with each_seed(SEEDS, FIXED_SEEDS) as seeds:
        for seed in seeds:
            folder = tmp_path / str(seed)
            folder.mkdir()
            one_world(folder, seed, caplog)


def one_world(folder: Path, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    pick = random.Random(seed)
    settings = {"retry_max_delay_seconds": 60.0, "idle_timeout_seconds": 2.0}
    with world(folder, FakeClock(), **settings) as made, ScriptedPeer() as elsewhere:
        friends = [made.friend(name) for name in ("ann", "bob")]
        made.start()
        bodies = {}
        for number in range(DOWNLOADS):
            friend, item = pick.choice(friends), f"c:movie:{number}"
            bodies[item] = offer(pick, friend, item, elsewhere.url)
            made.drop(friend, item, name=f"{number}")
        eventually(lambda: all_settled(made), 60, "the end of all downloads")
        check(made, bodies)
        assert elsewhere.requests == []
    assert [line for line in caplog.records if line.exc_info] == [], "no bug came to light"
