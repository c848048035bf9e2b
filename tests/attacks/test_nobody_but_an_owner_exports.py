"""An export of everything is an owner's alone: no guest, player, session or relay gets one."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.consent.facts import Refusal, UnverifiedStatement
from firmware.consent.verifier import judge
from firmware.live.errors import LiveError
from firmware.protocol.decisions import Decline, ExportAll
from firmware.protocol.encoding import decode, decode_canonical
from firmware.protocol.grants import SignedStatement, Statement
from firmware.protocol.notes import StatementRefused
from tests.fakes.asked_house import asked_line, export_service
from tests.fakes.consent_world import new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.rights import guest, player
from tests.story.browser import SoftBrowser


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def let_in(rig: DeskRig, holder: str) -> SoftBrowser:
    """Let a guest or a player in for as much as they can have."""
    desk, other = rig.desk(), SoftBrowser.create(holder)
    if holder == "guest":
        commitment = rig.paired(other.keys).answer.commitment
        terms = guest(other.keys, "history", "live", "rings", commitment=commitment)
    else:
        terms = player(other.keys, "history", "live", "record", "rings")
    await rig.confirm(desk, rig.sign(terms))
    return other


@pytest.mark.parametrize("holder", ["guest", "player"])
async def test_no_owner_can_be_led_to_sign_everything_over_to_a_guest(rig, holder):
    """A lying page names a guest's browser. Seen to succeed without the holder in `_check_export`.

    The guest's row stands under the owner's own passkey, so that alone stops nothing.
    """
    other = await let_in(rig, holder)
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(ExportAll(browser=other.keys.id))))
    refused = rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert refused.reason == "browser"
    assert rig.exports.all == ()


@pytest.mark.parametrize("holder", ["guest", "player"])
async def test_a_guest_asks_in_vain_while_an_owner_exports(rig, holder):
    """Seen to succeed with `of_browser` taking any open export for the caller's."""
    other = await let_in(rig, holder)
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(ExportAll(browser=rig.browser.keys.id))))
    line = asked_line(rig, desk)
    assert await line.export(rig.browser.keys.id)
    with pytest.raises(LiveError, match="only an owner"):
        await line.export(other.keys.id)
    with pytest.raises(LiveError, match="only an owner"):
        await line.finish_export(other.keys.id, is_complete=True)
    with pytest.raises(LiveError, match="no_export"):
        await export_service(rig).index(other.keys.id)
    assert await line.export(rig.browser.keys.id), "nor does anybody else end it"


async def test_a_stolen_session_gets_no_index_without_the_passkey(rig):
    """An owner's own browser, enrolled and in time. Seen to succeed without `_right_of`."""
    line = asked_line(rig, rig.desk())
    with pytest.raises(LiveError, match="no_export"):
        await line.export(rig.browser.keys.id)


async def test_a_strangers_passkey_and_a_relays_changes_begin_nothing(rig):
    """Seen to succeed with the signature's check out of `_check_owner`."""
    desk = rig.desk()
    terms = ExportAll(browser=rig.browser.keys.id)
    await desk.on_statement(rig.seal(rig.sign(terms, by=new_owner_passkey())))
    signed = decode(SignedStatement, rig.sign(Decline(request_digest="ab" * 32)))
    statement = decode_canonical(Statement, signed.statement.encode())
    altered = msgspec.structs.replace(statement, terms=terms).encode().decode()
    forged = msgspec.structs.replace(signed, statement=altered)
    refusal = judge(UnverifiedStatement(forged.encode()), rig.gathering.facts())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "assertion"
    await desk.on_statement(rig.seal(forged.encode()))
    assert rig.exports.all == ()
