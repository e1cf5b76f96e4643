"""The long form, by hand: `python -m tests.crash [STORY ...] [--seed N] [--most N] ...`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.explore import Crew, Plan, folder_in_memory
from tests.crash.planted import BUGS
from tests.crash.stories import STORIES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("stories", nargs="*", metavar="STORY", help=", ".join(STORIES))
    parser.add_argument("--seed", type=int, default=1, help="of the power cuts")
    parser.add_argument("--most", type=int, default=64, help="power cuts per point")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth point")
    parser.add_argument("--point", type=int, help="just this point")
    parser.add_argument("--mutant", choices=sorted(BUGS), help="a bug to put into jack first")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    plan = Plan(
        seed=options.seed,
        most=options.most,
        every=options.every,
        first=options.point or 1,
        only=options.point,
        mutant=options.mutant,
    )
    bad = False
    with (
        tempfile.TemporaryDirectory(dir=folder_in_memory()) as folder,
        Crew(Path(folder), options.workers) as crew,
    ):
        for name in options.stories or STORIES:
            begun = time.monotonic()
            tally = crew.explore(STORIES[name], plan)
            print(*tally.violations[:20], sep="\n", end="\n" if tally.violations else "")
            print(f"crash: {tally} ({time.monotonic() - begun:.1f} s)", flush=True)
            bad = bad or bool(tally.violations)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
