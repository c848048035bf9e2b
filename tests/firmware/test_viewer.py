"""The gateway's session with a doorbell: what it signs, what it believes, and what it keeps."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from firmware.companion.viewer.checks import run_checks
from firmware.companion.viewer.errors import (
    AnswerRefused,
    FolderError,
    FragmentRefused,
    NoSuchSession,
    OfferRefused,
    RelayRefused,
)
from firmware.companion.viewer.folder import KEYS_NAME, Folder
from firmware.companion.viewer.gateway import MAX_SESSIONS, Gateway
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.sdp_fragment import Fragment, parse_fragment
from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.encoding import WireError, b64u, new_id, unb64u
from firmware.protocol.live import (
    LiveAnswer,
    LiveCandidates,
    LiveOffer,
    SignedLive,
    check_by_browser,
    parse_unverified,
)
from firmware.protocol.players import (
    PlayerSetup,
    code_text,
    parse_code_text,
    parse_setup_text,
    setup_text,
)
from firmware.protocol.rights import SELF_RENEWED_MS
from tests.fakes.porch import Porch, porch
from tests.fakes.straight_relay import StraightRelay
from tests.fakes.waiting import eventually, in_time
from tests.vectors.make_players import PATH, player_vectors

TOKEN = "t" * 43
CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host"


@dataclass
class Hall:
    """A player on a wall, its gateway, and the relay in between."""

    here: Porch
    keys: PlayerKeys
    setup: PlayerSetup
    relay: StraightRelay
    gateway: Gateway
    now_s: float = 0.0

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return self.now_s


def setup_for(here: Porch) -> PlayerSetup:
    return PlayerSetup(
        relay="http://relay.test",
        device=here.keys.device,
        identity_key=b64u(here.keys.signer.spki),
        token=TOKEN,
    )


@asynccontextmanager
async def hall(*, is_let_in: bool = True, **limits: float) -> AsyncIterator[Hall]:
    async with porch(**limits) as here:
        keys, setup, relay = PlayerKeys.make("Hall wall"), setup_for(here), StraightRelay(here)
        at = Hall(here, keys, setup, relay, gateway=None)  # type: ignore[arg-type]
        at.gateway = Gateway(
            keys=keys,
            setup=setup,
            relay=relay,
            clock=at,
        )
        if is_let_in:
            let_in(at)
        yield at


def let_in(at: Hall, *, ago_ms: int = 0) -> None:
    credential_id = at.here.owners.owners[0].passkey.credential_id
    at.here.browsers.enrol(at.keys.public, credential_id, time.time_ns() // 1_000_000 - ago_ms)


@asynccontextmanager
async def player() -> AsyncIterator[RTCPeerConnection]:
    """Any WebRTC player, with an offer that says who it is by its certificate."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    try:
        yield peer
    finally:
        await peer.close()


def other_answer(signed: SignedLive, **changes: object) -> SignedLive:
    answer = msgspec.structs.replace(parse_unverified(LiveAnswer, signed), **changes)
    return msgspec.structs.replace(signed, text=answer.encode().decode())


async def test_pictures_reach_a_player_that_knows_nothing_of_doorward():
    async with hall() as at, player() as peer:
        opened = await at.gateway.open(peer.localDescription.sdp)
        answer = RTCSessionDescription(sdp=opened.sdp, type="answer")
        await peer.setRemoteDescription(answer)
        track = peer.getTransceivers()[0].receiver.track
        frames = [await in_time(track.recv()) for _ in range(3)]
        assert frames[-1].width > 0
        (watcher,) = at.here.live.watchers
        assert watcher.who.browser_name == "Hall wall"
        await at.gateway.close(opened.key)
        await eventually(lambda: at.here.live.sessions == 0)


async def test_nothing_is_shown_to_keys_that_the_owner_did_not_let_in():
    async with hall(is_let_in=False) as at, player() as peer:
        with pytest.raises(RelayRefused, match="doorward-view code") as refused:
            await at.gateway.open(peer.localDescription.sdp)
        assert refused.value.code == "unknown_browser"
        assert at.here.live.sessions == 0


async def test_says_what_to_do_when_the_thirty_days_are_over():
    async with hall(is_let_in=False) as at, player() as peer:
        let_in(at, ago_ms=SELF_RENEWED_MS + 1000)
        with pytest.raises(RelayRefused, match=r"time is over.*doorward-view code"):
            await at.gateway.open(peer.localDescription.sdp)


async def test_a_viewer_token_with_other_keys_opens_nothing():
    """Whoever holds the token but not the session key, such as the relay, names the player's id."""
    async with hall() as at, player() as peer:
        thief = PlayerKeys.make("Thief")

        def signed_by_thief(signed: SignedLive) -> SignedLive:
            return thief.sign(parse_unverified(LiveOffer, signed))

        at.relay.carry = signed_by_thief
        with pytest.raises(RelayRefused) as refused:
            await at.gateway.open(peer.localDescription.sdp)
        assert refused.value.code == "signature"
        assert at.here.live.sessions == 0


