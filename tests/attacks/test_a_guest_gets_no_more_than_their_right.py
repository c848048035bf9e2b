"""A guest at the doorbell itself: what they were given, while it lasts, by its own trusted clock.

Each test was seen to fail with the check that it names taken out.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.consent.facts import BrowserFact
from firmware.enrolment.browsers import EnrolledBrowser
from firmware.live.errors import LiveError
from firmware.live.nonces import Nonces
from firmware.live.permitted_clips import PermittedClips
from firmware.live.signature_checks import SignatureChecks
from firmware.notes.check_ins import CheckIns
from firmware.notes.daily_summaries import DailySummaries
from firmware.notes.emergency_pushes import EmergencyPushes
from firmware.notes.pushes import Pushes
from firmware.notes.sealed_notes import Notes
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import EndBrowser, GiveRight
from firmware.protocol.encoding import b64u, new_id, unb64u
from firmware.protocol.events import GuestGone, GuestLet, Note
from firmware.protocol.live import (
    BrowserOrder,
    DailyTime,
    EndPush,
    LiveOffer,
    OrderBody,
    PlayReply,
    SetPush,
    SnoozePush,
    WantDoorLink,
)
from firmware.protocol.notes import BrowserEnrolled, Nothing, StatementDone, open_note
from firmware.protocol.rights import DAY_MS, MAX_RIGHT_MS, Right, What, owners_right
from firmware.system.clock import SystemClock
from tests.fakes.clock import ManualClock
from tests.fakes.consent_world import NOW_MS, make_world
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.porch import CLIP_ID, OWNER, STARTED_MS, OneClip, porch, visitor
from tests.fakes.rights import guest, own_browser, player
from tests.fakes.sample_keys import PUSH_KEY
from tests.fakes.waiting import eventually
from tests.story.browser import SoftBrowser

DEVICE = "d" * 20
PUSH = SetPush(
    p256dh=PUSH_KEY,
    auth=b64u(bytes(16)),
    kinds=["pressed"],
    quiet=None,
    summary=None,
    silent_after_minutes=None,
)
NOON = DailyTime(minute=720, time_zone="UTC")
OF_OWNERS = {
    "emergency": msgspec.structs.replace(PUSH, kinds=["pressed", "emergency"]),
    "summary": msgspec.structs.replace(PUSH, summary=NOON),
    "silence": msgspec.structs.replace(PUSH, silent_after_minutes=30),
}
"""Subscriptions to what is told to owners alone."""


class Desk:
    """The checks of a doorbell that one browser has a right at."""

    def __init__(self, *what: What, holder: str = "guest") -> None:
        self.clock = ManualClock()
        self.browser = SoftBrowser.create("Gus")
        now_ms = self.clock.wall_ms()
        self.right = Right(
            holder=holder, what=sorted(what), from_ms=now_ms, until_ms=now_ms + DAY_MS
        )
        self.checks = SignatureChecks(
            device=DEVICE,
            nonces=Nonces(clock=self.clock),
            browsers=self,
            owners=self,
            clock=self.clock,
        )

    name = "Ada"

    def find(self, wanted: str) -> "EnrolledBrowser | Desk | None":
        """Implements `KnownBrowsers`, and `KnownOwners` with one owner."""
        if wanted == "owner":
            return self
        if wanted != self.browser.keys.id:
            return None
        return EnrolledBrowser(
            keys=self.browser.keys,
            credential_id="owner",
            right=self.right,
            given_ms=self.right.from_ms,
        )

    def offer(self, purpose: str = "live") -> None:
        offer = LiveOffer(
            device=DEVICE,
            session_id="s" * 26,
            nonce=self.checks.give_nonce(),
            browser=self.browser.keys.id,
            purpose=purpose,
            sdp="v=0\r\n",
        )
        self.checks.offer("s" * 26, self.browser.sign(offer))

    def order(self, body: OrderBody) -> None:
        order = BrowserOrder(
            device=DEVICE, nonce=self.checks.give_nonce(), browser=self.browser.keys.id, body=body
        )
        self.checks.order(self.browser.sign(order))


def refused(reason: str):
    return pytest.raises(LiveError, match=f"^{reason}:")


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


# What a session key may ask for


@pytest.mark.parametrize(
    ("what", "purpose"), [("live", "live"), ("history", "clips"), ("rings", None)]
)
def test_an_offer_needs_its_part_of_the_right(what: What, purpose: str | None) -> None:
    """Seen to fail without `check_may` in `SignatureChecks.offer`."""
    desk = Desk(what)
    for wanted in ("live", "clips"):
        if wanted == purpose:
            desk.offer(wanted)
        else:
            with refused("not_allowed"):
                desk.offer(wanted)


def test_a_player_for_live_view_gets_no_recordings_and_no_notes() -> None:
    """Seen to fail as above (a player's key used to be a whole browser)."""
    desk = Desk("live", holder="player")
    desk.offer("live")
    with refused("not_allowed"):
        desk.offer("clips")
    with refused("not_allowed"):
        desk.order(PUSH)


def test_a_guest_gives_no_order_that_is_an_owners() -> None:
    """Seen to fail without `check_order`."""
    desk = Desk("history", "live", "rings")
    for allowed in (PUSH, EndPush(), PlayReply(event_id=new_id(), reply_id=None)):
        desk.order(allowed)
    with refused("not_allowed"):
        desk.order(WantDoorLink())
    with refused("not_allowed"):
        desk.checks.owner(desk.browser.keys.id)


def test_a_right_ends_and_begins_by_the_doorbells_clock() -> None:
    """Seen to fail without `_check_time`."""
    desk = Desk("live")
    desk.clock.advance(DAY_MS / 1000)
    with refused("right_over"):
        desk.offer()
    early = Desk("live")
    early.right = msgspec.structs.replace(early.right, from_ms=early.clock.wall_ms() + 1)
    with refused("not_yet"):
        early.offer()


def test_without_a_trusted_clock_no_guest_is_let_in_but_owners_are() -> None:
    """Seen to fail without `is_trusted` in `_check_time`, and in `EnrolledBrowser.may`."""
    desk = Desk("live", "rings")
    desk.clock.trusted = False
    with refused("guest_clock"):
        desk.offer()
    known = desk.find(desk.browser.keys.id)
    assert isinstance(known, EnrolledBrowser)
    now_ms = desk.clock.wall_ms()
    assert not known.may("rings", now_ms, is_clock_trusted=False)
    assert known.may("rings", now_ms, is_clock_trusted=True)
    desk.right = owners_right(now_ms)
    desk.offer()


# Recordings


async def test_recordings_from_before_the_right_arent_there() -> None:
    """Seen to fail without the comparison in each method of `PermittedClips`."""
    desk, shelf = Desk("history"), OneClip()
    desk.right = msgspec.structs.replace(desk.right, from_ms=STARTED_MS + 1)
    desk.clock.advance(1)
    permitted = PermittedClips(shelf, browser=desk.browser.keys.id, checks=desk.checks)
    (clip,) = shelf.newest(9)
    assert clip.started_ms < desk.right.from_ms
    assert list(permitted.newest(9)) == []
    assert await permitted.plain_mp4(CLIP_ID) is None
    assert await permitted.read_gops(CLIP_ID, 0) is None

    desk.right = msgspec.structs.replace(desk.right, from_ms=clip.started_ms)
    assert list(permitted.newest(9)) == [clip]
    assert await permitted.plain_mp4(CLIP_ID) is not None

    desk.right = msgspec.structs.replace(desk.right, what=["live"])
    with refused("not_allowed"):
        permitted.newest(9)


# A session that runs


class WoundClock(SystemClock):
    """A system clock that a test winds on, and takes the trust from."""

    ahead_ms = 0
    trusted = True

    def wall_ms(self) -> int:
        return super().wall_ms() + self.ahead_ms

    def is_trusted(self) -> bool:
        return self.trusted


@pytest.mark.parametrize("how", ["over", "untrusted", "less"])
async def test_a_running_session_ends_within_seconds_of_the_right(how: str) -> None:
    """Seen to fail without `_has_right` in `LiveSession._until_over`."""
    clock = WoundClock()
    async with porch(clock=clock) as here:
        gus, credential_id = SoftBrowser.create("Gus"), here.add_owner(f"{OWNER} two")
        now_ms = clock.wall_ms()
        right = Right(holder="guest", what=["live"], from_ms=now_ms, until_ms=now_ms + DAY_MS)
        here.browsers.give(gus.keys, credential_id, right, now_ms)
        async with visitor(here, gus) as someone:
            await someone.watch()
            await someone.frames(1)
            if how == "over":
                clock.ahead_ms = DAY_MS
            elif how == "untrusted":
                clock.trusted = False
            else:
                less = msgspec.structs.replace(right, what=["rings"])
                here.browsers.give(gus.keys, credential_id, less, now_ms)
            await eventually(lambda: not here.live.sessions)


async def test_a_guest_keeps_no_owner_out() -> None:
    """Seen to fail without guests in `LiveSessions._make_room`."""
    clock = WoundClock()
    async with porch(clock=clock, max_viewers=1) as here:
        gus, phone = SoftBrowser.create("Gus"), here.enrol("Phone")
        credential_id, now_ms = here.owners.owners[0].passkey.credential_id, clock.wall_ms()
        right = Right(holder="guest", what=["live"], from_ms=now_ms, until_ms=now_ms + DAY_MS)
        here.browsers.give(gus.keys, credential_id, right, now_ms)
        async with visitor(here, gus) as first, visitor(here, phone) as second:
            await first.watch()
            await first.frames(1)
            await second.watch()
            await second.frames(1)
            assert [one.who.name for one in here.live.watchers] == [OWNER]


# What widens


def known_as(terms: GiveRight):
    world = make_world()
    credential_id = world.owner.key.credential_id
    fact = BrowserFact(credential_id=credential_id, keys=terms.browser, right=terms.right)
    return world.with_facts(browsers={terms.browser.id: fact})


def changed(terms: GiveRight, **changes: object) -> GiveRight:
    return msgspec.structs.replace(terms, **changes)


@pytest.mark.parametrize(
    ("changes", "is_widening"),
    [
        ({}, False),
        ({"what": ["live"]}, False),
        ({"until_ms": NOW_MS + DAY_MS}, False),
        ({"what": ["history", "live", "rings"]}, True),
        ({"until_ms": NOW_MS + 7 * DAY_MS + 1}, True),
        ({"holder": "player"}, True),
        ({"holder": "owner", "what": ["history", "live", "rings"], "from_ms": 0}, True),
        ({"from_ms": 0}, True),
    ],
)
def test_more_for_a_known_guest_waits_at_the_door(changes, is_widening) -> None:
    """Seen to fail with `is_wider` answering False."""
    terms = guest(SoftBrowser.create("Gus").keys)
    world = known_as(terms)
    assert world.decision(changed(terms, **changes)).is_widening is is_widening


def test_an_owners_browser_is_renewed_for_thirty_days_and_no_longer_without_the_door() -> None:
    terms = own_browser(SoftBrowser.create("Phone").keys)
    world = known_as(terms)
    assert not world.decision(terms).is_widening
    assert world.decision(changed(terms, until_ms=NOW_MS + 31 * DAY_MS)).is_widening


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (lambda keys: guest(keys, until_ms=NOW_MS + MAX_RIGHT_MS + 2 * DAY_MS), "right"),
        (lambda keys: guest(keys, until_ms=NOW_MS - 1, from_ms=0), "right"),
        (lambda keys: guest(keys, "record"), "right"),
        (lambda keys: player(keys, until_ms=NOW_MS + MAX_RIGHT_MS + 2 * DAY_MS), "right"),
        (lambda keys: changed(own_browser(keys), what=["live"]), "right"),
        (lambda keys: changed(guest(keys), what=["rings", "live"]), "right"),
        (guest, "newcomer"),
    ],
)
def test_a_right_that_nobody_can_have_is_refused(terms, reason) -> None:
    """Seen to fail without `check_right`, the 400 days, and the demand of a pairing."""
    world = make_world()
    answer = world.judged(terms(SoftBrowser.create("Gus").keys))
    assert answer.reason == reason


