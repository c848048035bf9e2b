"""What a hostile relay makes up, or says again, fills neither the outbox nor the owner's notes."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from firmware.enrolment.owners import OwnerStore
from firmware.protocol.encoding import b64u, decode_canonical
from firmware.protocol.events import EventBody
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import StatementRefused
from tests.fakes.desk import DeskRig, desk_rig


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
        await desk.on_statement(rig.seal(junk))
    assert rig.told == []
    assert desk.waiting() == []


async def test_an_old_statement_said_again_and_again_is_told_once(rig):
    desk, signed = rig.desk(), rig.sign()
    await rig.publish(desk)
    await desk.on_statement(rig.seal(signed))
    await desk.confirm(desk.waiting()[0].statement.digest)
    rig.told.clear()
    for _ in range(20):
        await desk.on_statement(rig.seal(signed))
    assert [type(note) for note in rig.notes()] == [StatementRefused]


async def test_a_request_said_again_and_again_is_told_once(rig):
    desk = rig.desk()
    for _ in range(5):
        await rig.publish(desk)
    assert len(rig.notes()) == 1


@pytest.mark.parametrize("key", ["", "AAAA", b64u(bytes(32)), b64u(b"\x01" + bytes(31))])
@pytest.mark.parametrize("which", ["viewing_key", "session_key"])
async def test_a_newcomer_whose_keys_cant_be_used_is_refused_at_once(rig, which, key):
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(rig.newcomer(**{which: key}))))
    assert desk.waiting() == []
    (refused,) = rig.notes()
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "form"


async def test_an_owner_who_cant_be_told_keeps_no_other_from_being_told(rig):
    store = OwnerStore(rig.folder / "owners.json")
    (ada,) = store.owners
    bo = rig.newcomer(viewing_key=b64u(bytes(32))).owner
    rig.browsers.enrol(bo.browser, bo.passkey.credential_id, None)
    (rig.folder / "owners.json").unlink()
    store = OwnerStore(rig.folder / "owners.json")
    for owner in (bo.owner, ada):
        store.add(owner)
    told: list[EventBody] = []

    async def tell(body: EventBody) -> None:
        told.append(body)

    await rig.publish(rig.desk(tell=tell))
    assert [body.credential_id for body in told] == [ada.passkey.credential_id]
