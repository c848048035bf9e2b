"""An agency's identity provider on this machine: real HTTP, real keys, PKCE, codes that count once.

Who is signed in there is `claims`; what it does wrong is told by `sign` and the fields beside it.
"""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock

CLIENT_ID = "doorward"
CLIENT_SECRET = "a secret of the relay's"
Key = RSAKey | ECKey
Json = dict[str, Any]


@cache
def rsa_key(kid: str = "rsa") -> RSAKey:
    """One key for all tests: making one takes long."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


@cache
def ec_key(kid: str = "ec") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@dataclass
class OidcProvider:
    """`claims` is who signs in; `sign` makes an ID token of header and claims."""

    port: int
    clock: Clock
    claims: Json
    keys: list[Key] = field(default_factory=lambda: [rsa_key()])
    sign: Callable[[Json], str] | None = None
    change: Json = field(default_factory=dict)
    """Claims that take the place of the right ones."""
    metadata: Json = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, Json] = field(default_factory=dict)
    redirect_to: str | None = None
    token_bytes: bytes | None = None

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def discovery(self) -> Json:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Sign the person in, and return where their browser is sent."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = new_id()
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, Json]:
        """Exchange a code, once, for who began with its PKCE challenge."""
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        begun = self.codes.pop(form.get("code", ""), None)
        if authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or begun["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if begun["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": new_id(),
            "token_type": "Bearer",
            "id_token": self.id_token(begun["nonce"]),
        }

    def id_token(self, nonce: str) -> str:
        now_s = self.clock.wall_ms() // 1000
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": nonce,
            **self.claims,
            **self.change,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return signed(self.keys[0], claims) if self.sign is None else self.sign(claims)


def signed(key: Key, claims: Json) -> str:
    """Return a token by this key."""
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key)


@contextlib.contextmanager
def run_oidc_provider(clock: Clock, **claims: Any) -> Iterator[OidcProvider]:
    """Serve until the block ends; somebody of lakeland.example is signed in there."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, urlsplit(self.path).query
            provider.asked.append(path)
            if provider.redirect_to is not None and path != "/authorize":
                self._answer(302, b"", location=provider.redirect_to)
            elif path == "/.well-known/openid-configuration":
                self._answer(200, json.dumps(provider.discovery()).encode())
            elif path == "/keys":
                keys = [key.as_dict(private=False) for key in provider.keys]
                self._answer(200, json.dumps({"keys": keys}).encode())
            elif path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(query).items()}
                self._answer(302, b"", location=provider.authorize(asked))
            else:
                self._answer(404, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            provider.asked.append(self.path)
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, told = provider.redeem(form, self.headers.get("Authorization", ""))
            self._answer(status, provider.token_bytes or json.dumps(told).encode())

        def _answer(self, status: int, body: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            with contextlib.suppress(OSError):  # the relay may hang up in the middle
                self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    person = {
        "sub": "248289761001",
        "name": "Officer Frost",
        "email": "frost@lakeland.example",
        "email_verified": True,
        **claims,
    }
    provider = OidcProvider(port=server.server_address[1], clock=clock, claims=person)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
