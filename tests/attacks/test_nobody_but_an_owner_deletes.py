"""Recordings are deleted by an owner's passkey alone: no browser, guest, relay or stranger can.

And nobody who keeps what an owner signed deletes with it again, or what it doesn't name.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.consent.facts import Refusal, UnverifiedStatement
from firmware.consent.verifier import judge
from firmware.protocol.decisions import (
    MAX_NAMED_CLIPS,
    AddApprover,
    DeleteClips,
    KeepClips,
    Undelete,
)
from firmware.protocol.encoding import WireError, decode, decode_canonical, new_id
from firmware.protocol.grants import SignedStatement, Statement
from firmware.protocol.notes import StatementRefused
from tests.fakes.consent_world import new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.rights import own_browser
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def clip_of(rig: DeskRig) -> str:
    return rig.library.in_order()[0].clip_id


def is_untouched(rig: DeskRig) -> bool:
    clip = clip_of(rig)
    return rig.library.find(clip) is not None and rig.library.path_of(clip).exists()


@pytest.mark.parametrize("is_now", [False, True])
async def test_a_guest_or_a_stranger_deletes_nothing(rig, is_now):
    """A browser that may watch has keys of its own, and none of them signs this."""
    desk, guest = rig.desk(), SoftBrowser.create("A guest's phone")
    await rig.confirm(desk, rig.sign(own_browser(guest.keys)))
    approver = SoftPasskey.create(rp_id="approve.example", origin="https://approve.example")
    await rig.confirm(desk, rig.sign(AddApprover(name="Desk", key=approver.key)))
    terms = DeleteClips(clips=[clip_of(rig)], is_now=is_now)
    for by in (new_owner_passkey(), approver):
        await desk.on_statement(rig.seal(rig.sign(terms, by=by)))
        assert is_untouched(rig)
    assert desk.waiting() == []


async def test_a_stranger_under_an_owners_name_deletes_nothing(rig):
    """Seen to fail with the signature's check out of `_check_owner`."""
    stranger = new_owner_passkey()
    signed = decode(
        SignedStatement, rig.sign(DeleteClips(clips=[clip_of(rig)], is_now=True), by=stranger)
    )
    owner_id = rig.world.owner.key.credential_id
    forged = msgspec.structs.replace(
        signed, assertion=msgspec.structs.replace(signed.assertion, credential_id=owner_id)
    )
    rig.desk()
    refusal = judge(UnverifiedStatement(forged.encode()), rig.gathering.facts())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "assertion"


async def test_a_relay_that_alters_a_signed_deletion_deletes_nothing(rig):
    """Not another clip, not now instead of in a day, and not a keeping turned into a deletion."""
    rig.desk()
    clip = clip_of(rig)
    for signed_terms, wanted in (
        (DeleteClips(clips=[new_id()], is_now=True), DeleteClips(clips=[clip], is_now=True)),
        (DeleteClips(clips=[clip], is_now=False), DeleteClips(clips=[clip], is_now=True)),
        (KeepClips(clips=[clip], is_kept=True), DeleteClips(clips=[clip], is_now=False)),
        (Undelete(clips=[clip]), DeleteClips(clips=[clip], is_now=False)),
    ):
        signed = decode(SignedStatement, rig.sign(signed_terms))
        statement = decode_canonical(Statement, signed.statement.encode())
        altered = msgspec.structs.replace(statement, terms=wanted).encode().decode()
        forged = msgspec.structs.replace(signed, statement=altered)
        refusal = judge(UnverifiedStatement(forged.encode()), rig.gathering.facts())
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "assertion"
    assert is_untouched(rig)


async def test_a_replayed_deletion_does_nothing(rig):
    """After the owner undid it, a relay brings it again, in other bytes, and after a restart.

    With `_is_known` out of intake.py and "spent" out of the verifier the stored row refuses it.
    """
    desk = rig.desk()
    signed = rig.sign(DeleteClips(clips=[clip_of(rig)], is_now=False))
    await desk.on_statement(rig.seal(signed))
    assert not rig.library.finished()
    await desk.on_statement(rig.seal(rig.sign(Undelete(clips=[clip_of(rig)]))))
    told = len(rig.told)
    for _ in range(2):
        await desk.on_statement(rig.seal(signed))
        assert is_untouched(rig)
        desk = rig.desk()
    assert len(rig.told) == told


async def test_a_deletion_that_is_held_back_is_over_in_an_hour(rig):
    """Seen to fail with `DeleteClips` among the `TIMELESS`."""
    desk = rig.desk()
    signed = rig.sign(DeleteClips(clips=[clip_of(rig)], is_now=True))
    rig.wind(minutes=60)
    await desk.on_statement(rig.seal(signed))
    assert is_untouched(rig)
    assert isinstance(rig.notes()[-1], StatementRefused)


@pytest.mark.parametrize("count", [0, MAX_NAMED_CLIPS + 1])
async def test_a_deletion_of_too_many_clips_isnt_even_read(rig, count):
    terms = msgspec.structs.replace(
        DeleteClips(clips=[clip_of(rig)], is_now=True), clips=[new_id() for _ in range(count)]
    )
    with pytest.raises(WireError):
        decode(DeleteClips, terms.encode())


async def test_every_deletion_is_told_in_one_size(rig):
    """One clip or as many as a statement names, kept or deleted: the relay sees the same."""
    desk, clip = rig.desk(), clip_of(rig)
    sizes = set()
    for terms in (
        KeepClips(clips=[clip], is_kept=True),
        DeleteClips(clips=[clip], is_now=False),
        Undelete(clips=[clip]),
        DeleteClips(clips=[clip], is_now=True),
    ):
        before = len(rig.told)
        await desk.on_statement(rig.seal(rig.sign(terms)))
        (note,) = rig.told[before:]
        sizes.add(len(note.sealed))
    assert len(sizes) == 1
