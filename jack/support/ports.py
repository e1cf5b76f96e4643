"""Who has a port, where the system tells (Linux, and then only about our own user's programs)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (TCP_LISTEN of the kernel's tcp_states.h)."""


def holder_of(port: int, proc: Path = _PROC) -> str | None:
    """The program that listens on this TCP port, as "NAME (pid N)"; None when that is not told."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    for process in proc.glob("[0-9]*") if sockets else ():
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) in sockets:
                        name = (process / "comm").read_text(errors="replace").strip()
                        return f"{ascii(name)[1:-1]} (pid {process.name})"
    return None


def _listening(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                local = columns[1].rpartition(":")[2]
                if columns[3] == _LISTEN and int(local, 16) == port:
                    yield columns[9]
