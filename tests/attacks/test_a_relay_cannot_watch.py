"""A relay that wants to watch: it stands between an owner's browser and the doorbell, and lies.

It carries every word of both sides and may change, hold, repeat or invent any. It has a WebRTC
connection of its own. Whatever it does, the doorbell refuses it by name, sends no picture and
keeps no session; or the browser refuses the answer before it connects. Each attack is also seen to
succeed against a doorbell, or a browser, whose check was taken out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest
from aiortc import RTCSessionDescription
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.live.signature_checks import SignatureChecks, Who
from firmware.protocol.encoding import WireError, b64u, canonical, new_id
from firmware.protocol.live import (
    LiveAnswer,
    LiveCandidates,
    LiveOffer,
    SignedLive,
    check_answer,
    fingerprints_of,
    parse_unverified,
)
from firmware.protocol.rights import SELF_RENEWED_MS, Right, What, owners_right
from firmware.system.clock import SystemClock
from tests.fakes.porch import Porch, Refusal, Visitor, porch, visitor
from tests.fakes.waiting import eventually, in_time
from tests.story.browser import SoftBrowser

OTHER_DOORBELL = "b" * 20


def changed(signed: SignedLive, **fields: object) -> SignedLive:
    """Another text under the same signature: all that who lacks the key can do."""
    document = msgspec.json.decode(signed.text)
    return SignedLive(text=canonical({**document, **fields}).decode(), signature=signed.signature)


@dataclass
class Middle:
    """The relay, with a connection of its own, and the owner who only wants to look."""

    here: Porch
    owner: Visitor
    relay: Visitor

    async def honest_offer(self) -> SignedLive:
        """What the owner's browser signs."""
        self.owner.offered = await self.owner.offer()
        return self.owner.browser.sign(self.owner.offered)

    async def claims(self, **fields: object) -> LiveOffer:
        """An offer of the relay's own connection, with what it claims to be."""
        offer = await self.relay.offer(await self.relay.local_sdp())
        return msgspec.structs.replace(offer, **fields)

    async def give(self, signed: SignedLive) -> SignedLive:
        """Hand it to the doorbell, for the session that it names."""
        self.relay.session_id = parse_unverified(LiveOffer, signed).session_id
        return await self.relay.send(signed)

    async def watch(self, answer: SignedLive) -> list:
        """Connect the relay's own side, whatever the answer's signature says."""
        sdp = parse_unverified(LiveAnswer, answer).sdp
        await self.relay.peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        return await in_time(self.relay.frames(3))


Attack = Callable[[Middle], Awaitable[SignedLive]]


async def its_own_certificate(middle: Middle) -> SignedLive:
    signed = await middle.honest_offer()
    return changed(signed, sdp=await middle.relay.local_sdp())


async def its_own_fingerprint(middle: Middle) -> SignedLive:
    signed = await middle.honest_offer()
    sdp, own = middle.owner.offered.sdp, await middle.relay.local_sdp()
    for theirs, ours in zip(fingerprints_of(sdp), fingerprints_of(own), strict=True):
        sdp = sdp.replace(theirs.split()[1], ours.split()[1])
    return changed(signed, sdp=sdp)


async def its_own_candidate(middle: Middle) -> SignedLive:
    signed = await middle.honest_offer()
    line = "a=candidate:9 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    return changed(signed, sdp=middle.owner.offered.sdp + line)


async def another_purpose(middle: Middle) -> SignedLive:
    middle.owner.purpose = "clips"
    return changed(await middle.honest_offer(), purpose="live")


async def an_offer_of_yesterday(middle: Middle) -> SignedLive:
    signed = await middle.honest_offer()
    await middle.give(signed)
    await middle.owner.leave()
    return signed


async def a_nonce_of_yesterday(middle: Middle) -> SignedLive:
    """The browser signs twice with one nonce, because the relay gave it none that is new."""
    signed = await middle.honest_offer()
    await middle.give(signed)
    await middle.owner.leave()
    middle.relay.nonce, middle.relay.session_id = middle.owner.offered.nonce, new_id()
    middle.relay.browser = middle.owner.browser
    return middle.owner.browser.sign(await middle.claims())


async def a_nonce_of_its_own(middle: Middle) -> SignedLive:
    middle.relay.nonce = new_id()
    return middle.owner.browser.sign(await middle.claims(browser=middle.owner.browser.keys.id))


async def a_browser_of_its_own(middle: Middle) -> SignedLive:
    return middle.relay.browser.sign(await middle.claims())


async def the_owners_name_and_its_own_key(middle: Middle) -> SignedLive:
    offer = await middle.claims(browser=middle.owner.browser.keys.id)
    return middle.relay.browser.sign(offer)


async def an_expired_browser(middle: Middle) -> SignedLive:
    expired = middle.here.browsers.find(middle.owner.browser.keys.id)
    then_ms = SystemClock().wall_ms() - SELF_RENEWED_MS - 1
    middle.here.browsers.enrol(expired.keys, expired.credential_id, then_ms)
    return middle.owner.browser.sign(await middle.claims(browser=middle.owner.browser.keys.id))