# The household


async def let_in(rig: DeskRig, keys: BrowserKeys, *what: What) -> str:
    """Let a guest in as an owner does: paired, signed, confirmed. Returns the pairing's id."""
    desk = rig.desk()
    code = rig.paired(keys).reveal.code
    terms = guest(keys, *what, commitment=code.commitment, from_ms=0)
    await rig.ask(desk, rig.sign(terms))
    (asked,) = desk.waiting()
    assert await desk.confirm(asked.statement.digest) is None
    return str(terms.pairing_id)


async def test_a_guests_right_begins_at_the_confirmation_whatever_was_signed(rig) -> None:
    """Seen to fail without the later of both in `BrowserStore.give`."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys, "history", "live")
    known = rig.browsers.find(gus.keys.id)
    assert known is not None
    assert known.right.from_ms >= NOW_MS
    (told,) = rig.told_of(GuestLet)
    assert (told.browser, told.what) == (gus.keys.id, ["history", "live"])


async def test_a_guest_gets_as_many_notes_as_an_owners_browser_and_all_but_one_empty(rig) -> None:
    """Seen to fail with every browser's note told to guests in `_tell_owner`."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys)
    rig.told.clear()
    desk = rig.desk()
    await rig.ask(desk, rig.sign(own_browser(SoftBrowser.create("Laptop").keys)))
    sizes = {len(note.sealed) for note in rig.told_of(Note)}
    assert len(sizes) == 1
    to_gus = rig.notes_to(gus)
    assert len(to_gus) == len(rig.notes())
    assert set(map(type, to_gus)) == {Nothing}


