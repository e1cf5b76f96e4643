"""Reverse proxies that the config names: whom they ask for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""As some proxies write an address: `[2001:db8::1]:443`, `[2001:db8::1]`, `192.0.2.1:443`."""


class Proxies:
    """The addresses whose X-Forwarded-For is believed; anybody else could write anything there."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __contains__(self, text: str) -> bool:
        address = _address(text) if self._networks else None
        return address is not None and any(address in network for network in self._networks)

    def client_of(self, address: str, forwarded: str) -> str:
        """Who asks, when a request with this X-Forwarded-For came from `address`. Each proxy adds
        the one it was asked by at the end, so what stands before the first stranger is his word.
        """
        for text in reversed(forwarded.split(",")):
            before = _address(text.strip())
            if address not in self or before is None:
                break
            address = str(before)
        return address


def _address(text: str) -> _Address | None:
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((match[1] or match[2]) if match else text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
