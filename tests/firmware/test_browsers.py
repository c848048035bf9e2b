"""Browsers of an owner: enrolled by their passkey and confirmed at the door, renewed, ended."""

from dataclasses import replace
from unittest.mock import ANY

import msgspec
import pytest

from firmware.consent.facts import BrowserFact, Decided, Decision, Refusal
from firmware.consent.verifier import decide, judge
from firmware.enrolment.browsers import MAX_BROWSERS, BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.errors import StoreError
from firmware.protocol.browsers import check_browser_keys
from firmware.protocol.decisions import EndBrowser
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.live import SetPush
from firmware.protocol.notes import (
    BrowserEnded,
    BrowserEnrolled,
    ConfirmationWanted,
    DoorNoticeNow,
    HoldsNow,
    PreferencesNow,
    RefusedNow,
    SettingsNow,
)
from firmware.protocol.rights import OWNERS_WHAT, SELF_RENEWED_MS, owners_right
from tests.fakes.consent_world import MINUTE_MS, NOW_MS, ConsentWorld, make_world
from tests.fakes.intake import desk_rig
from tests.fakes.rights import own_browser
from tests.fakes.sample_keys import PUSH_KEY
from tests.story.browser import SoftBrowser

DOOR_PAGE = "http://door.test"
PUSH = SetPush(
    p256dh=PUSH_KEY,
    auth="AQ",
    kinds=["pressed"],
    quiet=None,
    summary=None,
    silent_after_minutes=None,
)


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


@pytest.fixture
async def rig(tmp_path):
    async with desk_rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def store(tmp_path, world) -> BrowserStore:
    owners = OwnerStore(tmp_path / "owners.json")
    owners.add(world.facts.owners[0])
    return BrowserStore(tmp_path / "browsers.json", owners)


def ada(world: ConsentWorld) -> str:
    return world.facts.owners[0].passkey.credential_id


def let_in_note(browser: str, name: str, until_ms: int | None) -> BrowserEnrolled:
    """Return the note that an owner's own browser is let in."""
    return BrowserEnrolled(
        browser=browser,
        name=name,
        by_name=ANY,
        holder="owner",
        what=list(OWNERS_WHAT),
        from_ms=0,
        until_ms=until_ms or 0,
    )


def end_browser(browser: str) -> EndBrowser:
    return EndBrowser(browser=browser)


def knowing(world: ConsentWorld, browser: SoftBrowser, credential_id: str) -> ConsentWorld:
    fact = BrowserFact(credential_id=credential_id, keys=browser.keys, right=owners_right(NOW_MS))
    return replace(world, facts=replace(world.facts, browsers={browser.keys.id: fact}))


# The keys


def test_a_session_key_that_is_no_point_of_the_curve_is_refused():
    keys = SoftBrowser.create().keys
    check_browser_keys(keys)
    off = msgspec.structs.replace(keys, session_key=b64u(b"\x02" + bytes(31) + b"\x01"))
    with pytest.raises(WireError, match="not a P-256 point"):
        check_browser_keys(off)


# The rules


def test_a_new_browser_counts_only_once_confirmed_at_the_door(world):
    terms = own_browser(SoftBrowser.create().keys)
    answer = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(answer, Decision)
    refused = decide(answer, None, world.facts)
    assert isinstance(refused, Refusal)
    assert refused.reason == "not_confirmed"
    confirmation = world.confirmation(answer.digest)
    assert isinstance(decide(answer, confirmation, world.facts), Decided)


def test_a_known_browser_is_renewed_without_being_asked_about(world):
    browser = SoftBrowser.create()
    world = knowing(world, browser, ada(world))
    answer = judge(world.sign(world.statement(own_browser(browser.keys))), world.facts)
    assert isinstance(answer, Decision)
    assert not answer.is_widening
    assert isinstance(decide(answer, None, world.facts), Decided)


def test_a_renewal_with_another_viewing_key_widens_and_is_asked_about(world):
    browser = SoftBrowser.create()
    world = knowing(world, browser, ada(world))
    keys = msgspec.structs.replace(browser.keys, viewing_key=SoftBrowser.create().keys.viewing_key)
    answer = judge(world.sign(world.statement(own_browser(keys))), world.facts)
    assert isinstance(answer, Decision)
    refused = decide(answer, None, world.facts)
    assert isinstance(refused, Refusal)
    assert refused.reason == "not_confirmed"


