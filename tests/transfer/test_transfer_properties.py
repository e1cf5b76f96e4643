"""Whatever a peer answers: the final name only ever holds the right bytes."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from jack.errors import JackError
from jack.transfer.body import ALL_WAYS, Way
from tests.support.scripted_peer import Answer, Request, ScriptedPeer
from tests.transfer.rig import DATED, ETAG, FILE, ITEM, Rig, film

ROUNDS_PER_SEED = 12
STATUSES = [200, 200, 206, 206, 206, 416, 404, 503, 301, 204, 304, 100, 299]
CODINGS = [{}, {}, {}, {}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/html"}]
CODINGS += [{"Transfer-Encoding": "gzip"}, {"Transfer-Encoding": "chunked"}]


class LyingPeer:
    """Random answers around the truth about `body`. It may garble anything but the bytes: no
    client could tell those from the right ones."""

    def __init__(self, seed: int, body: bytes) -> None:
        self._random = random.Random(seed)
        self._body = body

    def __call__(self, request: Request) -> Answer:
        pick = self._random
        total = len(self._body)
        asked = int((request.range or "bytes=0-")[6:].rstrip("-"))
        status = pick.choice(STATUSES)
        start = pick.choice([asked, asked, asked, 0, pick.randrange(total)])
        told = pick.choice([start, start, asked, pick.randrange(total)])
        end = pick.choice([total - 1, total - 1, pick.randrange(total)])
        size = pick.choice([total, total, total, total + 1, total - 1, 0])
        if status == 206 and told == asked:
            start = (
                asked  # a 206 that names our offset and holds other bytes cannot be seen through
            )
        if status == 200:
            start = 0
        span = pick.choice([f"bytes {told}-{end}/{size}", f"bytes */{size}", "bytes x", None])
        headers: dict[str, str] = dict(pick.choice(CODINGS))
        headers |= {"Content-Range": span} if span is not None else {}
        headers |= pick.choice([{"ETag": ETAG}, {"ETag": '"other"'}, {"ETag": "bad"}, {}])
        headers |= pick.choice([{"Last-Modified": DATED}, {}])
        rest = memoryview(self._body)[start:]
        length = pick.choice([-1, -1, -1, None, total, len(rest) + 1, 0])
        if status == 200 and length not in (-1, None, total):
            length = -1  # a stated size that is wrong is the transfer's word, and it wins
        cut = pick.choice([None, None, pick.randrange(total + 1)])
        return Answer(
            status=status,
            headers=headers,
            body=rest,
            length=length,
            chunked=pick.random() < 0.25,
            cut_after=cut,
            reset=pick.random() < 0.2,
            keep_alive=pick.random() < 0.5,
        )


@pytest.mark.parametrize("seed", range(20))
def test_lies_never_get_wrong_bytes_a_final_name_and_honesty_finishes(
    tmp_path: Path, peer: ScriptedPeer, seed: int
) -> None:
    body = film(150_000, seed)
    way = random.Random(seed).choice([ALL_WAYS, frozenset({Way.PORTABLE})])
    peer.offer(ITEM, body, etag=ETAG, last_modified=DATED)
    rig = Rig(tmp_path, peer)
    rig.release_size = len(body)
    rig.settings |= {"idle_timeout_seconds": 1.0, "checkpoint_bytes": 20_000}
    rig.row.reread = lambda: len(body)
    peer.script(FILE, *[LyingPeer(seed, body)] * ROUNDS_PER_SEED)
    for _ in range(ROUNDS_PER_SEED):
        try:
            rig.attempt(way)
        except JackError:
            held = rig.part.read_bytes() if rig.part.exists() else b""
            assert rig.row.offset == rig.progress.end_offset <= len(held)
            assert held[: rig.row.offset] == body[: rig.row.offset]
            assert not rig.dest.exists()
        else:
            break
    peer.always(FILE, None)
    if not rig.dest.exists():
        rig.attempt(way)
    assert rig.dest.read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == [rig.dest.name]
    rig.close()


def test_a_peer_that_never_sends_more_than_a_little_is_fetched_from_piece_by_piece(
    rig: Rig,
) -> None:
    body = film(100_000)
    rig.peer.offer(ITEM, body, etag=ETAG)
    cuts = random.Random(7)
    rig.peer.always(
        FILE, lambda r: replace(rig.peer.honest(r), cut_after=cuts.randrange(1, 20_000))
    )
    connections = 0
    while not rig.dest.exists():
        connections += 1
        try:
            rig.attempt()
        except JackError:
            assert rig.part.read_bytes() == body[: rig.row.offset]
    assert rig.dest.read_bytes() == body
    assert sum(request.sent for request in rig.peer.requests_to(FILE)) == len(body)
    assert connections == len(rig.asked())
