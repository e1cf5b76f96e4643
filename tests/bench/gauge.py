"""What Linux says of a running process: memory, work, descriptors, threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KIB = 1024


@dataclass(frozen=True)
class Reading:
    """One look at a process. Bytes and seconds."""

    resident: int
    peak: int
    descriptors: int
    threads: int
    written: int
    """What it had the block layer write, by /proc/PID/io."""
    cpu_seconds: float
    """Time on a core of all its threads, to the nanosecond (schedstat)."""
    wakeups: int
    """How often its threads went to sleep and came back (voluntary context switches)."""


def read(pid: int) -> Reading:
    """Raises OSError when the process has gone."""
    process = Path(f"/proc/{pid}")
    status = _table(process / "status")
    tasks = list((process / "task").iterdir())
    return Reading(
        resident=_kib(status["VmRSS"]),
        peak=_kib(status["VmHWM"]),
        descriptors=len(os.listdir(process / "fd")),
        threads=len(tasks),
        written=int(_table(process / "io")["write_bytes"]),
        cpu_seconds=sum(map(_run_seconds, tasks)),
        wakeups=sum(map(_wakeups, tasks)),
    )


def _run_seconds(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0  # that thread has ended meanwhile


def _wakeups(task: Path) -> int:
    try:
        return int(_table(task / "status")["voluntary_ctxt_switches"])
    except OSError:
        return 0


def _table(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _kib(text: str) -> int:
    return int(text.split()[0]) * KIB
