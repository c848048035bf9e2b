"""Nonces, and the order in which what a browser signs is checked."""

from dataclasses import dataclass

import msgspec
import pytest

from firmware.enrolment.browsers import EnrolledBrowser
from firmware.live.errors import LiveError
from firmware.live.nonces import Nonces
from firmware.live.signature_checks import CLOCK_TOLERANCE_MS, SignatureChecks
from firmware.protocol.encoding import new_id
from firmware.protocol.live import BrowserOrder, EndPush, LiveCandidates, LiveOffer, SignedLive
from firmware.protocol.rights import SELF_RENEWED_MS, owners_right
from tests.fakes.clock import ManualClock
from tests.story.browser import SoftBrowser

DEVICE = "d" * 20
SESSION = "s" * 26


def nonces_at(clock: ManualClock, **limits: float) -> Nonces:
    return Nonces(clock=clock, **limits)


def test_a_nonce_counts_once() -> None:
    nonces = nonces_at(ManualClock())
    nonce = nonces.give()

    assert nonces.spend(nonce)
    assert not nonces.spend(nonce)


def test_a_nonce_that_was_never_given_does_not_count() -> None:
    assert not nonces_at(ManualClock()).spend(new_id())


def test_a_nonce_counts_for_two_minutes_by_the_monotonic_clock_alone() -> None:
    clock = ManualClock()
    nonces = nonces_at(clock)
    in_time, late = nonces.give(), nonces.give()
    clock.set_wall_ms(0)
    clock.advance(119)

    assert nonces.spend(in_time)
    clock.advance(1)
    assert not nonces.spend(late)


def test_whoever_asks_for_many_nonces_costs_bounded_memory_and_the_oldest_are_lost() -> None:
    nonces = nonces_at(ManualClock())
    given = [nonces.give() for _ in range(10_000)]

    assert [nonce for nonce in given if nonces.spend(nonce)] == given[-256:]


@dataclass
class Named:
    name: str


class Names(dict):
    """Implements `firmware.live.signature_checks.KnownOwners`."""

    def find(self, credential_id: str) -> Named | None:
        name = self.get(credential_id)
        return None if name is None else Named(name)


