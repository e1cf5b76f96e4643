"""What others could read: files with secrets in them, and what a shared library holds of jack."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jack.blackhole.names import for_log
from jack.config import Config
from jack.doctor.findings import Finding, warn

_OTHERS = stat.S_IRGRP | stat.S_IROTH


def secrecy_findings(config: Config) -> Iterator[Finding]:
    """Every file with a secret that group or others can read, and every library around jack."""
    if config.secrets():
        for path in config.private_files():
            yield from _readable(path, holds_state=False)
    yield from _readable(config.jack.state_path / "jack.db", holds_state=True)
    for entry in config.library:
        yield from _too_wide(entry.folder, config)


def _readable(path: Path, holds_state: bool) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return
    if mode & _OTHERS:
        name, what = for_log(str(path)), "what was downloaded" if holds_state else "a secret"
        yield warn(
            f"{name} holds {what} and can be read by others on this machine (mode {mode:04o})",
            f"chmod 600 {name}",
        )


def _too_wide(folder: Path, config: Config) -> Iterator[Finding]:
    real = os.path.realpath(folder)
    where = f"library folder {for_log(str(folder))}"
    remedy = "share the folder of your films instead"
    if real == "/":
        yield warn(f"{where} is the whole machine: every video on it is shared", remedy)
        return
    inside = [path for path in (config.jack.state_path, config.path) if _is_inside(path, real)]
    if inside:
        named = " and ".join(for_log(str(path)) for path in inside)
        yield warn(f"{where} contains jack's own {named}; jack does not share these", remedy)


def _is_inside(path: Path, real_folder: str) -> bool:
    return f"{os.path.realpath(path)}/".startswith(f"{real_folder}/")
