"""Signalling with one doorbell: by the relay's routes, or by those of the doorbell's own page.

All HTTP out is here. Neither way is trusted with anything: what comes back is parsed strictly, and
signed answers are checked by gateway.py.
"""

import re
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, TypeVar

import httpx2
import msgspec

from firmware.companion.viewer.errors import RelayRefused, RelayUnreachable
from firmware.protocol.encoding import Id
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from firmware.protocol.players import PlayerSetup

TIMEOUT_S = 15.0
"""Longer than the relay waits for the doorbell."""
MAX_ANSWER_BYTES = 2 * MAX_SIGNED_BYTES
DOOR_TIMEOUT_S = 4.0
"""At home; an answer to an offer takes the doorbell a second or two at most."""
MAX_ICE_SERVERS = 8
MAX_KEPT_NONCES = 8
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


class Signalling(Protocol):
    """Signalling with one doorbell. Each method raises RelayRefused or RelayUnreachable."""

    async def nonce(self) -> str:
        """Return a fresh nonce of the doorbell's."""
        ...

    async def ice(self) -> Ice:
        """Return STUN and TURN servers."""
        ...

    async def offer(self, session_id: str, signed: SignedLive) -> SignedLive:
        """Return an answer, unchecked."""
        ...

    async def candidates(self, session_id: str, signed: SignedLive) -> None:
        """Bring more candidates."""
        ...

    async def close(self, session_id: str) -> None:
        """End a session."""
        ...


class RelayClient:
    """Signalling with one doorbell. Each method raises RelayRefused or RelayUnreachable."""

    _name = "the relay"
    _help = "is this machine online?"
    _timeout_s = TIMEOUT_S

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
        sending = self._http.stream(
            method, url, headers=self._headers, json=body, timeout=self._timeout_s
        )
        try:
            async with sending as response:
                data = await _read(response)
        except httpx2.HTTPError as error:
            text = f"{self._name} can't be reached ({type(error).__name__}); {self._help}"
            raise RelayUnreachable(text) from error
        if response.is_success:
            return data
        raise _refused(response, data)


class DoorClient(RelayClient):
    """Signalling by the doorbell's own page on the home network, without relay and internet."""

    _name = "the doorbell"
    _help = "is it on the same network?"
    _timeout_s = DOOR_TIMEOUT_S

    def __init__(self, http: httpx2.AsyncClient, door: str) -> None:
        self._http = http
        self._base = f"{door}/live"
        self._headers = {"Origin": door}  # its page takes posts from its own origin only

    async def ice(self) -> Ice:
        """Return no server: at home, both sides have addresses that reach each other."""
        return Ice(ice_servers=[], reach="home_only")


class EitherWay:
    """Signalling by the doorbell's own page where it answers, else by the relay."""

    def __init__(self, door: Signalling, relay: Signalling) -> None:
        self._door = door
        self._relay = relay
        self._way = relay
        self._nonces: deque[str] = deque(maxlen=MAX_KEPT_NONCES)

    async def ice(self) -> Ice:
        """Choose the way by asking the doorbell for a nonce, and return the way's ICE servers."""
        try:
            self._nonces.append(await self._door.nonce())
            self._way = self._door
        except RelayUnreachable:
            self._way = self._relay
        return await self._way.ice()

    async def nonce(self) -> str:
        """Return a fresh nonce of the doorbell's."""
        return self._nonces.popleft() if self._nonces else await self._way.nonce()

    async def offer(self, session_id: str, signed: SignedLive) -> SignedLive:
        """Return what is said to be the doorbell's answer; unchecked."""
        return await self._way.offer(session_id, signed)

    async def candidates(self, session_id: str, signed: SignedLive) -> None:
        """Bring the doorbell more candidates."""
        await self._way.candidates(session_id, signed)

    async def close(self, session_id: str) -> None:
        """Tell the doorbell that the player left."""
        await self._way.close(session_id)


def signalling(http: httpx2.AsyncClient, setup: PlayerSetup, door: str | None) -> Signalling:
    """Return the way to the doorbell: by its page at `door` if one is named, else by the relay."""
    relay = RelayClient(http, setup)
    return relay if door is None else EitherWay(DoorClient(http, door), relay)


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
