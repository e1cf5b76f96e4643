"""The command `jack`, `python3 -m jack`, and `python3 jack` from a checkout."""

import os
import sys
from pathlib import Path

if not __package__:
    # Run as a plain script: Python has put this folder on the path instead of the one above it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def _use_utf8() -> None:
    """Start again with UTF-8 for file names where the locale says something else.

    In ASCII or Latin-1 a name like that of a Japanese film could not even be looked up. The names
    on the disks of today are UTF-8 whatever the locale is (PEP 540).
    """
    if sys.getfilesystemencoding().lower() != "utf-8" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def main() -> int:
    """Run the command line; packages that are missing or too old are one line, not a traceback."""
    _use_utf8()
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