@pytest.mark.parametrize("terms_of", [own_browser, end_browser])
def test_nobody_takes_or_ends_another_owners_browser(world, terms_of):
    browser = SoftBrowser.create()
    world = knowing(world, browser, "c29tZWJvZHk")
    terms = terms_of(browser.keys if terms_of is own_browser else browser.keys.id)
    refused = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(refused, Refusal)
    assert refused.reason == "browser"


@pytest.mark.parametrize("key", ["session_key", "viewing_key"])
@pytest.mark.parametrize("value", ["", "AAAA", "A" * 44, "A" * 43])
def test_a_browser_whose_keys_cant_be_used_is_refused(world, key, value):
    keys = msgspec.structs.replace(SoftBrowser.create().keys, **{key: value})
    refused = judge(world.sign(world.statement(own_browser(keys))), world.facts)
    assert isinstance(refused, Refusal)
    assert refused.reason == "form"


def test_a_browser_is_ended_also_while_the_time_isnt_known(world):
    browser = SoftBrowser.create()
    world = knowing(world, browser, ada(world))
    facts = replace(world.facts, is_clock_trusted=False)
    signed = world.sign(world.statement(EndBrowser(browser=browser.keys.id)))
    assert isinstance(judge(signed, facts), Decision)


def test_no_browser_is_let_in_while_the_time_isnt_known(world):
    signed = world.sign(world.statement(own_browser(SoftBrowser.create().keys)))
    refused = judge(signed, replace(world.facts, is_clock_trusted=False))
    assert isinstance(refused, Refusal)
    assert refused.reason == "clock"


# The desk


async def test_a_browser_that_is_confirmed_may_watch_for_30_days_and_all_are_told(rig):
    desk, laptop = rig.desk(), SoftBrowser.create("Laptop")
    await desk.on_statement(rig.seal(rig.sign(own_browser(laptop.keys))))
    (asked,) = desk.waiting()
    assert asked.statement.kind == "give_right"
    assert len(desk.words_of(asked.checked)) == 6
    wanted = ConfirmationWanted(statement_digest=asked.statement.digest, door_page=DOOR_PAGE)
    assert rig.notes() == rig.notes_to(laptop) == [wanted]
    assert rig.browsers.find(laptop.keys.id) is None
    assert await desk.confirm(asked.statement.digest) is None
    enrolled = rig.browsers.find(laptop.keys.id)
    assert enrolled is not None
    assert enrolled.right.until_ms == NOW_MS + SELF_RENEWED_MS
    told = let_in_note(laptop.keys.id, "Laptop", enrolled.right.until_ms)
    assert rig.notes()[-1] == told
    named, *then = rig.notes_to(laptop)[-6:]
    assert named == told
    kinds = [SettingsNow, RefusedNow, HoldsNow, PreferencesNow, DoorNoticeNow]
    assert [type(note) for note in then] == kinds


async def test_a_browser_that_is_let_in_is_told_of_those_that_came_before(rig):
    """So that a lost phone can be ended from one that came later."""
    desk, laptop, lapsed = rig.desk(), SoftBrowser.create("Laptop"), SoftBrowser.create("Lapsed")
    owner = rig.owners.owners[0].passkey.credential_id
    rig.browsers.enrol(lapsed.keys, owner, NOW_MS - SELF_RENEWED_MS)
    await desk.on_statement(rig.seal(rig.sign(own_browser(laptop.keys))))
    assert await desk.confirm(desk.waiting()[0].statement.digest) is None
    named = {one.browser for one in rig.notes_to(laptop) if isinstance(one, BrowserEnrolled)}
    assert named == {laptop.keys.id, rig.browser.keys.id}
    told = [one.browser for one in rig.notes() if isinstance(one, BrowserEnrolled)]
    assert told == [laptop.keys.id]  # the older one knows itself


async def test_who_pairs_is_told_of_the_browser_that_they_paired_with(rig):
    rig.desk()
    bo = SoftBrowser.create("Bo's phone")
    owner = msgspec.structs.replace(rig.newcomer().owner, browser=bo.keys)
    assert await rig.admitting.add_owner(owner) is None
    await rig.admitting.notify_browsers(owner.passkey.credential_id)
    until_ms = NOW_MS + SELF_RENEWED_MS
    assert rig.notes_to(bo) == [let_in_note(bo.keys.id, "Bo's phone", until_ms)]
    assert rig.notes() == []


