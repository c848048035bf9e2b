"""The notice for passers-by with real programs: doorbell, broker and relay."""

from pathlib import Path

import httpx2
import pytest

from firmware.protocol.decisions import ChangeSettings, OwnerSettings
from firmware.protocol.door_notices import DoorNotice, SignedDoorNotice, check_notice, notice_id_of
from firmware.protocol.encoding import decode
from tests.faults.town import Town, running_town
from tests.story.api import Json, ask_until
from tests.story.owner import API
from tests.story.play import DOOR_NUMBER

pytestmark = [pytest.mark.services, pytest.mark.slow]

LEFT_HALF = [[0, 0], [500, 0], [500, 1000], [0, 1000]]


async def decide(town: Town, settings: OwnerSettings, *, is_widening: bool) -> None:
    """Let the owner sign settings, and confirm them at the door if they widen."""
    owner, door = town.people.owner, town.people.door
    digest = await owner.decide(ChangeSettings(settings=settings))
    if is_widening:
        await door.unlock(DOOR_NUMBER)
        await door.wait_for_statement(digest)
        await door.confirm(digest)


async def notice_of(town: Town, *, masks: int) -> DoorNotice:
    """Wait until the relay shows a notice with so many masks; return it."""
    owner = town.people.owner
    assert owner.doorbell is not None
    path = f"{API}/doorbells/{owner.doorbell.device}/door-notice"

    def is_it(answer: Json) -> bool:
        shown = answer["shown"]
        return shown is not None and len(read(shown).masks) == masks

    answer = await ask_until(
        "the relay shows the notice", lambda: owner.api.get(path), is_it, timeout_s=20.0
    )
    return read(answer["shown"])


def read(shown: Json) -> DoorNotice:
    return check_notice(SignedDoorNotice(**shown))


async def test_a_notice_is_put_up_told_anew_and_taken_down(tmp_path: Path) -> None:
    async with running_town(tmp_path) as town:
        await decide(
            town, OwnerSettings(revision=1, notice_contact="Ada", keep_days=3), is_widening=True
        )
        first = await notice_of(town, masks=0)
        assert (first.contact, first.keep_days, first.recorders) == ("Ada", 3, 0)

        masked = OwnerSettings(revision=2, notice_contact="Ada", keep_days=3, masks=[LEFT_HALF])
        await decide(town, masked, is_widening=False)
        second = await notice_of(town, masks=1)
        assert second.masks == [LEFT_HALF]
        assert second.key == first.key

        address = f"{town.settings.relay_url}/notices/{notice_id_of(first.key)}"
        async with httpx2.AsyncClient(trust_env=False) as stranger:
            file = await stranger.get(f"{address}.json")
            assert check_notice(decode(SignedDoorNotice, file.content)) == second
            assert "A doorbell films here" in (await stranger.get(address)).text

            down = OwnerSettings(revision=3, notice_contact="", keep_days=3, masks=[LEFT_HALF])
            await decide(town, down, is_widening=False)

            async def status() -> Json:
                return {"status": (await stranger.get(address)).status_code}

            gone = await ask_until(
                "the notice is gone", status, lambda one: one["status"] == 404, timeout_s=20.0
            )
            assert gone == {"status": 404}
