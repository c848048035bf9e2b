"""JSON calls to a relay: answers are parsed strictly, with a limit; redirects aren't followed.

The relay is trusted with nothing. The keys in its answers are compared with those that are known
from elsewhere by who calls this.
"""

from typing import Annotated, TypeVar

import httpx2
import msgspec

from firmware.companion.authenticator.errors import AccountFailed
from firmware.companion.authenticator.passkey import CreationWanted
from firmware.protocol.plain_text import plain

TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
GATEWAY_STATUSES = (502, 503, 504)
"""What a proxy says while the relay behind it starts again."""

Secret = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.~-]{1,200}\Z")]
T = TypeVar("T", bound=msgspec.Struct)


class RegistrationChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that has begun."""

    session: Secret
    options: CreationWanted


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""
    message: Annotated[str, msgspec.Meta(max_length=1000)] = "no reason given"


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    error: _Said


class RelayCalls:
    """The caller of one relay under one of its paths, as a page of `origin`."""

    def __init__(self, http: httpx2.Client, relay: str, *, under: str, origin: str = "") -> None:
        self._http = http
        self._relay = relay
        self._under = under
        self._headers = {"Origin": origin} if origin else {}

    @property
    def has_token(self) -> bool:
        """Whether calls carry a session."""
        return "Authorization" in self._headers

    def use_token(self, token: str) -> None:
        """Let the calls from now on carry a session."""
        self._headers["Authorization"] = f"Bearer {token}"

    def send(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: object = None,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> T:
        """Return what the relay answers, or raise AccountFailed."""
        url = f"{self._relay}/{self._under}/{path}"
        try:
            with self._http.stream(
                method, url, headers=self._headers, json=body, follow_redirects=False
            ) as response:
                data = _read(response, max_bytes)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise AccountFailed(
                f"the relay can't be reached at {self._relay} ({type(error).__name__}): is this "
                "machine online, and the address right?",
                is_away=True,
            ) from error
        if not response.is_success:
            raise _refused(response.status_code, data)
        try:
            return msgspec.json.decode(data or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AccountFailed(
                f"{self._relay} answered something else than a relay does; is the address right?"
            ) from error


def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    data = b""
    for piece in response.iter_bytes():
        data += piece
        if len(data) > max_bytes:
            raise AccountFailed("the relay answered with far too much; is it a relay?")
    return data


def _refused(status: int, data: bytes) -> AccountFailed:
    try:
        said = msgspec.json.decode(data, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        is_away = status in GATEWAY_STATUSES
        return AccountFailed(f"the relay answered HTTP {status}; is it a relay?", is_away=is_away)
    return AccountFailed(f"the relay refused: {plain(said.message)}", code=said.code)