async def test_until_when_a_browser_may_watch_is_told_once_the_time_is_known(rig):
    rig.desk()
    laptop = SoftBrowser.create("Laptop")
    rig.browsers.enrol(laptop.keys, rig.owners.owners[0].passkey.credential_id, None)
    await rig.admitting.on_time_known()
    until_ms = NOW_MS + SELF_RENEWED_MS
    told = let_in_note(laptop.keys.id, "Laptop", until_ms)
    assert told in rig.notes()
    assert told in rig.notes_to(laptop)


async def test_a_renewal_takes_effect_at_once_and_only_once(rig):
    desk = rig.desk()
    rig.now_ms += 20 * 24 * 60 * MINUTE_MS
    signed = rig.sign_at(own_browser(rig.browser.keys, now_ms=rig.now_ms), rig.now_ms)
    await desk.on_statement(rig.seal(signed))
    enrolled = rig.browsers.find(rig.browser.keys.id)
    assert enrolled is not None
    assert enrolled.right.until_ms == rig.now_ms + SELF_RENEWED_MS
    assert desk.waiting() == []
    told = list(rig.told)
    rig.browsers.end(rig.browser.keys.id)
    await desk.on_statement(rig.seal(signed))
    assert rig.browsers.find(rig.browser.keys.id) is None
    assert rig.told == told, "it was answered before"


async def test_a_browser_that_is_ended_is_forgotten_and_its_sessions_end(rig):
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=rig.browser.keys.id))))
    assert rig.browsers.find(rig.browser.keys.id) is None
    assert rig.ended_browsers == [rig.browser.keys.id]


async def test_the_end_of_a_browser_is_told_to_the_others(rig):
    desk, laptop = rig.desk(), SoftBrowser.create("Laptop")
    rig.browsers.enrol(laptop.keys, rig.owners.owners[0].passkey.credential_id, NOW_MS)
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=laptop.keys.id))))
    assert rig.notes()[-1] == BrowserEnded(browser=laptop.keys.id, name="Laptop")


# The store


def test_a_browser_counts_only_while_its_owner_is_one(store, world):
    mine, strangers = SoftBrowser.create().keys, SoftBrowser.create().keys
    store.enrol(mine, ada(world), NOW_MS)
    store.enrol(strangers, "c3RyYW5nZXI", NOW_MS)
    assert [one.keys for one in store.all()] == [mine]
    assert store.find(strangers.id) is None


def test_what_is_stored_is_there_after_a_restart(store, world, tmp_path):
    browser = SoftBrowser.create().keys
    store.enrol(browser, ada(world), NOW_MS)
    store.set_push(browser.id, PUSH)
    again = BrowserStore(tmp_path / "browsers.json", OwnerStore(tmp_path / "owners.json"))
    assert again.all() == store.all()
    assert again.all()[0].push == PUSH


def test_a_renewal_keeps_the_push_keys(store, world):
    browser = SoftBrowser.create().keys
    store.enrol(browser, ada(world), NOW_MS)
    store.set_push(browser.id, PUSH)
    assert store.enrol(browser, ada(world), NOW_MS + 1).push == PUSH


def test_the_30_days_begin_once_the_time_is_known(store, world):
    enrolled = store.enrol(SoftBrowser.create().keys, ada(world), None)
    assert not enrolled.has_expired(2**53)
    store.start_counting(NOW_MS)
    (counted,) = store.all()
    assert not counted.has_expired(NOW_MS + SELF_RENEWED_MS - 1)
    assert counted.has_expired(NOW_MS + SELF_RENEWED_MS)


def test_a_full_store_takes_the_place_of_an_expired_browser_and_else_says_so(store, world):
    for number in range(MAX_BROWSERS):
        store.enrol(SoftBrowser.create().keys, ada(world), NOW_MS + number)
    with pytest.raises(StoreError, match="end one first"):
        store.enrol(SoftBrowser.create().keys, ada(world), NOW_MS + 100)
    oldest = store.all()[0].keys.id
    store.enrol(SoftBrowser.create().keys, ada(world), NOW_MS + SELF_RENEWED_MS)
    assert len(store.all()) == MAX_BROWSERS
    assert store.find(oldest) is None


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":1,"browsers":[{}]}', b"x" * 300_000])
def test_a_damaged_file_is_an_error_and_never_no_browser(store, tmp_path, data):
    (tmp_path / "browsers.json").write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        BrowserStore(tmp_path / "browsers.json", OwnerStore(tmp_path / "owners.json"))