async def test_a_guest_is_told_of_their_own_right(rig) -> None:
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys)
    told = [one for one in rig.notes_to(gus) if isinstance(one, BrowserEnrolled)]
    assert [(one.browser, one.holder) for one in told] == [(gus.keys.id, "guest")]
    assert told[0] in rig.notes()


async def test_any_owner_ends_a_guest_at_once_and_the_relay_is_told(rig) -> None:
    """Seen to fail without `_tell_gone`."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys)
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=gus.keys.id))))
    assert rig.browsers.find(gus.keys.id) is None
    assert rig.ended_browsers == [gus.keys.id]
    assert rig.told_of(GuestGone) == [GuestGone(browser=gus.keys.id)]


async def test_a_guest_is_told_of_no_request(rig) -> None:
    """Seen to fail without `is_owners` in `Notes.for_slot`."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys)
    rig.desk()
    notes = Notes(
        keys=rig.keys, owners=rig.owners, browsers=rig.browsers, clock=rig, events=rig.events
    )
    assert gus.keys.id in notes.turn(0)
    assert gus.keys.id not in notes.owners_turn(0)
    body = StatementDone(statement_digest="ab" * 32, kind="decline")
    for note in await notes.for_slot(0, {gus.keys.id: body}):
        if note.browser == gus.keys.id:
            key, spki = gus.viewing_private_key, rig.keys.signer.spki
            assert open_note(unb64u(note.sealed), key, spki).body == Nothing()


