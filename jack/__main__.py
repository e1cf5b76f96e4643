"""`python3 -m jack`, and `python3 jack` from a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Run as a plain script: Python has put this folder on the path instead of the one above it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from jack.cli import main

if __name__ == "__main__":
    sys.exit(main())
