"""Are the packages there, and new enough? Others put theirs into the same Python, too."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

REQUIRED = {
    "requests": ("requests", ">=2.32"),
    "urllib3": ("urllib3", ">=2.2,<3"),
    "watchdog": ("watchdog", ">=4"),
    "peewee": ("peewee", ">=3.17"),
    "PyYAML": ("yaml", ">=6"),
    "bencode2": ("bencode2", ""),
    "flask": ("flask", ">=3"),
    "itsdangerous": ("itsdangerous", ">=2.1"),
    "waitress": ("waitress", ">=3"),
    "rich": ("rich", ">=13"),
    "hachoir": ("hachoir", ">=3.1"),
}
"""Distribution: (module, versions), as in setup.cfg."""
_LIMIT = re.compile(r"(>=|<)([0-9.]+)")


def complaint() -> str | None:
    """What is wrong with the packages, and the command that mends it; None when nothing is."""
    missing, unfit = [], []
    for name, (module, limits) in REQUIRED.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            if find_spec(module) is None:  # some packagers leave the metadata out
                missing.append(name)
            continue
        if not _fits(found, limits):
            unfit.append(f"{name} {found}")
    if not missing and not unfit:
        return None
    troubles = [f"missing: {', '.join(missing)}"] if missing else []
    troubles += [f"of the wrong version: {', '.join(unfit)}"] if unfit else []
    wanted = [f"'{name}{REQUIRED[name][1]}'" for name in (*missing, *(x.split()[0] for x in unfit))]
    return (
        f"packages are {'; '.join(troubles)}; run: {sys.executable} -m pip install"
        f" {' '.join(wanted)}"
    )


def _fits(found: str, limits: str) -> bool:
    return all(
        (_numbers(found) < _numbers(limit)) == (sign == "<")
        for sign, limit in _LIMIT.findall(limits)
    )


def _numbers(text: str) -> tuple[int, ...]:
    """The release numbers of a version, without what follows them (rc1, .post1)."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
