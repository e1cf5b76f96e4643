"""From jack's view of a folder to the *arr's: they often run in different containers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/]|$)")


def translate(path: str, mappings: Sequence[tuple[str, str]]) -> str:
    """Return `path` as the *arr sees it: the longest matching prefix of `mappings` replaced.

    `mappings` holds (jack's folder, the *arr's folder) pairs. Prefixes are compared component by
    component and in exact case, so `/data` is no prefix of `/database`; trailing slashes do not
    matter. An *arr folder written the Windows way (`D:\\x`, `\\\\nas\\media`) is continued with
    backslashes. Of two equal prefixes the first wins; without a match the path stays as it came.
    """
    if not path.startswith("/"):
        return path
    wanted = _components(path)
    best: tuple[list[str], str] | None = None
    for jack_folder, arr_folder in mappings:
        prefix = _components(jack_folder)
        if wanted[: len(prefix)] == prefix and (best is None or len(prefix) > len(best[0])):
            best = prefix, arr_folder
    if best is None:
        return path
    return _joined(best[1], wanted[len(best[0]) :])


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _joined(folder: str, rest: list[str]) -> str:
    drive = _DRIVE.match(folder) is not None
    if not drive and "\\" not in folder:
        return "/".join([folder.rstrip("/"), *rest]) or "/"
    windows = (folder.replace("/", "\\") if drive else folder).rstrip("\\")
    if drive and not rest and len(windows) == len("D:"):
        return windows + "\\"  # a bare `D:` would mean the current folder of that drive
    return "\\".join([windows, *rest])
