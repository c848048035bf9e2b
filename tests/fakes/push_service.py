"""A push service on this machine: real HTTP, answers as it is told, and keeps what it was sent."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from firmware.protocol.encoding import unb64u


@dataclass(frozen=True)
class Sent:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class PushService:
    """`answers` are used up one a request, then 201; `delay_s` passes before each."""

    port: int
    scheme: str = "http"
    host: str = "localhost"
    sent: list[Sent] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    body: bytes = b""
    is_silent: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def endpoint(self, path: str = "/push/abc") -> str:
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    def say(self, status: int, **headers: str) -> None:
        self.answers.append((status, {name.replace("_", "-"): v for name, v in headers.items()}))


@contextlib.contextmanager
def run_push_service(
    *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[PushService]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.sent.append(Sent(self.path, headers, body))
            if service.is_silent.is_set():
                service.is_over.wait()
                return
            status, more = service.answers.pop(0) if service.answers else (201, {})
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the relay doesn't want it
                self.wfile.write(service.body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "http" if tls is None else "https"
    service = PushService(server.server_address[1], scheme)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="push service")
    thread.start()
    try:
        yield service
    finally:
        service.is_over.set()
        server.shutdown()
        thread.join(5)
        server.server_close()


def claims_of(header: str, public_key: str) -> dict[str, object]:
    """Check a VAPID header (RFC 8292) as a push service does, and return its claims."""
    token = header.removeprefix("vapid t=").partition(", k=")[0]
    head, body, signature = token.split(".")
    raw = unb64u(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64u(public_key))
    key.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(unb64u(head)) == {"typ": "JWT", "alg": "ES256"}
    claims: dict[str, object] = json.loads(unb64u(body))
    return claims