async def a_browser_that_was_ended(middle: Middle) -> SignedLive:
    middle.here.browsers.end(middle.owner.browser.keys.id)
    return middle.owner.browser.sign(await middle.claims(browser=middle.owner.browser.keys.id))


async def an_offer_to_another_doorbell(middle: Middle) -> SignedLive:
    offer = await middle.claims(device=OTHER_DOORBELL, browser=middle.owner.browser.keys.id)
    return middle.owner.browser.sign(offer)


class WithoutSignature(SignatureChecks):
    def _by_browser(self, kind, signed):
        claimed = parse_unverified(kind, signed)
        return claimed, self.who(claimed.browser)


class WithoutNonce(SignatureChecks):
    def _spend(self, nonce: str) -> None:
        pass


class WithoutExpiry(SignatureChecks):
    def _check_time(self, right: Right, given_ms: int | None) -> None:
        pass


class WithoutDevice(SignatureChecks):
    def _check_device(self, device: str) -> None:
        pass


class WithoutEnrolment(SignatureChecks):
    """Lets anybody in."""

    def _by_browser(self, kind, signed):
        claimed = parse_unverified(kind, signed)
        return claimed, self.who(claimed.browser)

    def who(self, browser_id: str, what: What | None = None) -> Who:  # noqa: ARG002
        return Who(
            browser=browser_id,
            name="Anybody",
            browser_name="any",
            right=owners_right(None),
        )


@dataclass(frozen=True)
class Case:
    attack: Attack
    reason: str
    unchecked: type[SignatureChecks]
    sees: bool = True
    """Whether the relay's own connection gets pictures once the check is out."""


CASES = {
    case.attack.__name__: case
    for case in (
        Case(its_own_certificate, "signature", WithoutSignature),
        Case(its_own_fingerprint, "signature", WithoutSignature, sees=False),
        Case(its_own_candidate, "signature", WithoutSignature, sees=False),
        Case(another_purpose, "signature", WithoutSignature, sees=False),
        Case(an_offer_of_yesterday, "nonce", WithoutNonce, sees=False),
        Case(a_nonce_of_yesterday, "nonce", WithoutNonce),
        Case(a_nonce_of_its_own, "nonce", WithoutNonce),
        Case(a_browser_of_its_own, "unknown_browser", WithoutEnrolment),
        Case(the_owners_name_and_its_own_key, "signature", WithoutSignature),
        Case(an_expired_browser, "browser_expired", WithoutExpiry),
        Case(a_browser_that_was_ended, "unknown_browser", WithoutEnrolment),
        Case(an_offer_to_another_doorbell, "other_device", WithoutDevice),
    )
}


async def played_on(here: Porch, attack: Attack) -> tuple[Middle, SignedLive]:
    """Let the relay play it; returns the doorbell's answer, or raises Refusal."""
    middle = Middle(here, Visitor(here, here.enrol()), Visitor(here, SoftBrowser.create("Relay's")))
    try:
        return middle, await middle.give(await attack(middle))
    except Refusal:
        await middle.owner.peer.close()
        await middle.relay.peer.close()
        raise


@pytest.mark.parametrize("name", CASES)
async def test_the_doorbell_refuses(name: str) -> None:
    case = CASES[name]
    async with porch() as here:
        with pytest.raises(Refusal) as refused:
            await played_on(here, case.attack)

        assert refused.value.reason == case.reason
        assert here.live.sessions == 0
        assert here.live._sources.main.sink_count == 0
        assert here.live.watchers == ()


@pytest.mark.parametrize("name", CASES)
async def test_the_same_would_succeed_without_the_check(name: str) -> None:
    case = CASES[name]
    async with porch(checks=case.unchecked) as here:
        middle, answer = await played_on(here, case.attack)
        try:
            if case.sees:
                assert len(await middle.watch(answer)) == 3
            else:
                assert here.live.sessions == 1
        finally:
            await middle.owner.peer.close()
            await middle.relay.peer.close()


UNSIGNED = ("bad_form", "other_device", "unknown_browser", "signature")


async def test_a_browser_that_is_ended_while_its_session_opens_gets_none() -> None:
    async with porch(max_viewers=1) as here, visitor(here) as owner:
        await owner.send(owner.browser.sign(await owner.offer()))
        (first,) = here.live._visits.values()
        again = Visitor(here, owner.browser)
        signed = owner.browser.sign(await again.offer(await owner.local_sdp()))
        opening = asyncio.create_task(again.send(signed))
        while not first._ended.is_set():  # noqa: ASYNC110  # it makes room, signature checked
            await asyncio.sleep(0)
        here.browsers.end(owner.browser.keys.id)
        with pytest.raises(Refusal) as refused:
            await opening

        assert refused.value.reason == "unknown_browser"
        assert here.live.sessions == 0
        await again.peer.close()


