"""A lying page shows clip A and has clip B signed: nothing leaves without the door's yes to B.

A passkey's prompt can't show what is signed. So the signed statement only makes the doorbell ask,
in a way that the page has no part in, and what it asks about is read from the signed bytes.
"""

from collections.abc import AsyncIterator

import msgspec
import pytest

from firmware.consent.facts import Grant, Refusal
from firmware.decisions.intake import StatementIntake
from firmware.protocol.decisions import Decline, IdentityGiven
from firmware.protocol.events import ReleaseCommitted
from firmware.protocol.grants import GrantTerms
from tests.fakes.intake import DeskRig, desk_rig, digest_of
from tests.fakes.rights import own_browser
from tests.story.browser import SoftBrowser


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def shown(rig: DeskRig) -> GrantTerms:
    """What the page shows: the first second, without a word about the owner."""
    terms = rig.terms()
    (clip,) = terms.clips
    short = msgspec.structs.replace(clip, to_ms=clip.from_ms + 1000)
    return msgspec.structs.replace(terms, clips=[short])


LIES = {
    "more of the clip": {},
    "the owner's name": {"identity": IdentityGiven(name="Ada")},
    "the owner's address": {"identity": IdentityGiven(address="Lake Road 5")},
}


def signed_instead(rig: DeskRig, lie: str) -> GrantTerms:
    return rig.terms(**LIES[lie])


def asked_about(desk: StatementIntake) -> Grant:
    (asked,) = desk.waiting()
    assert isinstance(asked.checked, Grant)
    return asked.checked


@pytest.mark.parametrize("lie", LIES)
async def test_what_was_signed_instead_is_what_the_door_asks_about(rig, lie):
    desk, instead = rig.desk(), signed_instead(rig, lie)
    await desk.on_statement(rig.seal(rig.sign(instead)))
    assert asked_about(desk).terms == instead
    assert asked_about(desk).terms != shown(rig)


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_leaves_when_the_owner_sees_it_at_the_door_and_says_no(rig, lie):
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign(signed_instead(rig, lie)))
    assert desk.refuse(digest)
    await desk.end_what_is_over()
    await rig.desk().resume()
    assert rig.told_of(ReleaseCommitted) == []
    assert rig.kept() == {}


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_leaves_when_nobody_looks_at_the_door(rig, lie):
    """Seen to fail with a desk that confirms by itself what it lets wait."""
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign(signed_instead(rig, lie)))
    rig.wind(minutes=10.01)
    await desk.end_what_is_over()
    assert isinstance(await desk.confirm(digest), Refusal)
    assert rig.kept() == {}


async def test_a_yes_to_what_was_shown_is_none_to_what_was_signed(rig):
    """The page has both signed, and the yes for the one is tried on the other."""
    desk = rig.desk()
    right, instead = rig.sign(shown(rig)), rig.sign(rig.terms())
    await rig.ask(desk, right)
    await rig.ask(desk, instead)
    assert isinstance(await desk.confirm(digest_of(right)), Refusal), "the newer one is asked about"
    assert rig.told_of(ReleaseCommitted) == []
    assert rig.kept() == {}


async def test_what_came_while_the_owner_looked_is_not_what_they_say_yes_to(rig):
    """The door's page names the digest that it shows: another's turn takes nothing along."""
    desk = rig.desk()
    looked_at = await rig.ask(desk, rig.sign(shown(rig)))
    swapped = await rig.ask(desk, rig.sign(rig.terms()))
    assert isinstance(await desk.confirm(looked_at), Refusal)
    assert asked_about(desk).digest == swapped
    assert rig.kept() == {}


async def test_a_statement_that_looks_harmless_is_what_its_bytes_say(rig):
    """The page says "decline", and has a new browser signed."""
    desk, watcher = rig.desk(), SoftBrowser.create("Decline")
    await desk.on_statement(rig.seal(rig.sign(own_browser(watcher.keys))))
    assert rig.browsers.find(watcher.keys.id) is None
    assert len(desk.waiting()) == 1
    await desk.on_statement(rig.seal(rig.sign(Decline(request_digest="ab" * 32))))
    assert len(desk.waiting()) == 1


async def test_only_what_was_confirmed_leaves(rig):
    desk = rig.desk()
    await rig.release(desk, rig.sign(shown(rig)))
    assert len(rig.kept()) == 1
