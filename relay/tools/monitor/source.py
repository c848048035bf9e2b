"""The source of a log's files: an HTTP client of one URL. Nothing that comes is believed."""

from typing import Protocol

import httpx2

from relay.errors import said
from relay.tools.monitor.errors import LogUnreadable

TIMEOUT_S = 20.0
PLAIN = {"accept-encoding": "identity"}
"""Whoever serves a log could make a few compressed bytes fill the memory."""


class Source(Protocol):
    """Fetches files of both logs by their path."""

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return a file; None if there is none. Raise LogUnreadable."""
        ...


class Site(Source, Protocol):
    """Fetches the relay's own pages as well."""

    def fetch_page(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return a page of the relay as people get it; else as `fetch`."""
        ...


class HttpSource:
    """Fetches files below one URL; follows no redirects, so that one origin serves all of them.

    The relay's pages are where its logs are: https://relay/log beside https://relay/agreements.
    """

    def __init__(
        self, url: str, *, site: str | None = None, http: httpx2.Client | None = None
    ) -> None:
        """`site` is the relay's own URL, where it isn't that of the logs without /log."""
        self._url = url.rstrip("/")
        self._site = (self._url.removesuffix("/log") if site is None else site).rstrip("/")
        self._http = http or httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return a file; None if there is none. Raise LogUnreadable."""
        return self._fetch(self._url, path, max_bytes=max_bytes)

    def fetch_page(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return a page of the relay as people get it; else as `fetch`."""
        return self._fetch(self._site, path, max_bytes=max_bytes)

    def _fetch(self, base: str, path: str, *, max_bytes: int) -> bytes | None:
        body = bytearray()
        try:
            with self._http.stream("GET", f"{base}/{path}", headers=PLAIN) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise LogUnreadable(f"{path}: answered {answer.status_code}")
                for chunk in answer.iter_raw():
                    body += chunk
                    if len(body) > max_bytes:
                        raise LogUnreadable(f"{path}: more than {max_bytes} bytes")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise LogUnreadable(f"{path}: {said(error)}") from error
        return bytes(body)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