async def test_refuses_an_answer_that_another_key_signed(tmp_path: Path):
    other = load_or_make_keys(tmp_path)

    async with hall() as at, player() as peer:

        def forged(signed: SignedLive) -> SignedLive:
            text = signed.text.encode()
            signature = other.signer.sign(LiveAnswer.tag + text)
            return SignedLive(text=signed.text, signature=b64u(signature))

        at.relay.bring = forged
        with pytest.raises(AnswerRefused, match="isn't signed by this doorbell"):
            await at.gateway.open(peer.localDescription.sdp)
        assert len(at.relay.closed) == 1
        await eventually(lambda: at.here.live.sessions == 0)


async def test_refuses_an_answer_with_another_certificate_in_it():
    async with hall() as at, player() as peer:

        def swapped(signed: SignedLive) -> SignedLive:
            sdp = parse_unverified(LiveAnswer, signed).sdp
            line = next(one for one in sdp.splitlines() if one.startswith("a=fingerprint:sha-256"))
            return other_answer(signed, sdp=sdp.replace(line, line[:-2] + "00"))

        at.relay.bring = swapped
        with pytest.raises(AnswerRefused):
            await at.gateway.open(peer.localDescription.sdp)


async def test_refuses_an_answer_to_an_earlier_offer():
    kept: list[SignedLive] = []
    async with hall() as at, player() as peer:
        at.relay.bring = lambda signed: kept.append(signed) or signed
        await at.gateway.open(peer.localDescription.sdp)
        at.relay.bring = lambda _: kept[0]
        with pytest.raises(AnswerRefused, match="another offer"):
            await at.gateway.open(peer.localDescription.sdp)


async def test_signs_once_more_when_the_doorbell_has_forgotten_the_nonce():
    async with hall() as at, player() as peer:
        at.relay.nonces = [new_id()]
        await at.gateway.open(peer.localDescription.sdp)
        assert len(at.relay.offered) == 2
        at.relay.nonces = [new_id(), new_id()]
        with pytest.raises(RelayRefused) as refused:
            await at.gateway.open(peer.localDescription.sdp)
        assert refused.value.code == "nonce"


@pytest.mark.parametrize(
    "sdp", ["", "v=0\r\n", "v=0\r\nm=video 9 X 96\r\na=rtpmap:96 VP8/90000\r\n"]
)
async def test_refuses_an_offer_that_cannot_take_the_doorbells_video(sdp: str):
    async with hall() as at:
        with pytest.raises(OfferRefused):
            await at.gateway.open(sdp)
        assert at.relay.offered == []


async def test_what_is_trickled_is_signed_in_pieces_and_counted():
    async with hall() as at, player() as peer:
        opened = await at.gateway.open(peer.localDescription.sdp)
        lines = tuple(f"{CANDIDATE} generation {number}" for number in range(40))
        fragment = Fragment(ufrags=frozenset(), candidates=lines, is_last=True)
        await at.gateway.trickle(opened.key, fragment)
        sent = [parse_unverified(LiveCandidates, signed) for signed in at.relay.trickled]
        assert [(one.number, len(one.candidates), one.is_last) for one in sent] == [
            (1, 32, False),
            (2, 8, True),
        ]
        end = Fragment(ufrags=frozenset(), candidates=(), is_last=True)
        for _ in range(14):
            await at.gateway.trickle(opened.key, end)
        with pytest.raises(FragmentRefused, match="16"):
            await at.gateway.trickle(opened.key, end)


async def test_refuses_an_ice_restart():
    async with hall() as at, player() as peer:
        opened = await at.gateway.open(peer.localDescription.sdp)
        restart = Fragment(ufrags=frozenset({"another"}), candidates=(CANDIDATE,), is_last=False)
        with pytest.raises(FragmentRefused, match="offer again"):
            await at.gateway.trickle(opened.key, restart)
        assert at.relay.trickled == []


async def test_a_session_is_forgotten_when_its_time_is_over():
    async with hall(session_s=60.0) as at, player() as peer:
        opened = await at.gateway.open(peer.localDescription.sdp)
        at.now_s += 59
        end = Fragment(ufrags=frozenset(), candidates=(), is_last=True)
        await at.gateway.trickle(opened.key, end)
        at.now_s += 2
        with pytest.raises(NoSuchSession):
            await at.gateway.close(opened.key)


async def test_a_player_too_many_ends_the_one_that_came_first():
    async with hall(max_viewers=2 * MAX_SESSIONS) as at, player() as peer:
        opened = [await at.gateway.open(peer.localDescription.sdp) for _ in range(MAX_SESSIONS)]
        assert at.relay.closed == []
        opened.append(await at.gateway.open(peer.localDescription.sdp))
        assert len(at.relay.closed) == 1
        with pytest.raises(NoSuchSession):
            await at.gateway.close(opened[0].key)
        await at.gateway.aclose()
        assert len(at.relay.closed) == MAX_SESSIONS + 1
        await eventually(lambda: at.here.live.sessions == 0)


