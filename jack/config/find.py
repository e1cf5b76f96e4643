"""Where the configuration file is: named, or in one of the usual places."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from jack.errors import ConfigError
from jack.support.files import printable

VARIABLE = "JACK_CONFIG"
_FILE_NAME = "jack.yaml"


def find_config(
    explicit: str | None, environ: Mapping[str, str], cwd: Path, home: Path | None
) -> Path:
    """The file to read: `explicit` (-c), else $JACK_CONFIG, else the first of the usual places.

    Relative names are taken from `cwd`. `home` is None for a user without one. A file that was
    named is never replaced by another one. Raises ConfigError that names every place looked at.
    """
    named = _named(explicit, environ)
    if named is not None:
        name, how = named
        path = cwd / name
        if _is_missing(path):
            raise ConfigError([f"{printable(str(path))}: there is no such file ({how})"])
        return path
    places = _usual_places(cwd, home)
    found = next((place for place in places if os.path.isfile(place)), None)
    if found is None:
        looked = ", ".join(printable(str(place)) for place in places)
        raise ConfigError(
            [f"no config file found; looked for {looked}. Name one with -c FILE or ${VARIABLE}"]
        )
    return found


def _named(explicit: str | None, environ: Mapping[str, str]) -> tuple[str, str] | None:
    if explicit is not None:
        return explicit, "named with -c"
    from_environment = environ.get(VARIABLE)
    return (from_environment, f"named by ${VARIABLE}") if from_environment else None


def _is_missing(path: Path) -> bool:
    """Whether certainly nothing is there; what may not be looked at fails when it is read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _usual_places(cwd: Path, home: Path | None) -> list[Path]:
    own = [] if home is None else [home / ".config" / "jack" / _FILE_NAME]
    return [cwd / _FILE_NAME, *own, Path("/etc/jack") / _FILE_NAME]