async def test_one_changed_byte_anywhere_in_an_offer_is_refused() -> None:
    async with porch() as here, visitor(here) as owner:
        signed = owner.browser.sign(await owner.offer())
        for at in range(0, len(signed.text), max(1, len(signed.text) // 97)):
            other = "x" if signed.text[at] != "x" else "y"
            text = signed.text[:at] + other + signed.text[at + 1 :]
            with pytest.raises(Refusal) as refused:
                await owner.send(SignedLive(text=text, signature=signed.signature))
            assert refused.value.reason in (
                "bad_form",
                "signature",
                "other_device",
                "unknown_browser",
            )
        assert here.live.sessions == 0

        await owner.send(signed)  # nobody who can't sign uses up a nonce
        assert here.live.sessions == 1


def _by_itself(answer: LiveAnswer) -> SignedLive:
    """An answer that the relay signs with a key of its own."""
    text = answer.encode()
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(LiveAnswer.tag + text, ec.ECDSA(hashes.SHA256()))
    return SignedLive(text=text.decode(), signature=b64u(signature))


async def test_the_browser_refuses_an_answer_with_the_relays_certificate() -> None:
    async with porch() as here, visitor(here) as owner, visitor(here) as other:
        relays_sdp = await other.local_sdp()

        def under_the_doorbells_signature(signed: SignedLive) -> SignedLive:
            return changed(signed, sdp=relays_sdp)

        def under_its_own(signed: SignedLive) -> SignedLive:
            honest = parse_unverified(LiveAnswer, signed)
            own = msgspec.structs.replace(
                honest, sdp=relays_sdp, answer_fingerprints=fingerprints_of(relays_sdp)
            )
            return _by_itself(own)

        for owner.bring in (under_the_doorbells_signature, under_its_own):
            with pytest.raises(WireError, match="isn't signed by this doorbell"):
                await owner.watch()
            await owner.leave()
            owner.session_id = new_id()
            assert owner.peer.signalingState == "have-local-offer"
        assert here.live.watchers == ()


async def test_the_browser_refuses_an_answer_to_another_offer_or_too_late() -> None:
    async with porch() as here, visitor(here) as first, visitor(here) as owner:
        first.offered = await first.offer()
        old = await first.send(first.browser.sign(first.offered))
        owner.bring = lambda _: old
        with pytest.raises(WireError, match="another offer"):
            await owner.watch()

        with pytest.raises(WireError, match="time is over"):
            check_answer(
                old,
                here.keys.signer.spki,
                offer=first.offered,
                now_ms=SystemClock().wall_ms() + 61_000,
            )


RELAYS_CANDIDATE = "candidate:9 1 udp 2130706431 192.0.2.99 9 typ host"


async def test_a_candidate_of_the_relays_is_refused_and_never_tried() -> None:
    async with porch() as here, visitor(here) as owner:
        await owner.watch()
        signed: list[SignedLive] = []
        owner.carry_candidates = lambda one: asyncio.sleep(0, signed.append(one))
        await owner.trickle(1, "candidate:1 1 udp 1 127.0.0.1 9 typ host")
        del owner.carry_candidates
        forged = changed(signed[0], candidates=[RELAYS_CANDIDATE])
        with pytest.raises(Refusal) as refused:
            await owner.carry_candidates(forged)

        assert refused.value.reason == "signature"
        (visit,) = here.live._visits.values()
        await in_time(owner.frames(1))
        (transport,) = visit._peer._ice_transports()
        assert all(one.ip != "192.0.2.99" for one in transport.getRemoteCandidates())


async def test_candidates_count_for_their_own_session_browser_and_nonce_only() -> None:
    async with porch() as here, visitor(here) as owner, visitor(here) as other:
        await owner.watch()
        await other.watch()
        right = LiveCandidates(
            device=here.keys.device,
            session_id=owner.session_id,
            nonce=owner.offered.nonce,
            browser=owner.browser.keys.id,
            number=1,
            candidates=[RELAYS_CANDIDATE],
            is_last=False,
        )
        before = here.live._visits[owner.session_id]._peer._candidate_count
        replace = msgspec.structs.replace
        wrong = {
            "bad_form": other.browser.sign(replace(right, browser=other.browser.keys.id)),
            "nonce": owner.browser.sign(replace(right, nonce=await here.nonce())),
            "signature": other.browser.sign(right),
        }
        for reason, signed in wrong.items():
            with pytest.raises(Refusal) as refused:
                await owner.carry_candidates(signed)
            assert refused.value.reason == reason

        other_session = owner.browser.sign(replace(right, session_id=other.session_id))
        with pytest.raises(Refusal) as refused:
            await owner.carry_candidates(other_session)
        assert refused.value.reason == "bad_form"

        assert here.live._visits[owner.session_id]._peer._candidate_count == before
        await owner.carry_candidates(owner.browser.sign(right))
        assert here.live._visits[owner.session_id]._peer._candidate_count == before + 1


async def test_a_relay_that_stops_carrying_ends_nothing_and_learns_nothing() -> None:
    """Once connected, the relay has no part in it: it may go away, and pictures go on."""
    async with porch() as here, visitor(here) as owner:
        await owner.watch()
        await in_time(owner.frames(5))
        owner.here = None
        await in_time(owner.frames(30))
        owner.here = here

        await owner.leave()
        await eventually(lambda: here.live.sessions == 0)
