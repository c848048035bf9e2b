"""What a hostile relay makes up, or says again, fills neither the outbox nor the owner's notes."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from firmware.enrolment.owners import OwnerStore
from firmware.protocol.decisions import Decline, Unhold
from firmware.protocol.encoding import b64u, decode_canonical
from firmware.protocol.events import Note
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import StatementDone, StatementRefused
from tests.fakes.intake import DeskRig, desk_rig


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def test_statements_that_no_owner_signed_are_told_to_nobody(rig):
    desk, signed = rig.desk(), decode_canonical(SignedStatement, rig.sign())
    forged = msgspec.structs.replace(signed.assertion, signature=b64u(b"\x30\x00"))
    for junk in (
        b"",
        b"{}",
        msgspec.structs.replace(signed, assertion=forged).encode(),
        msgspec.structs.replace(signed, statement="{}").encode(),
        msgspec.structs.replace(signed, statement=signed.statement + " ").encode(),
    ):
        await desk.on_statement(rig.seal_junk(junk))
    assert rig.told == []
    assert desk.waiting() == []


async def test_an_old_statement_said_again_and_again_is_told_no_more(rig):
    """It was answered the first time. Seen to fail with `_is_known` gone from statements.py and
    "spent" told in answers.py.
    """
    desk, signed = rig.desk(), rig.sign()
    await rig.release(desk, signed)
    rig.told.clear()
    for later in (desk, rig.desk()):
        for _ in range(20):
            await later.on_statement(rig.seal(signed))
    assert rig.told == []


async def test_a_refused_statement_said_again_and_again_is_told_once(rig):
    """Also after a restart: seen to fail with `was_told_refused` answering False."""
    desk = rig.desk()
    signed = rig.sign(Unhold(hold_digest="ab" * 32))
    for _ in range(20):
        await desk.on_statement(rig.seal(signed))
    rig.is_time_known = False  # now it fails at another check
    await desk.on_statement(rig.seal(signed))
    assert [type(note) for note in rig.notes()] == [StatementRefused]
    for _ in range(3):  # a relay that can have the power cut asks again after each start
        desk = rig.desk()
        await desk.on_statement(rig.seal(signed))
    assert [type(note) for note in rig.notes()] == [StatementRefused]


@pytest.mark.parametrize("key", ["", "AAAA", b64u(bytes(32)), b64u(b"\x01" + bytes(31))])
@pytest.mark.parametrize("which", ["viewing_key", "session_key"])
async def test_a_newcomer_whose_keys_cant_be_used_is_refused_at_once(rig, which, key):
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(rig.stranger(**{which: key}))))
    assert desk.waiting() == []
    (refused,) = rig.notes()
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "form"


async def test_an_owner_who_cant_be_told_keeps_no_other_from_being_told(rig):
    store = OwnerStore(rig.folder / "owners.json")
    (ada,) = store.owners
    bo = rig.stranger(viewing_key=b64u(bytes(32))).owner
    rig.browsers.enrol(bo.browser, bo.passkey.credential_id, None)
    (rig.folder / "owners.json").unlink()
    store = OwnerStore(rig.folder / "owners.json")
    for owner in (bo.owner, ada):
        store.add(owner)
    await rig.desk().on_statement(rig.seal(rig.sign(Decline(request_digest="ab" * 32))))
    assert [body.credential_id for body in rig.told_of(Note)] == [ada.passkey.credential_id]
    assert [type(note) for note in rig.notes()] == [StatementDone]
