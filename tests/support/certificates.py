"""Certificates that sign themselves, made by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LOOPBACK = "IP:127.0.0.1"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """Two PEM files."""

    cert: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a server that has it speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def self_signed(
    folder: Path, host: str = LOOPBACK, valid: tuple[str, str] | None = None
) -> Certificate:
    """A certificate for `host`, valid from now on or between two dates (yyyymmddHHMMSSZ). Skips the
    test where there is no openssl.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    cert, key, request = (folder / f"certificate.{end}" for end in ("pem", "key", "csr"))
    names = f"subjectAltName={host}"

    def run(*arguments: object) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, timeout=60)

    made = (*_KEY, "-keyout", key, "-subj", "/CN=x")
    if valid is None:
        run("req", "-x509", "-days", "2", *made, "-addext", names, "-out", cert)
        return Certificate(cert, key)
    (folder / "index").write_text("")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\n"
        "rand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n"
        f"[p]\ncommonName=supplied\n[e]\n{names}\n"
    )
    run("req", "-new", *made, "-out", request)
    dates = ("-startdate", valid[0], "-enddate", valid[1])
    config = ("-config", folder / "ca.cnf", "-keyfile", key, "-in", request, "-out", cert)
    run("ca", "-batch", "-selfsign", "-notext", *dates, *config)
    return Certificate(cert, key)