@pytest.mark.parametrize(("is_let_in", "ok"), [(True, [True] * 3), (False, [True, True, False])])
async def test_check_says_whether_the_doorbell_lets_this_player_in(is_let_in: bool, ok: list[bool]):
    async with hall(is_let_in=is_let_in) as at:
        findings = await run_checks(at.keys, at.setup, at.relay)
        assert [finding.is_ok for finding in findings] == ok
        assert at.here.live.sessions == 0


def test_keys_and_set_up_are_kept_for_this_user_alone(tmp_path: Path):
    folder = Folder(tmp_path / "view")
    made = folder.make_keys("Hall wall")
    assert folder.keys().public == made.public
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}
    with pytest.raises(FolderError, match="--replace"):
        folder.make_keys("Another")
    assert folder.make_keys("Another", is_replacing=True).public != made.public


def test_refuses_keys_that_others_may_read(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.make_keys("Hall wall")
    (tmp_path / KEYS_NAME).chmod(0o640)
    with pytest.raises(FolderError, match="chmod 600"):
        folder.keys()


@pytest.mark.parametrize(("change", "say"), [(b"{}", "damaged"), (b"x" * 9000, "too large")])
def test_says_that_keys_are_damaged(tmp_path: Path, change: bytes, say: str):
    folder = Folder(tmp_path)
    folder.make_keys("Hall wall")
    (tmp_path / KEYS_NAME).write_bytes(change)
    with pytest.raises(FolderError, match=say):
        folder.keys()


def test_refuses_a_set_up_text_whose_key_is_another_doorbells(tmp_path: Path):
    one, other = load_or_make_keys(tmp_path / "a"), load_or_make_keys(tmp_path / "b")
    setup = PlayerSetup(
        relay="https://relay.test",
        device=one.device,
        identity_key=b64u(other.signer.spki),
        token=TOKEN,
    )
    with pytest.raises(WireError, match="another doorbell"):
        parse_setup_text(setup_text(setup))


@pytest.mark.parametrize(
    "relay", ["ftp://relay.test", "https://relay.test/path", "https://a@relay.test", "relay.test"]
)
def test_refuses_a_set_up_text_that_leads_somewhere_odd(tmp_path: Path, relay: str):
    keys = load_or_make_keys(tmp_path)
    setup = PlayerSetup(
        relay=relay, device=keys.device, identity_key=b64u(keys.signer.spki), token=TOKEN
    )
    with pytest.raises(WireError):
        parse_setup_text(setup_text(setup))


def test_code_and_set_up_text_are_those_of_the_golden_vectors():
    assert json.loads(PATH.read_text("utf-8")) == player_vectors()


def test_a_pasted_code_may_be_broken_into_lines():
    keys = PlayerKeys.make("Hall wall").public
    text = code_text(keys)
    assert parse_code_text(f"  {text[:50]}\n {text[50:]}\r\n") == keys


@given(st.data())
def test_a_code_that_was_cut_or_changed_is_refused_or_another(data: st.DataObject):
    keys = PlayerKeys.make("Hall wall").public
    text = code_text(keys)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(codec="ascii")) + text[at + 1 :]
    for tried in (text[:at], changed):
        try:
            found = parse_code_text(tried)
        except WireError:
            continue
        assert (found == keys) == (tried == text)


@given(st.binary(max_size=400))
def test_a_fragment_is_parsed_or_refused(data: bytes):
    try:
        fragment = parse_fragment(data)
    except FragmentRefused:
        return
    assert all(one.startswith("candidate:") for one in fragment.candidates)


def test_takes_the_candidates_of_a_fragment_once_each():
    lines = ["a=ice-ufrag:abcd", "a=ice-pwd:x", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0"]
    section = [f"a={CANDIDATE}", "a=end-of-candidates", "m=video 9 X 0", "a=mid:1"]
    text = "\r\n".join([*lines, *section, f"a={CANDIDATE}", ""])
    assert parse_fragment(text.encode()) == Fragment(
        ufrags=frozenset({"abcd"}), candidates=(CANDIDATE,), is_last=True
    )


@pytest.mark.parametrize(
    "data",
    [b"hello", "a=candidate:å".encode(), b"a=candidate:" + b"1" * 600, b"a=x\r\n" * 9000],
)
def test_refuses_what_is_no_fragment(data: bytes):
    with pytest.raises(FragmentRefused):
        parse_fragment(data)


def test_a_signature_is_over_the_very_text_that_is_sent():
    keys = PlayerKeys.make("Hall wall")
    document = LiveCandidates(
        device="a" * 20,
        session_id=new_id(),
        nonce=new_id(),
        browser=keys.public.id,
        number=1,
        candidates=[CANDIDATE],
        is_last=False,
    )
    signed = keys.sign(document)
    point = unb64u(keys.public.session_key)
    assert check_by_browser(LiveCandidates, signed, point) == document
    changed = msgspec.structs.replace(signed, text=signed.text.replace(CANDIDATE, CANDIDATE[:-1]))
    with pytest.raises(WireError):
        check_by_browser(LiveCandidates, changed, point)
