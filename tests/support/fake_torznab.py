"""What a fake *arr's Test of jack's indexer finds: caps, and a feed of as many items as told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CAPS = (
    '<caps><limits default="100" max="100"/><searching>'
    '<search available="yes" supportedParams="q"/>'
    '<tv-search available="yes" supportedParams="q,season,ep,tvdbid"/>'
    '<movie-search available="yes" supportedParams="q,imdbid,tmdbid"/>'
    "</searching></caps>"
)
ITEM = (
    "<item><title>Film 2020 1080p</title><pubDate>Thu, 01 Jan 2026 12:00:00 GMT</pubDate>"
    '<enclosure url="http://127.0.0.1:1/x" length="1" type="application/x-bittorrent"/></item>'
)


class FakeTorznab:
    """Serves `/torznab/api` on loopback; `asked` holds the query of every request."""

    def __init__(self, api_key: str, items: int = 1) -> None:
        self.api_key = api_key
        self.items = items
        self.asked: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.fake = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> FakeTorznab:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str) -> str:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if query.get("apikey") != self.api_key:
            return '<error code="100" description="Invalid API key"/>'
        if query.get("t") == "caps":
            return CAPS
        return f'<rss version="2.0"><channel>{ITEM * self.items}</channel></rss>'


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.server.fake.answer(self.path).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the requests are recorded."""
