"""Who has one owner's telephone, unlocked, can let nobody in and give nothing away.

They can have anything signed. All that widens waits for the door, which they don't have; what
narrows they may do, and the other owners and browsers hear of it.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from firmware.consent.facts import Refusal
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    Confirm,
    EndBrowser,
    Knock,
    OwnerSettings,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    SetRecovery,
)
from firmware.protocol.events import Paired, ReleaseCommitted
from firmware.protocol.notes import BrowserEnded, ConfirmationWanted
from tests.fakes.consent_world import new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.rights import own_browser
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

MASK = [[0, 0], [500, 0], [500, 500]]
WIDENINGS = [
    "grant", "add_owner", "remove_owner", "approver", "recovery", "browser", "agency", "mask",
]  # fmt: skip


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def household(rig: DeskRig) -> SoftPasskey:
    """Ada and Bo, a mask, and an agency that was refused; return Bo's passkey."""
    desk, bo = rig.desk(), new_owner_passkey()
    await rig.confirm(desk, rig.sign(rig.newcomer(passkey=bo.key)))
    for terms in (
        ChangeSettings(settings=OwnerSettings(revision=1, masks=[MASK])),
        RefuseAgency(agency="a-police", is_refused=True),
    ):
        await desk.on_statement(rig.seal(rig.sign(terms)))
    rig.told.clear()
    return bo


def wanted(rig: DeskRig, what: str, bo: SoftPasskey) -> Any:
    thief = SoftBrowser.create("Thief's laptop")
    key = SoftPasskey.create(rp_id="approve.example", origin="https://approve.example")
    return {
        "grant": rig.terms(),
        "add_owner": rig.newcomer(),
        "remove_owner": RemoveOwner(credential_id=bo.key.credential_id),
        "approver": AddApprover(name="Mine", key=key.key),
        "recovery": SetRecovery(
            keys=RecoveryKeys(
                sealing_key=thief.keys.viewing_key, signing_key=rig.world.owner.key.public_key
            )
        ),
        "browser": own_browser(thief.keys),
        "agency": RefuseAgency(agency="a-police", is_refused=False),
        "mask": ChangeSettings(settings=OwnerSettings(revision=2)),
    }[what]


def who_may(rig: DeskRig) -> object:
    """Return all that a thief would want changed."""
    household = rig.household
    return (
        rig.owners.owners,
        [browser.keys for browser in rig.browsers.all()],
        household.approvers(),
        household.recovery(),
        household.refused_agencies(),
        household.settings(),
        list(rig.kept()),
    )


@pytest.mark.parametrize("what", WIDENINGS)
async def test_it_waits_for_the_door_and_ends_there(rig, what):
    """Seen to succeed with `is_widening` answering False."""
    bo = await household(rig)
    before = who_may(rig)
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign(wanted(rig, what, bo)))
    assert who_may(rig) == before
    assert ConfirmationWanted in {type(note) for note in rig.notes()}, "the owner hears of it"
    rig.wind(minutes=10.01)
    await desk.end_what_is_over()
    await rig.desk().resume()
    assert isinstance(await desk.confirm(digest), Refusal)
    assert who_may(rig) == before
    assert rig.told_of(Paired) == rig.told_of(ReleaseCommitted) == []


@pytest.mark.parametrize("what", WIDENINGS)
async def test_the_telephone_itself_is_no_second_word(rig, what):
    bo = await household(rig)
    before = who_may(rig)
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign(wanted(rig, what, bo)))
    key = SoftPasskey.create(rp_id="approve.example", origin="https://approve.example")
    for by in (rig.world.owner, key):
        yes = rig.sign(Confirm(statement_digest=digest, answer="yes"), by=by)
        await desk.on_statement(rig.seal(yes))
    assert who_may(rig) == before
    assert len(desk.waiting()) == 1


async def test_a_knock_is_woken_and_nobody_knows_the_pattern(rig):
    await household(rig)
    desk, woken = rig.desk(), []

    async def wake(digest: str, _language: str) -> None:
        woken.append(digest)

    desk.knock_with(wake)
    digest = await rig.ask(desk, rig.sign())
    await desk.on_statement(rig.seal(rig.sign(Knock(statement_digest=digest, language="en"))))
    assert woken == [digest]
    assert rig.told_of(ReleaseCommitted) == []


async def test_who_has_one_owners_telephone_cannot_use_the_others_browsers(rig):
    await household(rig)
    desk, bo_phone = rig.desk(), rig.browsers.all()[-1].keys
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=bo_phone.id))))
    assert rig.browsers.find(bo_phone.id) is not None


async def test_from_another_browser_the_stolen_telephone_is_ended_at_once(rig):
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=rig.browser.keys.id))))
    assert rig.browsers.find(rig.browser.keys.id) is None
    assert not any(isinstance(note, BrowserEnded) for note in rig.notes())


async def test_the_last_owner_stays(rig):
    """So nobody is left with a doorbell that a thief could pair with anew."""
    desk, ada = rig.desk(), rig.world.owner.key.credential_id
    await desk.on_statement(rig.seal(rig.sign(RemoveOwner(credential_id=ada))))
    assert len(rig.owners.owners) == 1
