"""A co-owner, or a newcomer whom one lets in, doesn't get hold of another owner's browser.

Who could put their own name over another's session key would hide that person's watching behind
it, take their notes and pushes away, and have their pictures sealed to a key of their own.
"""

from collections.abc import AsyncIterator

import pytest

from firmware.protocol.notes import StatementRefused
from tests.fakes.intake import DeskRig, desk_rig


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def test_a_newcomer_with_the_session_key_of_an_owners_browser_is_refused(rig):
    desk, keys = rig.desk(), rig.browser.keys
    newcomer = rig.newcomer(session_key=keys.session_key)
    await desk.on_statement(rig.seal(rig.sign(newcomer)))
    for asked in desk.waiting():  # nobody looks closely at the door
        await desk.confirm(asked.statement.digest)
    known = rig.browsers.find(keys.id)
    assert known is not None
    assert (known.keys, known.credential_id) == (keys, rig.world.owner.key.credential_id)
    assert len(rig.owners.owners) == 1
    (refused,) = (note for note in rig.notes() if isinstance(note, StatementRefused))
    assert refused.reason == "browser"


async def test_a_newcomer_may_have_a_viewing_key_that_nobody_knows_to_be_theirs(rig):
    desk = rig.desk()
    await desk.on_statement(rig.seal(rig.sign(rig.newcomer())))
    (asked,) = desk.waiting()
    assert await desk.confirm(asked.statement.digest) is None
    assert len(rig.owners.owners) == 2
