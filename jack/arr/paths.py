"""From jack's view of a folder to the *arr's and back: they often run in different containers."""

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


def untranslate(path: str, mappings: Sequence[tuple[str, str]]) -> str:
    """Return the *arr's `path` as jack sees it: the way back from `translate`.

    The longest matching *arr folder of `mappings` is replaced, the first of two equal ones. A
    folder written the Windows way matches in any case and with either slash; a POSIX one exactly.
    Without a match the path stays as it came.
    """
    best: tuple[int, str, list[str]] | None = None
    for jack_folder, arr_folder in mappings:
        prefix = _foreign(arr_folder, arr_folder)
        wanted = _foreign(path, arr_folder)
        is_below = prefix[0] == wanted[0] and wanted[1][: len(prefix[1])] == prefix[1]
        depth = len(prefix[1])
        if is_below and (best is None or depth > best[0]):
            best = depth, jack_folder, wanted[2][depth:]
    if best is None:
        return path
    return "/".join([best[1].rstrip("/"), *best[2]]) or "/"


def _foreign(path: str, style: str) -> tuple[str, list[str], list[str]]:
    """What `path` starts from, its components to compare, and as they are; read like `style`."""
    if _DRIVE.match(style) is None and "\\" not in style:
        parts = _components(path)
        return ("/" if path.startswith("/") else ""), parts, parts
    slashed = path.replace("\\", "/")
    parts = _components(slashed)
    start = "//" if slashed.startswith("//") else "drive" if _DRIVE.match(path) else ""
    return start, [part.casefold() for part in parts], parts


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
