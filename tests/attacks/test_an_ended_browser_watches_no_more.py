"""A lost phone is ended, whatever goes wrong meanwhile: the card, the power, a relay that waits."""

from collections.abc import AsyncIterator

import pytest

from firmware.protocol.decisions import EndBrowser
from firmware.protocol.notes import BrowserEnded, StatementRefused
from tests.fakes.consent_world import MINUTE_MS, NOW_MS
from tests.fakes.intake import DeskRig, PowerCut, desk_rig
from tests.fakes.rights import own_browser
from tests.story.browser import SoftBrowser


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def lost_phone(rig: DeskRig) -> SoftBrowser:
    """A second browser of the owner's, in somebody else's hands."""
    phone = SoftBrowser.create("Lost phone")
    rig.browsers.enrol(phone.keys, rig.owners.owners[0].passkey.credential_id, NOW_MS)
    return phone


async def test_it_ends_at_once_also_when_the_card_takes_nothing(rig):
    desk, phone = rig.desk(), lost_phone(rig)
    file = rig.folder / "browsers.json"
    file.unlink()
    file.mkdir()  # nothing can take its place
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=phone.keys.id))))
    assert rig.browsers.find(phone.keys.id) is None
    assert rig.ended_browsers == [phone.keys.id]
    refused = rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert "memory card" in refused.detail


async def test_once_the_card_takes_it_the_same_statement_ends_it_for_good(rig):
    desk, phone = rig.desk(), lost_phone(rig)
    ending = rig.sign(EndBrowser(browser=phone.keys.id))
    file = rig.folder / "browsers.json"
    kept = file.read_bytes()
    file.unlink()
    file.mkdir()
    await desk.on_statement(rig.seal(ending))
    file.rmdir()
    file.write_bytes(kept)
    desk = rig.desk()  # a restart: the card never took it
    assert rig.browsers.find(phone.keys.id) is not None
    await desk.on_statement(rig.seal(ending))
    assert rig.browsers.find(phone.keys.id) is None
    assert rig.notes()[-1] == BrowserEnded(browser=phone.keys.id, name="Lost phone")


async def test_a_power_cut_amid_the_end_leaves_the_statement_unspent(rig):
    phone = lost_phone(rig)
    ending = rig.sign(EndBrowser(browser=phone.keys.id))

    class Dying:
        async def end_browser(self, _browser_id: str) -> None:
            raise PowerCut

    with pytest.raises(PowerCut):
        await rig.desk(live=Dying()).on_statement(rig.seal(ending))
    assert rig.store.spent() == frozenset()


async def test_a_renewal_that_the_relay_held_back_lets_nobody_in_again(rig):
    desk, phone = rig.desk(), lost_phone(rig)
    held_back = rig.sign(own_browser(phone.keys))
    await desk.on_statement(rig.seal(rig.sign(EndBrowser(browser=phone.keys.id))))
    rig.now_ms += MINUTE_MS
    await desk.on_statement(rig.seal(held_back))
    assert rig.browsers.find(phone.keys.id) is None
