"""A proxy before the real bucket that counts parts and can be told to break connections.

Presigned URLs are for one host name, so whatever is sent through it must be signed for it.
"""

import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHUNK_BYTES = 256 * 1024
FAULT_NAMES = ("reset", "refuse", "cut", "hang")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often a part meets what; the rest goes through."""

    reset: float = 0.0
    refuse: float = 0.0
    cut: float = 0.0
    hang: float = 0.0
    hang_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one multipart upload."""

    upload_id: str
    number: int


class BucketProxy(ThreadingHTTPServer):
    """`begun` are the parts that were asked for, `finished` those that the bucket took.

    `answered` are those of them whose sender was still there to hear so: the last bytes of a
    process that is killed arrive nonetheless.
    """

    daemon_threads = True

    def __init__(self, store_port: int, faults: Faults, seed: int, bytes_per_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store_port = store_port
        self.faults = faults
        self.dice = random.Random(seed)
        self.bytes_per_s = bytes_per_s
        self.begun: list[Part] = []
        self.finished: list[Part] = []
        self.answered: list[Part] = []
        self.struck: dict[str, int] = {}
        self._due = [name for name in FAULT_NAMES if getattr(faults, name) > 0]
        """Each is met at least once, whatever the dice say."""

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server_port}"

    def fate(self) -> str:
        """Throw the dice for one part."""
        fate, point = "pass", self.dice.random()
        for name in FAULT_NAMES:
            point -= getattr(self.faults, name)
            if point < 0:
                fate = name
                break
        if self._due:
            fate = self._due.pop()
        if fate != "pass":
            self.struck[fate] = self.struck.get(fate, 0) + 1
        return fate

    def handle_error(self, *_: object) -> None:
        """Whoever was killed hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: BucketProxy

    def do_PUT(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        part = Part(query["uploadId"][0], int(query["partNumber"][0]))
        self.server.begun.append(part)
        size = int(self.headers["Content-Length"])
        match self.server.fate():
            case "reset":
                self._take(size // 3)
                self._reset()
            case "refuse":
                self._take(size)
                self._answer(503, "")
            case "cut":
                self._forward(part, size, upto=size // 2)
                self._reset()
            case "hang":
                time.sleep(self.server.faults.hang_s)
                self._reset()
            case _:
                self._forward(part, size, upto=size)

    def _forward(self, part: Part, size: int, *, upto: int) -> None:
        store = http.client.HTTPConnection("127.0.0.1", self.server.store_port, timeout=30)
        with contextlib.closing(store):
            store.putrequest("PUT", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                store.putheader(name, value)
            store.endheaders()
            left = upto
            while left:
                chunk = self._take(min(left, CHUNK_BYTES))
                store.send(chunk)
                left -= len(chunk)
            if upto < size:
                return
            answer = store.getresponse()
            answer.read()
            if answer.status == 200:
                self.server.finished.append(part)
                if self._is_heard():
                    self.server.answered.append(part)
            self._answer(answer.status, answer.getheader("ETag", ""))

    def _take(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError("the sender hung up")
        time.sleep(size / self.server.bytes_per_s)
        return data

    def _is_heard(self) -> bool:
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _answer(self, status: int, etag: str) -> None:
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def run_bucket_proxy(
    store_port: int, faults: Faults | None = None, *, seed: int = 1, bytes_per_s: float = 1e12
) -> Iterator[BucketProxy]:
    """Serve one until the block ends."""
    proxy = BucketProxy(store_port, faults or Faults(), seed, bytes_per_s)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
