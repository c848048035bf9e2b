"""A relay counts and measures what a doorbell tells after an owner's statement, and learns nothing.

Each statement comes sealed, of one size. Whatever it decided, or that it was refused: each browser
of every owner gets one sealed note of one size, and nothing else is told. Said again, each of them
is followed by nothing.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from firmware.protocol.commands import Accepted
from firmware.protocol.decisions import (
    ChangeSettings,
    Decline,
    Hold,
    OwnerSettings,
    RefuseAgency,
    Revoke,
    Unhold,
)
from firmware.protocol.encoding import unb64u
from firmware.protocol.events import NOTE_PLAIN_BYTES, Note
from tests.fakes.consent_world import NOW_MS
from tests.fakes.intake import DeskRig, desk_rig
from tests.story.browser import SoftBrowser

DECISIONS = [
    "decline", "hold", "refuse_agency", "refuse_agency again", "settings", "revoke of nothing",
    "unhold", "refused by a check", "refused as not in time", "a grant", "a browser let in",
    "an agency that may ask again",
]  # fmt: skip


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def household(rig: DeskRig) -> str:
    """Two owners with three browsers, and a hold; return the hold's digest."""
    desk = rig.desk()
    await rig.confirm(desk, rig.sign(rig.newcomer()))
    ada = rig.world.owner.key.credential_id
    rig.browsers.enrol(SoftBrowser.create("Tablet").keys, ada, NOW_MS)
    for terms in (
        Hold(from_ms=1, to_ms=2),
        RefuseAgency(agency="b-police", is_refused=True),
    ):
        await desk.on_statement(rig.seal(rig.sign(terms)))
    return rig.household.holds()[0].digest


def signed(rig: DeskRig, decision: str, hold: str) -> bytes:
    long_name = "a" * 38
    terms: dict[str, Any] = {
        "decline": Decline(request_digest="ab" * 32),
        "hold": Hold(from_ms=NOW_MS - 1000, to_ms=NOW_MS),
        "refuse_agency": RefuseAgency(agency=long_name, is_refused=True),
        "refuse_agency again": RefuseAgency(agency="b-police", is_refused=True),
        "settings": ChangeSettings(
            settings=OwnerSettings(
                revision=1, masks=[[[n, n], [n + 9, n], [n, n + 9]] for n in range(4)]
            )
        ),
        "revoke of nothing": Revoke(grant_digest="cd" * 32),
        "unhold": Unhold(hold_digest=hold),
        "refused by a check": Unhold(hold_digest="ef" * 32),
        "refused as not in time": Decline(request_digest="ab" * 32),
        "a grant": rig.terms(),
        "an agency that may ask again": RefuseAgency(agency="b-police", is_refused=False),
    }
    if decision == "a browser let in":  # it stands for what waits for the door
        return rig.sign(rig.newcomer())
    at_ms = NOW_MS - 3_600_001 if decision == "refused as not in time" else NOW_MS
    return rig.sign_at(terms[decision], at_ms)


def seen(rig: DeskRig) -> list[tuple[str, str, int]]:
    """Return what the relay sees: the kind of each event, to which browser, and its size."""
    return sorted(
        (
            type(body).__name__,
            body.browser if isinstance(body, Note) else "",
            len(body.encode()),
        )
        for body in rig.told
    )


@pytest.mark.parametrize("decision", DECISIONS)
async def test_each_decision_is_followed_by_the_same_events(rig, decision):
    """Seen to fail with `to_one_of_all` made `to_owner` in answers.py, and with a note left out."""
    hold = await household(rig)
    desk = rig.desk()
    statement = signed(rig, decision, hold)
    rig.told.clear()
    assert await desk.on_statement(rig.seal(statement)) == Accepted()
    browsers = sorted(browser.keys.id for browser in rig.browsers.all())
    assert len(browsers) == 3
    kinds, to, sizes = zip(*seen(rig), strict=True)
    assert set(kinds) == {"Note"}
    assert sorted(to) == browsers
    assert len(set(sizes)) == 1, "of one size"
    (plain,) = {len(unb64u(note.sealed)) for note in rig.told_of(Note)}
    assert plain == NOTE_PLAIN_BYTES + 48  # HPKE's key (32) and tag (16)


@pytest.mark.parametrize("decision", DECISIONS)
async def test_said_again_each_is_followed_by_nothing(rig, decision):
    """Seen to fail with `_is_known` out of statements.py: what was done was told as "spent", what
    waits was not.
    """
    hold = await household(rig)
    statement = signed(rig, decision, hold)
    desk = rig.desk()
    await desk.on_statement(rig.seal(statement))
    rig.told.clear()
    for minutes in (0, 5, 30, 60 * 24):
        rig.wind(minutes=minutes)
        assert await desk.on_statement(rig.seal(statement)) == Accepted()
    assert rig.told == []


@pytest.mark.parametrize("decision", DECISIONS)
async def test_sealed_each_statement_is_as_large_as_every_other(rig, decision):
    hold = await household(rig)
    other = rig.seal(rig.sign(Decline(request_digest="ab" * 32)))
    assert len(rig.seal(signed(rig, decision, hold)).sealed) == len(other.sealed)


async def test_a_no_at_the_door_tells_nothing(rig):
    """It is as if nobody had come."""
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign())
    rig.told.clear()
    assert desk.refuse(digest)
    rig.wind(minutes=11)
    await desk.end_what_is_over()
    assert rig.told == []


async def test_a_browser_that_cant_be_sealed_to_is_left_out_of_each_alike(rig):
    hold = await household(rig)
    bo = rig.owners.owners[-1].passkey.credential_id
    broken = SoftBrowser.create("Broken").keys
    rig.browsers.enrol(
        type(broken)(name="Broken", session_key=broken.session_key, viewing_key="A" * 43),
        bo,
        NOW_MS,
    )
    desk = rig.desk()
    counts = []
    for decision in ("decline", "hold", "settings", "refused by a check", "a grant"):
        rig.told.clear()
        await desk.on_statement(rig.seal(signed(rig, decision, hold)))
        counts.append(len(rig.told))
    assert len(set(counts)) == 1
