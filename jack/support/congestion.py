"""TCP's congestion control of what we send.

Reno and CUBIC take every lost packet for a full line: over 80 ms with 0.1 % loss they send less
than a tenth of what a line of 100 Mbit/s carries. BBR measures the line instead.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

WANTED = "bbr"
ALLOWED_KEY = "net.ipv4.tcp_allowed_congestion_control"
"""Linux: what a program may ask for without privileges."""
_LONGEST_NAME = 16
_KERNEL = Path("/proc/sys/net/ipv4")
"""Settings of the kernel as files."""


def ask_for_bbr(listener: socket.socket) -> None:
    """Connections that `listener` accepts inherit it. Where the system refuses or does not know it
    they get the system's default.
    """
    with contextlib.suppress(OSError, AttributeError):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, WANTED.encode())


def used_by(sock: socket.socket) -> str | None:
    """The name of the one in use; None where the system does not tell."""
    try:
        name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _LONGEST_NAME)
    except (OSError, AttributeError):  # Python has the name where the system has the option
        return None
    return name.split(b"\0")[0].decode("ascii", "replace") or None


def got() -> str | None:
    """What a connection of ours gets now: asked for and tried."""
    with socket.socket() as sock:
        ask_for_bbr(sock)
        return used_by(sock)


def how_to_allow(kernel: Path = _KERNEL) -> str:
    """What the machine's owner types, as root. `kernel` is the folder of its settings."""
    allowed = _words(kernel / "tcp_allowed_congestion_control")
    command = f'sysctl -w {ALLOWED_KEY}="{" ".join([*allowed, WANTED])}"'
    available = _words(kernel / "tcp_available_congestion_control")
    return command if WANTED in available else f"modprobe tcp_bbr, then {command}"


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
