"""jack as a process in bad surroundings: under strace, on a tiny disk, with limits.

you.patches = "import jack.daemon; jack.daemon.GUARD_SECONDS = 0.1"   # before jack's main
you.prefix = injecting("fsync:error=EIO:when=2")                      # needs_strace
you.prefix = on_tiny_disk(you.completed, "4m")                        # needs_namespaces
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.harness import Jack

_MAIN = "import sys; from jack.cli import main; sys.exit(main(sys.argv[1:]))"
_STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull)
SOON = "\n".join(
    f"import {module}; {module}.{name} = 0.1"
    for module, name in (
        ("jack.daemon", "GUARD_SECONDS"),
        ("jack.daemon", "THREAD_LOOK_SECONDS"),
        ("jack.downloads.service", "STORAGE_LOOK_SECONDS"),
        ("jack.downloads.service", "SPACE_LOOK_SECONDS"),
        ("jack.downloads.service", "DATABASE_RETRY_SECONDS"),
        ("jack.downloads.job", "DATABASE_RETRY_SECONDS"),
        ("jack.downloads.retry", "STORAGE_LOOK_SECONDS"),
        ("jack.downloads.retry", "SPACE_LOOK_SECONDS"),
    )
)
"""What is looked at again every half minute is looked at again at once."""


class HurtJack(Jack):
    """`prefix` is put before the command of `start`, `patches` runs before jack's main."""

    prefix: tuple[str, ...] = ()
    patches: str = SOON

    def _command(self, *arguments: str) -> list[str]:
        code = f"{self.patches}\n{_MAIN}"
        return [*self.prefix, sys.executable, "-c", code, *arguments]

    def inside(self, path: Path) -> Path:
        """The path as the running jack sees it, below mounts of its own."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{path}")


def injecting(*faults: str, paths: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """Let system calls fail; see strace(1), "Tampering". With `paths` only calls on those."""
    where = [word for path in paths for word in ("-P", str(path))]
    injected = [word for fault in faults for word in ("-e", f"inject={fault}")]
    calls = ",".join(fault.partition(":")[0] for fault in faults)
    return (
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        *where,
        "-e",
        f"trace={calls}",
        *injected,
    )


def on_tiny_disk(folder: Path, size: str) -> tuple[str, ...]:
    """A tmpfs of that size on `folder`, in a mount namespace of jack's own."""
    folder.mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={size},mode=0777 tiny "$1" && shift && exec "$@"'
    return ("unshare", "-Urm", "sh", "-c", script, "sh", str(folder))


def with_umask(umask: int) -> tuple[str, ...]:
    return ("sh", "-c", f'umask {umask:04o}; exec "$@"', "sh")


@functools.cache
def _works(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return done.returncode == 0


def needs_strace() -> None:
    """Skip the test where strace is missing or may not trace."""
    if not _works(*_STRACE, "-e", "trace=fsync", "true"):
        pytest.skip("strace is missing, or may not trace here")


def needs_namespaces() -> None:
    """Skip the test where a user may not mount a file system of his own."""
    if not _works("unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=1m tiny /tmp"):
        pytest.skip("no user namespaces here")
