"""The seeds of a random test: the usual number, or as many as the environment says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def each_seed(
    usual: int, fixed: Sequence[int] = (), batch: int = 0, batches: int = 1
) -> Iterator[Iterator[int]]:
    """The seeds to try: `fixed`, then `usual` others. JACK_SEEDS is another number of these, and
    JACK_FIRST_SEED where they begin. Of several batches each has its share.

    When the block fails, the seed under way is printed; it belongs into `fixed`.
    """
    first = int(os.environ.get("JACK_FIRST_SEED", "0"))
    number = int(os.environ.get("JACK_SEEDS", str(usual)))
    under_way: list[int] = []

    def count() -> Iterator[int]:
        for seed in [*fixed, *range(first, first + number)][batch::batches]:
            under_way[:] = [seed]
            yield seed

    try:
        yield count()
    except BaseException:
        print(f"seed {under_way} fails: put it into the fixed seeds of the test")
        raise
