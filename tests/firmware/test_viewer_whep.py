"""WHEP as players speak it, who may speak it, and where the gateway listens."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx2
import msgspec
import pytest

from firmware.companion.viewer.errors import (
    AnswerRefused,
    FragmentRefused,
    ListenError,
    NoSuchSession,
    OfferRefused,
    RelayRefused,
    RelayUnreachable,
    ViewerError,
)
from firmware.companion.viewer.gateway import Opened
from firmware.companion.viewer.guard import Guard
from firmware.companion.viewer.relay_client import IceServer, RelayClient
from firmware.companion.viewer.sdp_fragment import Fragment
from firmware.companion.viewer.server import listen, parse_address
from firmware.companion.viewer.whep import build_whep
from firmware.protocol.encoding import new_id
from firmware.protocol.players import PlayerSetup
from firmware.protocol.sdp import MAX_SDP_BYTES

TOKEN = "local-token-of-this-machine"
HOST = "127.0.0.1:8480"
SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"
KEY = "k" * 26
OFFER = {"Content-Type": "application/sdp", "Authorization": f"Bearer {TOKEN}"}
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}
TURN = IceServer(
    urls=["turn:turn.test:3478?transport=udp"], username="17:x", credential="c2VjcmV0="
)


@dataclass
class Sessions:
    """Live view that says yes, or what it is told to say."""

    refusal: ViewerError | None = None
    offers: list[str] = field(default_factory=list)
    trickled: list[tuple[str, Fragment]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    async def open(self, sdp: str) -> Opened:
        self._refuse()
        self.offers.append(sdp)
        servers = [IceServer(urls=["stun:stun.test"]), TURN]
        return Opened(key=KEY, sdp="v=0\r\nanswer", ice_servers=servers)

    async def trickle(self, key: str, fragment: Fragment) -> None:
        self._refuse()
        self.trickled.append((key, fragment))

    async def close(self, key: str) -> None:
        self._refuse()
        self.closed.append(key)

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
async def http(sessions: Sessions) -> AsyncIterator[httpx2.AsyncClient]:
    guard = Guard(token=TOKEN, hosts={HOST}, origins=frozenset({"https://player.test"}))
    transport = httpx2.ASGITransport(app=build_whep(sessions, guard))
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        yield http


async def test_an_offer_is_answered_as_whep_wants_it(http, sessions):
    answered = await http.post("/whep", content=SDP, headers=OFFER)
    assert answered.status_code == 201
    assert answered.headers["content-type"] == "application/sdp"
    assert answered.headers["location"] == f"/sessions/{KEY}"
    assert answered.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
    assert answered.text == "v=0\r\nanswer"
    turn = (
        '<turn:turn.test:3478?transport=udp>; rel="ice-server"; username="17:x"; '
        'credential="c2VjcmV0="; credential-type="password"'
    )
    links = answered.headers.get_list("link")
    assert links == ['<stun:stun.test>; rel="ice-server"', turn]
    assert sessions.offers == [SDP]


async def test_a_player_without_headers_puts_the_token_in_the_address(http, sessions):
    answered = await http.post(
        f"/whep/{TOKEN}", content=SDP, headers={"Content-Type": "application/sdp"}
    )
    assert answered.status_code == 201


@pytest.mark.parametrize(
    ("path", "authorization"),
    [("/whep", ""), ("/whep", "Bearer wrong"), ("/whep", f"Basic {TOKEN}"), ("/whep/wrong", "")],
)
async def test_refuses_whoever_lacks_the_local_token(http, sessions, path, authorization):
    headers = {"Content-Type": "application/sdp", "Authorization": authorization}
    answered = await http.post(path, content=SDP, headers=headers)
    assert answered.status_code == 401
    assert answered.headers["www-authenticate"] == "Bearer"
    assert sessions.offers == []


@pytest.mark.parametrize("host", ["evil.test", "evil.test:8480", "127.0.0.1", "127.0.0.1:1", ""])
async def test_refuses_a_name_that_was_bound_to_this_machine(http, sessions, host):
    answered = await http.post("/whep", content=SDP, headers={**OFFER, "Host": host})
    assert answered.status_code == 403
    assert sessions.offers == []


@pytest.mark.parametrize(
    "origin",
    ["https://evil.test", "null", "http://localhost.evil.test", "http://127.0.0.1.evil.test"],
)
async def test_refuses_pages_from_elsewhere(http, sessions, origin):
    for method in ("POST", "OPTIONS"):
        headers = {**OFFER, "Origin": origin}
        answered = await http.request(method, "/whep", content=SDP, headers=headers)
        assert answered.status_code == 403
        assert "access-control-allow-origin" not in answered.headers
    assert sessions.offers == []


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://player.test"])
async def test_a_page_of_this_machine_or_an_allowed_one_may_play(http, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await http.options("/whep", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["accept-post"] == "application/sdp"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    answered = await http.post("/whep", content=SDP, headers={**OFFER, "Origin": origin})
    assert answered.headers["access-control-allow-origin"] == origin
    assert "Location" in answered.headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_nothing_but_an_offer_is_taken_at_the_endpoint(http, method):
    answered = await http.request(method, "/whep", headers=OFFER)
    assert answered.status_code == 405
    assert answered.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({**OFFER, "Content-Type": "text/plain"}, SDP.encode(), 415),
        (OFFER, b"x" * (MAX_SDP_BYTES + 1), 413),
        (OFFER, b"\xff\xfe", 400),
    ],
)
async def test_refuses_a_body_that_is_no_offer(http, sessions, headers, body, status):
    assert (await http.post("/whep", content=body, headers=headers)).status_code == status
    assert sessions.offers == []


async def test_candidates_are_trickled_and_the_session_is_ended(http, sessions):
    body = "a=ice-ufrag:abcd\r\nm=video 9 X 0\r\na=candidate:1 1 udp 1 192.0.2.7 5 typ host\r\n"
    patched = await http.patch(f"/sessions/{KEY}", content=body, headers=TRICKLE)
    assert patched.status_code == 204
    ((key, fragment),) = sessions.trickled
    assert (key, fragment.ufrags) == (KEY, {"abcd"})
    assert (await http.delete(f"/sessions/{KEY}")).status_code == 200
    assert sessions.closed == [KEY]


def refused(code: str, retry_after_s: int | None = None) -> RelayRefused:
    return RelayRefused(code, "a reason", retry_after_s)


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after"),
    [
        (OfferRefused("no H.264"), 400, None),
        (FragmentRefused("restart"), 422, None),
        (NoSuchSession(), 404, None),
        (AnswerRefused("somebody is in between"), 502, None),
        (RelayUnreachable("offline"), 503, "10"),
        (refused("unknown_browser"), 403, None),
        (refused("browser_expired"), 403, None),
        (refused("unauthenticated"), 502, None),
        (refused("bad_offer"), 400, None),
        (refused("no_session"), 404, None),
        (refused("too_many_viewers"), 503, "10"),
        (refused("too_often", 7), 503, "7"),
    ],
)
async def test_says_what_went_wrong(http, sessions, refusal, status, retry_after):
    sessions.refusal = refusal
    answered = await http.post("/whep", content=SDP, headers=OFFER)
    assert (answered.status_code, answered.headers.get("retry-after")) == (status, retry_after)
    assert answered.text == f"{refusal}\n"


@pytest.mark.parametrize("text", ["192.168.1.5:8480", "[fe80::1]:8480", "8.8.8.8:80"])
def test_listens_to_other_machines_only_if_told_so(text: str):
    with pytest.raises(ListenError, match="--open-to-network"):
        parse_address(text, is_network_allowed=False)
    assert parse_address(text, is_network_allowed=True).hosts == {text}


@pytest.mark.parametrize(
    "text", ["0.0.0.0:8480", "[::]:8480", "here:80", "127.0.0.1", "127.0.0.1:0"]
)
def test_refuses_an_address_that_is_none(text: str):
    with pytest.raises(ListenError):
        parse_address(text, is_network_allowed=True)


def test_says_that_somebody_listens_there_already():
    with socket.create_server(("127.0.0.1", 0)) as first:
        address = parse_address(f"127.0.0.1:{first.getsockname()[1]}", is_network_allowed=False)
        with pytest.raises(ListenError, match="can't be listened at"):
            listen(address)


@contextlib.asynccontextmanager
async def relay_saying(
    answer: Callable[[httpx2.Request], httpx2.Response],
) -> AsyncIterator[RelayClient]:
    setup = PlayerSetup(
        relay="https://relay.test", device="a" * 20, identity_key="-", token="t" * 43
    )
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        yield RelayClient(http, setup)


async def test_shows_the_relay_its_viewer_token_and_nothing_else():
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"nonce": new_id()})

    async with relay_saying(answer) as relay:
        await relay.nonce()
    assert seen[0].url == f"https://relay.test/api/v1/doorbells/{'a' * 20}/nonce"
    assert seen[0].headers["authorization"] == f"Bearer {'t' * 43}"


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"nonce":"short"}', b"[" * 100_000, b'{"nonce":"' + b"a" * 300_000 + b'"}'],
)
async def test_refuses_what_no_relay_would_say(content: bytes):
    async with relay_saying(lambda _: httpx2.Response(200, content=content)) as relay:
        with pytest.raises(RelayUnreachable):
            await relay.nonce()


async def test_leaves_out_ice_servers_that_would_write_headers_of_their_own():
    servers = [
        {"urls": ["stun:stun.test", 'stun:x>; rel="urn:x'], "username": "", "credential": ""},
        {"urls": ["turn:turn.test"], "username": 'a"; rel="b', "credential": "c"},
        {"urls": ["http://turn.test"], "username": "", "credential": ""},
    ]
    body = msgspec.json.encode({"ice_servers": servers, "expires_ms": 1, "reach": "anywhere"})
    async with relay_saying(lambda _: httpx2.Response(200, content=body)) as relay:
        ice = await relay.ice()
    assert ice.ice_servers == [IceServer(urls=["stun:stun.test"])]


async def test_hands_on_the_doorbells_reason_in_words():
    body = {"error": {"code": "browser_expired", "message": "renew"}}
    async with relay_saying(lambda _: httpx2.Response(409, json=body)) as relay:
        with pytest.raises(RelayRefused, match="time is over"):
            await relay.nonce()