@pytest.mark.parametrize(("what", "is_pushed"), [("rings", True), ("live", False)])
async def test_pushes_go_to_guests_with_rings_alone(rig, what, is_pushed) -> None:
    """Seen to fail without `may` in `Pushes._wanted`."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys, what)
    rig.browsers.set_push(gus.keys.id, PUSH)
    pushes = Pushes(device=DEVICE, browsers=rig.browsers, clock=rig, events=rig.events)
    known = rig.browsers.find(gus.keys.id)
    assert known is not None
    assert pushes._is_wanted(known, "pressed") is is_pushed


@pytest.mark.parametrize("push", OF_OWNERS.values(), ids=OF_OWNERS)
def test_a_guest_cannot_subscribe_to_what_owners_are_told(push: SetPush) -> None:
    """Seen to fail without `check_owner` behind `SetPush` in `check_order`."""
    with pytest.raises(LiveError, match="owner"):
        Desk("rings").order(push)
    Desk("rings").order(SnoozePush(minutes=30))


async def test_what_owners_are_told_goes_to_no_guest_who_subscribed_before(rig) -> None:
    """Seen to fail without `is_owners` in each of the three."""
    gus = SoftBrowser.create("Gus")
    await let_in(rig, gus.keys, "rings")
    for push in OF_OWNERS.values():
        rig.browsers.set_push(gus.keys.id, push)
        common = {"device": DEVICE, "browsers": rig.browsers, "clock": rig, "events": rig.events}
        assert EmergencyPushes(**common).messages(is_here=True) == []
        assert DailySummaries(**common, counts=None, unread=None)._next(NOW_MS)[1] == []
        assert CheckIns(**common, link=None, kept=Path("nowhere"))._wanting() == []
