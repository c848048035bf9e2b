"""The checks of documents that browsers sign: offers, candidates, orders.

Pure but for the nonces, which it spends; no network, no aiortc. The order matters: form, device,
browser enrolled and not expired, signature, and only then the nonce, so that whoever can't sign
can't use up a nonce either. The SDP is checked by sdp_offer.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from firmware.live.errors import LiveError
from firmware.live.nonces import Nonces
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.live import (
    BrowserOrder,
    EndPush,
    LiveCandidates,
    LiveOffer,
    OrderBody,
    PlayReply,
    Purpose,
    SetPush,
    SignedLive,
    SnoozePush,
    check_by_browser,
    parse_unverified,
)
from firmware.protocol.rights import Right, What
from firmware.system.clock import Clock

CLOCK_TOLERANCE_MS = 60_000
"""NTP steps by less; a clock from before a browser was enrolled can't tell when it expires."""


class KnownBrowser(Protocol):
    """One enrolled browser, as `firmware.enrolment.browsers.EnrolledBrowser`."""

    @property
    def keys(self) -> BrowserKeys:
        """Its public keys and the name that its owner gave it."""
        ...

    @property
    def credential_id(self) -> str:
        """The passkey of the browser's owner."""
        ...

    @property
    def right(self) -> Right:
        """What it may do here, and until when."""
        ...

    @property
    def given_ms(self) -> int | None:
        """When it got that right; None as long as the time isn't known."""
        ...


class KnownBrowsers(Protocol):
    """The enrolled browsers (`firmware.enrolment.browsers.BrowserStore`)."""

    def find(self, browser_id: str, /) -> KnownBrowser | None:
        """Return one of them."""
        ...


class KnownOwner(Protocol):
    """An owner, as `firmware.protocol.grants.Owner`."""

    @property
    def name(self) -> str:
        """The owner's name."""
        ...


class KnownOwners(Protocol):
    """The owners (`firmware.enrolment.owners.OwnerStore`)."""

    def find(self, credential_id: str, /) -> KnownOwner | None:
        """Return the owner of a passkey."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The signer of a document, and its right.

    `name` is the owner's, or the guest's or player's own.
    """

    browser: str
    name: str
    browser_name: str
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOffer:
    """An offer that one of our browsers signed just now."""

    offer: LiveOffer
    who: Who


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOrder:
    """An order that one of our browsers signed just now."""

    order: BrowserOrder
    who: Who


RIGHT_OF: Mapping[Purpose, What] = {
    "live": "live",
    "clips": "history",
    "mirror": "history",
    "rings": "rings",
}
"""The part of a right that a session needs, by its purpose."""

D = TypeVar("D", LiveOffer, LiveCandidates, BrowserOrder)


