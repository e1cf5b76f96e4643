"""The friends: there, letting us in, speaking our version, and able to resume a transfer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jack import wiring
from jack.config import PeerConfig
from jack.doctor.findings import Finding, fail, ok, warn, without_name
from jack.errors import JackError, PeerRefused, PeerUnreachable, TransientError
from jack.model import Release, Validator
from jack.peers import protocol
from jack.peers.peer_client import PeerClient
from jack.peers.query import Question
from jack.support.clock import Clock
from jack.support.files import shown
from jack.support.http import Wire, translated
from jack.support.statuses import error_for_status
from jack.support.text import size_text
from jack.support.waits import SPEED_SECONDS
from jack.transfer import ranges

SPEED_BYTES = 4 * 1024 * 1024
LOOK_BYTES = 1024
_BLOCK = 64 * 1024
_OTHER_ETAG = '"no-version-of-this-file"'


@dataclass(frozen=True)
class _Piece:
    """The answer to a request for a part of the file; of a larger body only the beginning."""

    status: int
    span: ranges.ContentRange | None
    length: int
    body: bytes
    validator: Validator


def peer_findings(friend: PeerConfig, clock: Clock) -> Iterator[Finding]:
    """Everything about one friend; ends with the first thing that makes the rest pointless."""
    client = PeerClient(wiring.peer_entry(friend), 2, clock)
    try:
        yield from _Visit(client, clock).findings()
    except JackError as error:
        yield fail(f"friend {friend.name}: {without_name(friend.name, error)}", _remedy(error))
    finally:
        client.close()


def _remedy(error: JackError) -> str:
    if isinstance(error, PeerUnreachable):
        return "check its url, and ask your friend whether jack runs and its port is open"
    if isinstance(error, PeerRefused):
        # One from a status code has no cause; the others come from TLS and say what to do.
        if error.__cause__ is None:
            return "ask your friend for the key: apiKey of this peer is not a valid one"
        return "correct url or caFile of this peer"
    if isinstance(error, TransientError):
        return "try again later; if it stays like that, ask your friend to look at jack's log"
    return "check its url, and ask your friend which version of jack it is"


class _Visit:
    """Questions to one peer, one after the other."""

    def __init__(self, client: PeerClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._who = f"friend {client.entry.name}"

    def findings(self) -> Iterator[Finding]:
        version = self._client.handshake(Wire())
        is_tls = self._client.entry.url.lower().startswith("https:")
        how = "TLS" if is_tls else "plain HTTP"
        yield ok(f"{self._who}: reachable by {how}, the key is accepted")
        if not is_tls:
            yield warn(
                f"{self._who}: its url is plain http, so the key can be read on the way",
                "ask your friend for an https url, unless the way is a VPN or this network",
            )
        if version is not None and not protocol.is_compatible(version):
            minimum = ".".join(str(number) for number in protocol.MINIMUM_VERSION)
            yield fail(
                f"{self._who}: speaks version {shown(version, 40)}, at least {minimum} is needed",
                "ask your friend to update jack",
            )
            return
        yield ok(f"{self._who}: {self._version_text(version)}")
        releases = self._client.search(Question(), Wire())
        if not releases:
            yield warn(f"{self._who}: shares nothing now", "Range and speed could not be tried")
            return
        yield from self._file(next((r for r in releases if r.size > 1), releases[0]))

    def _version_text(self, version: str | None) -> str:
        if version is None:
            return "an early version without a handshake; it can be talked to"
        return f"speaks version {version.strip()}"

    def _file(self, release: Release) -> Iterator[Finding]:
        start = self._clock.monotonic()
        begun = self._begin(release, start)
        yield self._speed_finding(release, begun, self._clock.monotonic() - start)
        asked = _span_of(begun)
        if asked is None:
            return
        look = self._look(release, asked, {})
        yield self._range_finding(release, look, begun, asked)
        # Last, for its whole file is hung up on: a friend who lets one of us in at a time may take
        # a moment to notice.
        if look.status == 206:
            yield self._version_finding(release, look.validator, asked)

    def _range_finding(self, release: Release, look: _Piece, begun: bytes, asked: range) -> Finding:
        if look.status == 200:
            return fail(
                f"{self._who}: ignores Range, so a broken transfer starts over",
                "a proxy before it may strip Range; else ask your friend to update jack",
            )
        if look.span != ranges.ContentRange(asked.start, asked.stop - 1, release.size):
            return fail(
                f"{self._who}: answers Range with other bytes than it was asked for",
                "ask your friend to update jack, or to look at the proxy before it",
            )
        if look.length != len(asked):
            sent = _amount(look.length, asked, release.size)
            return fail(
                f"{self._who}: promises the part it was asked for (Range, 206) and sends {sent}:"
                " going on after a broken transfer costs everything that was there",
                "ask your friend to update jack or what it runs on (Bun 1.4.0 does this)",
            )
        if look.body != begun[asked.start : asked.stop]:
            return fail(
                f"{self._who}: promises the part it was asked for (Range, 206) and sends other"
                " bytes: a broken transfer that goes on would be spoilt",
                "ask your friend to update jack, or to look at the proxy before it",
            )
        return ok(f"{self._who}: broken transfers go on where they were (Range)")

    def _version_finding(self, release: Release, told: Validator, asked: range) -> Finding:
        if told.etag is None or not ranges.is_strong(told.etag):
            if told.last_modified is None:
                return ok(
                    f"{self._who}: sends neither a strong ETag nor a date that tells versions"
                    " apart; jack compares the size and the last MiB it has"
                )
            return ok(
                f"{self._who}: sends no strong ETag; jack compares size, date and the last"
                " MiB it has"
            )
        same = self._look(release, asked, {"If-Range": told.etag})
        other = self._look(release, asked, {"If-Range": _OTHER_ETAG})
        if same.status != 206:
            return warn(
                f"{self._who}: refuses to go on with the very version it offers (If-Range)",
                "transfers work, but may start over; ask your friend to update jack",
            )
        if other.status != 200:
            return ok(f"{self._who}: ignores If-Range; jack compares the ETag itself")
        return ok(f"{self._who}: a replaced file is noticed (If-Range)")

    def _look(self, release: Release, asked: range, headers: Mapping[str, str]) -> _Piece:
        """Ask for a part; no more of the body is read than that: it may be the whole file."""
        span = {"Range": f"bytes={asked.start}-{asked.stop - 1}"}
        wire = Wire()
        response = self._client.open_file(release.id, {**_PLAIN, **span, **headers}, wire)
        with contextlib.closing(response):
            raw = response.raw.headers
            told = ranges.Headers({name.lower(): raw.getlist(name) for name in raw})
            self._check_status(response.status_code, response.headers)
            length = ranges.body_length(told)
            body = b""
            if response.status_code == 206 and length in {None, len(asked)}:
                body = self._read(response.raw, wire, len(asked) + 1, self._clock.monotonic())
            return _Piece(
                response.status_code,
                ranges.content_range(told),
                len(body) if length is None else length,
                body,
                ranges.validator_of(told),
            )

    def _check_status(self, status: int, headers: Mapping[str, str]) -> None:
        if status not in {200, 206}:
            name, now = self._client.entry.name, self._clock.now()
            raise error_for_status(name, "the file", status, headers, now)

    def _read(self, raw: Any, wire: Wire, most: int, start: float) -> bytes:
        """Until the end, `most` bytes or SPEED_SECONDS after `start`."""
        got = bytearray()
        who = self._client.entry.name
        with translated(who, wire), wire.deadline(2 * SPEED_SECONDS, f"{who}: {most} bytes"):
            while len(got) < most and self._clock.monotonic() - start < SPEED_SECONDS:
                block = raw.read1(min(_BLOCK, most - len(got)), decode_content=False)
                if not block:
                    break
                got += block
        wire.check()
        return bytes(got)

    def _begin(self, release: Release, start: float) -> bytes:
        """The first bytes of the file."""
        wire = Wire()
        asked = {**_PLAIN, "Range": f"bytes=0-{SPEED_BYTES - 1}"}
        response = self._client.open_file(release.id, asked, wire)
        with contextlib.closing(response):
            self._check_status(response.status_code, response.headers)
            return self._read(response.raw, wire, SPEED_BYTES, start)

    def _speed_finding(self, release: Release, begun: bytes, seconds: float) -> Finding:
        if not begun:
            return fail(
                f"{self._who}: sent no byte of {shown(release.filename, 80)}",
                "ask your friend to look at jack's log",
            )
        speed = size_text(int(len(begun) / max(seconds, 0.001)))
        return ok(f"{self._who}: {size_text(len(begun))} in {seconds:.1f} s, {speed}/s")


def _span_of(begun: bytes) -> range | None:
    """A part to ask for, of what is known: from its middle, which is unlike a film's beginning."""
    start = len(begun) // 2
    return range(start, min(len(begun), start + LOOK_BYTES)) if start else None


def _amount(length: int, asked: range, whole: int) -> str:
    if length < len(asked):
        return f"{length} bytes of {len(asked)}"
    return "the whole file" if length == whole else "more than that"


_PLAIN = {"Accept": "*/*", "Accept-Encoding": "identity"}
