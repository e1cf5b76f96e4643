"""What a failed TLS handshake means."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone

from jack.errors import JackError, PeerRefused, TransientError

_NOT_YET_VALID = 9
_EXPIRED = 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h."""
_PLAIN_HTTP = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER")


def tls_error(who: str, error: BaseException) -> JackError:
    """`error` (an ssl.SSLError) as jack's. A certificate that is not trusted is asked about again,
    rarely: a clock gets set, a certificate renewed.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return PeerRefused(
            f"{who}: its certificate is not trusted ({error.verify_message}); {_remedy(error)}"
        )
    reason = str(getattr(error, "reason", None) or "")
    if any(part in reason for part in _PLAIN_HTTP):
        return PeerRefused(f"{who} answers plain HTTP; its url should start with http://")
    return TransientError(f"{who}: the TLS connection broke ({reason or type(error).__name__})")


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code not in {_NOT_YET_VALID, _EXPIRED}:
        return "set caFile for a private authority, and check this machine's clock"
    # A board without a battery starts in 1970, and nothing is valid then.
    today = datetime.now(timezone.utc).date()
    other = "; else it has to be renewed there" if error.verify_code == _EXPIRED else ""
    return f"is this machine's clock right? It says {today}{other}"