class SignatureChecks:
    """Checks documents signed by this doorbell's owners' browsers. Each refusal is a LiveError."""

    def __init__(
        self,
        *,
        device: str,
        nonces: Nonces,
        browsers: KnownBrowsers,
        owners: KnownOwners,
        clock: Clock,
    ) -> None:
        self._device = device
        self._nonces = nonces
        self._browsers = browsers
        self._owners = owners
        self._clock = clock

    def give_nonce(self) -> str:
        """Return a nonce for the next signed document."""
        return self._nonces.give()

    def offer(self, session_id: str, signed: SignedLive) -> CheckedOffer:
        """Return the offer for this session; its nonce is spent."""
        offer, who = self._by_browser(LiveOffer, signed)
        check_may(who, RIGHT_OF[offer.purpose])
        if offer.session_id != session_id:
            raise LiveError("bad_form", "the offer is signed for another session")
        self._spend(offer.nonce)
        return CheckedOffer(offer=offer, who=who)

    def candidates(self, session_id: str, signed: SignedLive) -> LiveCandidates:
        """Return more candidates for this session; who holds it must compare browser and nonce."""
        candidates, _ = self._by_browser(LiveCandidates, signed)
        if candidates.session_id != session_id:
            raise LiveError("bad_form", "the candidates are signed for another session")
        return candidates

    def order(self, signed: SignedLive) -> CheckedOrder:
        """Return an order; its nonce is spent."""
        order, who = self._by_browser(BrowserOrder, signed)
        check_order(who, order.body)
        self._spend(order.nonce)
        return CheckedOrder(order=order, who=who)

    def who(self, browser_id: str, what: What | None = None) -> Who:
        """Return who has the browser, or raise LiveError if it may not do this (any more).

        `what` None: anything that it has a right to.
        """
        who = self._known(browser_id)[1]
        if what is not None:
            check_may(who, what)
        return who

    def owner(self, browser_id: str) -> Who:
        """Return the owner whose own browser it is, or raise LiveError."""
        who = self._known(browser_id)[1]
        check_owner(who)
        return who

    def _known(self, browser_id: str) -> tuple[KnownBrowser, Who]:
        browser = self._browsers.find(browser_id)
        owner = None if browser is None else self._owners.find(browser.credential_id)
        if browser is None or owner is None:
            raise LiveError("unknown_browser", "enrol this browser with your passkey first")
        self._check_time(browser.right, browser.given_ms)
        is_owners = browser.right.holder == "owner"
        return browser, Who(
            browser=browser_id,
            name=owner.name if is_owners else browser.keys.name,
            browser_name=browser.keys.name,
            right=browser.right,
        )

    def _check_time(self, right: Right, given_ms: int | None) -> None:
        """Raise LiveError unless the right counts now, as far as the doorbell knows the time."""
        now_ms, is_guests = self._clock.wall_ms(), right.holder == "guest"
        if is_guests and not self._clock.is_trusted():
            detail = "the doorbell doesn't know the time yet, so no guest is let in; try later"
            raise LiveError("guest_clock", detail)
        if right.is_over(now_ms):
            if is_guests:
                raise LiveError("right_over", "your time here is over")
            raise LiveError("browser_expired", "renew this browser with your passkey")
        if is_guests and not right.has_begun(now_ms):
            raise LiveError("not_yet", "your time here hasn't begun yet")
        if given_ms is not None and now_ms < given_ms - CLOCK_TOLERANCE_MS:
            detail = "the doorbell's clock is behind and can't judge it; wait until it is set"
            raise LiveError("browser_expired", detail)

    def _by_browser(self, kind: type[D], signed: SignedLive) -> tuple[D, Who]:
        try:
            claimed = parse_unverified(kind, signed)
        except (WireError, UnicodeEncodeError) as error:
            raise LiveError("bad_form", str(error)) from error
        self._check_device(claimed.device)
        browser, who = self._known(claimed.browser)
        try:
            return check_by_browser(kind, signed, unb64u(browser.keys.session_key)), who
        except WireError as error:
            detail = "not signed by this browser: somebody in between changed what it signed"
            raise LiveError("signature", detail) from error

    def _check_device(self, device: str) -> None:
        if device != self._device:
            raise LiveError("other_device", "it is signed for another doorbell")

    def _spend(self, nonce: str) -> None:
        if not self._nonces.spend(nonce):
            raise LiveError("nonce", "unknown, used or too old: ask for another and sign again")


def check_may(who: Who, what: What) -> None:
    """Raise LiveError unless the right has this in it."""
    if not who.right.allows(what):
        raise LiveError("not_allowed", f"your right here has no part {what!r}; ask an owner")


def check_owner(who: Who) -> None:
    """Raise LiveError unless this is an owner's own browser."""
    if who.right.holder != "owner":
        raise LiveError("not_allowed", "only an owner can do this")


def check_order(who: Who, body: OrderBody) -> None:
    """Raise LiveError unless the holder of this right may give this order."""
    match body:
        case SetPush():
            check_may(who, "rings")
            if "emergency" in body.kinds or body.summary or body.silent_after_minutes:
                check_owner(who)
        case SnoozePush():
            check_may(who, "rings")
        case PlayReply():
            check_may(who, "live")
        case EndPush():
            pass
        case _:  # whoever forgets an order here makes it an owner's
            check_owner(who)