class Desk:
    """The checks of a doorbell with one owner's browser."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.browser = SoftBrowser.create("Phone")
        self.owners = Names({"credential": "Mary"})
        self.right = owners_right(self.clock.wall_ms())
        self.given_ms: int | None = self.clock.wall_ms()
        self.checks = SignatureChecks(
            device=DEVICE,
            nonces=nonces_at(self.clock),
            browsers=self,
            owners=self.owners,
            clock=self.clock,
        )

    def find(self, browser_id: str) -> EnrolledBrowser | None:
        if browser_id != self.browser.keys.id:
            return None
        return EnrolledBrowser(
            keys=self.browser.keys,
            credential_id="credential",
            right=self.right,
            given_ms=self.given_ms,
        )

    def offer(self, **fields: object) -> LiveOffer:
        offer = LiveOffer(
            device=DEVICE,
            session_id=SESSION,
            nonce=self.checks.give_nonce(),
            browser=self.browser.keys.id,
            purpose="live",
            sdp="v=0\r\n",
        )
        return msgspec.structs.replace(offer, **fields)

    def refusal_of(self, signed: SignedLive, session_id: str = SESSION) -> str:
        with pytest.raises(LiveError) as refused:
            self.checks.offer(session_id, signed)
        return refused.value.reason


def test_takes_what_an_enrolled_browser_signed_and_knows_whose_it_is() -> None:
    desk = Desk()
    checked = desk.checks.offer(SESSION, desk.browser.sign(desk.offer()))

    assert (checked.who.name, checked.who.browser_name) == ("Mary", "Phone")


def test_refuses_by_name_in_this_order() -> None:
    desk = Desk()
    stranger = SoftBrowser.create("Stranger")
    wrong_device = desk.offer(device="e" * 20, browser=stranger.keys.id)
    torn = desk.browser.sign(desk.offer())
    torn = SignedLive(text=torn.text + " ", signature=torn.signature)

    assert desk.refusal_of(torn) == "bad_form"
    assert desk.refusal_of(stranger.sign(wrong_device)) == "other_device"
    assert desk.refusal_of(stranger.sign(desk.offer(browser=stranger.keys.id))) == "unknown_browser"
    assert desk.refusal_of(stranger.sign(desk.offer(nonce=new_id()))) == "signature"
    assert desk.refusal_of(desk.browser.sign(desk.offer(nonce=new_id()))) == "nonce"


def test_a_stranger_can_not_use_up_a_nonce() -> None:
    desk = Desk()
    offer = desk.offer()
    assert desk.refusal_of(SoftBrowser.create("Stranger").sign(offer)) == "signature"

    assert desk.checks.offer(SESSION, desk.browser.sign(offer)).offer == offer


def test_an_offer_carried_for_another_session_uses_up_no_nonce() -> None:
    desk = Desk()
    signed = desk.browser.sign(desk.offer())
    assert desk.refusal_of(signed, session_id="t" * 26) == "bad_form"

    desk.checks.offer(SESSION, signed)


def test_a_browser_whose_owner_was_removed_is_unknown() -> None:
    desk = Desk()
    del desk.owners["credential"]

    assert desk.refusal_of(desk.browser.sign(desk.offer())) == "unknown_browser"


def test_a_session_key_counts_for_thirty_days() -> None:
    desk = Desk()
    desk.clock.advance(SELF_RENEWED_MS / 1000 - 1)
    desk.checks.offer(SESSION, desk.browser.sign(desk.offer()))
    desk.clock.advance(1)

    assert desk.refusal_of(desk.browser.sign(desk.offer())) == "browser_expired"


def test_a_clock_from_before_the_browser_was_enrolled_can_not_keep_it_alive() -> None:
    desk = Desk()
    desk.clock.set_wall_ms(desk.clock.wall_ms() - CLOCK_TOLERANCE_MS - 1)

    assert desk.refusal_of(desk.browser.sign(desk.offer())) == "browser_expired"


def test_a_browser_enrolled_while_the_time_was_not_known_counts() -> None:
    desk = Desk()
    desk.right, desk.given_ms = owners_right(None), None
    desk.clock.set_wall_ms(0)
    checked = desk.checks.offer(SESSION, desk.browser.sign(desk.offer()))

    assert checked.who.browser_name == "Phone"


def test_a_signature_over_another_kind_of_document_does_not_count() -> None:
    desk = Desk()
    order = BrowserOrder(
        device=DEVICE,
        nonce=desk.checks.give_nonce(),
        browser=desk.browser.keys.id,
        body=EndPush(),
    )
    signed = desk.browser.sign(order)
    assert desk.refusal_of(signed) == "bad_form"
    as_offer = SignedLive(
        text=desk.offer().encode().decode(), signature=desk.browser.sign(desk.offer()).signature
    )
    assert desk.refusal_of(as_offer) == "signature"

    assert desk.checks.order(signed).order == order


def test_an_order_counts_once() -> None:
    desk = Desk()
    signed = desk.browser.sign(
        BrowserOrder(
            device=DEVICE,
            nonce=desk.checks.give_nonce(),
            browser=desk.browser.keys.id,
            body=EndPush(),
        )
    )
    desk.checks.order(signed)
    with pytest.raises(LiveError, match="nonce"):
        desk.checks.order(signed)


def test_candidates_are_checked_like_an_offer_but_spend_nothing() -> None:
    desk = Desk()
    candidates = LiveCandidates(
        device=DEVICE,
        session_id=SESSION,
        nonce=new_id(),
        browser=desk.browser.keys.id,
        number=1,
        candidates=[],
        is_last=True,
    )
    signed = desk.browser.sign(candidates)

    assert desk.checks.candidates(SESSION, signed) == candidates
    assert desk.checks.candidates(SESSION, signed) == candidates
    with pytest.raises(LiveError, match="another session"):
        desk.checks.candidates("t" * 26, signed)
    with pytest.raises(LiveError, match="signature"):
        desk.checks.candidates(SESSION, SoftBrowser.create("Stranger").sign(candidates))
