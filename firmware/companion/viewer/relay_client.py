"""The relay's signalling routes, as one player's viewer token may use them. All HTTP out is here.

The relay is trusted with nothing: what comes back is parsed strictly, and signed answers are
checked by gateway.py.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import httpx2
import msgspec

from firmware.companion.viewer.errors import RelayRefused, RelayUnreachable
from firmware.protocol.encoding import Id
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from firmware.protocol.players import PlayerSetup

TIMEOUT_S = 15.0
"""Longer than the relay waits for the doorbell."""
MAX_ANSWER_BYTES = 2 * MAX_SIGNED_BYTES
MAX_ICE_SERVERS = 8
_ICE_URL = re.compile(r"(stun|stuns|turn|turns):[A-Za-z0-9.:\[\]-]{1,255}(\?transport=(udp|tcp))?")
_CREDENTIAL = re.compile(r"[A-Za-z0-9+/=:._~@-]{0,512}")

Reach = Literal["anywhere", "stun_only", "home_only"]


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """One RTCIceServer."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class Ice(msgspec.Struct, frozen=True, kw_only=True):
    """The ICE servers for one session, and from which networks it will work."""

    ice_servers: list[IceServer]
    reach: Reach


class _Nonce(msgspec.Struct, frozen=True, kw_only=True):
    nonce: Id


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    signed: SignedLive


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(max_length=64)] = "error"
    message: Annotated[str, msgspec.Meta(max_length=1000)] = "the relay refused"


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    error: _Said


T = TypeVar("T", _Nonce, _Answer, Ice, _Error)


class RelayClient:
    """Signalling with one doorbell. Each method raises RelayRefused or RelayUnreachable."""

    def __init__(self, http: httpx2.AsyncClient, setup: PlayerSetup) -> None:
        self._http = http
        self._base = f"{setup.relay}/api/v1/doorbells/{setup.device}"
        self._headers = {"Authorization": f"Bearer {setup.token}"}

    async def nonce(self) -> str:
        """Return a fresh nonce of the doorbell's."""
        return _parse(_Nonce, await self._send("POST", "/nonce")).nonce

    async def ice(self) -> Ice:
        """Return STUN and TURN servers; any that isn't well formed is left out."""
        ice = _parse(Ice, await self._send("GET", "/ice"))
        return Ice(ice_servers=well_formed(ice.ice_servers), reach=ice.reach)

    async def offer(self, session_id: str, signed: SignedLive) -> SignedLive:
        """Return what is said to be the doorbell's answer; unchecked."""
        body = {"session_id": session_id, "signed": msgspec.to_builtins(signed)}
        return _parse(_Answer, await self._send("POST", "/offer", body)).signed

    async def candidates(self, session_id: str, signed: SignedLive) -> None:
        """Bring the doorbell more candidates."""
        body = {"signed": msgspec.to_builtins(signed)}
        await self._send("POST", f"/sessions/{session_id}/candidates", body)

    async def close(self, session_id: str) -> None:
        """Tell the doorbell that the player left."""
        await self._send("DELETE", f"/sessions/{session_id}")

    async def _send(self, method: str, path: str, body: object = None) -> bytes:
        url = self._base + path
        sending = self._http.stream(method, url, headers=self._headers, json=body)
        try:
            async with sending as response:
                data = await _read(response)
        except httpx2.HTTPError as error:
            text = f"the relay can't be reached ({type(error).__name__}); is this machine online?"
            raise RelayUnreachable(text) from error
        if response.is_success:
            return data
        raise _refused(response, data)


def well_formed(servers: Sequence[IceServer]) -> list[IceServer]:
    """Return those whose values can stand in a header."""
    kept = []
    for server in servers[:MAX_ICE_SERVERS]:
        urls = [url for url in server.urls if _ICE_URL.fullmatch(url)]
        is_plain = _CREDENTIAL.fullmatch(server.username) and _CREDENTIAL.fullmatch(
            server.credential
        )
        if urls and is_plain:
            kept.append(msgspec.structs.replace(server, urls=urls))
    return kept


async def _read(response: httpx2.Response) -> bytes:
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise RelayUnreachable("the relay answered with far too much; is it a relay?")
    return data


def _refused(response: httpx2.Response, data: bytes) -> RelayRefused | RelayUnreachable:
    try:
        said = msgspec.json.decode(data, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return RelayUnreachable(f"the relay answered HTTP {response.status_code}; is it a relay?")
    wait = response.headers.get("retry-after", "")
    retry_after_s = int(wait) if re.fullmatch(r"[0-9]{1,5}", wait) else None
    return RelayRefused(said.code, said.message, retry_after_s)


def _parse(kind: type[T], data: bytes) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = "the relay answered something else than expected; is it up to date?"
        raise RelayUnreachable(text) from error
