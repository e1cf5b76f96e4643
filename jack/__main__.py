"""The command `jack`, `python3 -m jack`, and `python3 jack` from a checkout."""

import sys
from pathlib import Path

if not __package__:
    # Run as a plain script: Python has put this folder on the path instead of the one above it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> int:
    """Run the command line; packages that are missing or too old are one line, not a traceback."""
    try:
        from jack.requirements import complaint

        problem = complaint()
        if problem is None:
            from jack.cli import main as obey

            return obey()
    except ImportError as error:
        problem = f"a package does not work ({error}); install jack again, for {sys.executable}"
    except KeyboardInterrupt:  # while the imports were running
        return 130
    sys.stderr.write(f"jack: {problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
