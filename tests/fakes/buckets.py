"""A bucket of this machine that takes parts, over HTTP or HTTPS, and can be told to misbehave."""

import base64
import contextlib
import hashlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK_BYTES = 1024 * 1024


class PartBucket(ThreadingHTTPServer):
    """Takes parts as a bucket does and checks their SHA-256; keeps them unless told otherwise."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http"
        if tls is not None:
            self.scheme = "https"
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.parts: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.statuses: list[int] = []
        """What to answer the next PUTs with, instead of taking them."""
        self.location = "http://127.0.0.1:1/elsewhere"
        self.etag = '"etag"'
        self.received_bytes = 0
        self.is_keeping = True
        self.hosts: set[str] = set()

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Whoever hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: PartBucket

    def do_PUT(self) -> None:
        self.server.hosts.add(self.headers["Host"])
        kept, hashed = self._take(int(self.headers["Content-Length"]))
        self.server.puts.append(self.path)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if self.headers["x-amz-checksum-sha256"] != base64.b64encode(hashed).decode():
            status = 400
        if status == 200:
            self.server.parts[self.path] = kept
        self.send_response(status)
        self.send_header("Location", self.server.location)
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _take(self, size: int) -> tuple[bytes, bytes]:
        """Return what is kept of the body, and its SHA-256."""
        kept, digest = bytearray(), hashlib.sha256()
        while size and (chunk := self.rfile.read(min(size, CHUNK_BYTES))):
            digest.update(chunk)
            self.server.received_bytes += len(chunk)
            size -= len(chunk)
            if self.server.is_keeping:
                kept += chunk
        return bytes(kept), digest.digest()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def run_part_bucket(tls: ssl.SSLContext | None = None) -> Iterator[PartBucket]:
    """Serve one until the block ends."""
    server = PartBucket(tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
