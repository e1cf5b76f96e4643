"""The shapes every part of the HTTP side answers in: JSON errors, and XML for *arr applications."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from flask import Response, jsonify, request

_JSON = "application/json"
_XML = ("application/rss+xml", "application/xml+rss", "application/xml", "text/xml")


def json_error(status: int, code: str, message: str) -> Response:
    """`{"ok": false, "error": {...}}`, the error body peers know."""
    response = jsonify(ok=False, error={"code": code, "message": message})
    response.status_code = status
    return response


def prefers_xml() -> bool:
    """Whether the request's Accept likes an XML type better than JSON; no Accept means JSON."""
    return request.accept_mimetypes.best_match((_JSON, *_XML), default=_JSON) != _JSON


def xml_error(code: int, description: str) -> Response:
    """A Torznab error. Status 200, because *arr shows the description only then."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<error code="{code}" description='
    return Response(f"{body}{quoteattr(description)} />", mimetype="application/xml")
