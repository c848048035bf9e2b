"""firmware.decisions.door_number_alerts: what owners learn of a lock, and the ways past it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.decisions.door_number_alerts import DoorNumberAlerts
from firmware.enrolment.door_number import MAX_WRONG, DoorNumber
from firmware.errors import DoorNumberLocked, DoorNumberWrong
from firmware.notes.sealed_notes import Notes
from firmware.protocol.notes import DoorLink, DoorLocked
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.waiting import eventually
from tests.story.browser import SoftBrowser

RIGHT, WRONG = "493817", "000000"
DAY_MS = 24 * 3600 * 1000


@dataclass
class Door:
    """A doorbell's number, and its owner's browser."""

    rig: DeskRig
    number: DoorNumber
    alerts: DoorNumberAlerts

    async def try_wrongly(self, times: int) -> None:
        """Try as the page does: each refusal may be worth a note."""
        for _ in range(times):
            with pytest.raises((DoorNumberWrong, DoorNumberLocked)):
                self.number.check(WRONG)
            await self.alerts.notify_if_due()

    def locks(self) -> list[DoorLocked]:
        """Return the notes of locks that the owner got."""
        return [note for note in self.rig.notes() if isinstance(note, DoorLocked)]

    async def link(self, browser: SoftBrowser | None = None) -> DoorLink:
        """Ask for a link as an enrolled browser."""
        browser = browser or self.rig.browser
        self.rig.told.clear()
        self.alerts.on_link_wanted(browser.keys.id)
        await eventually(lambda: self.rig.notes_to(browser))
        (note,) = self.rig.notes_to(browser)
        assert isinstance(note, DoorLink)
        return note


def quick_hash(number: str, salt: bytes) -> bytes:
    """Stand in for scrypt."""
    return salt + number.encode()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with desk_rig(tmp_path) as rig:
        number = DoorNumber(tmp_path / "door.json", clock=rig, hash_number=quick_hash)
        number.choose(RIGHT)
        alerts = DoorNumberAlerts(
            door_number=number,
            notes=Notes(
                keys=rig.keys,
                owners=rig.owners,
                browsers=rig.browsers,
                clock=rig,
                events=rig.events,
            ),
            owners=rig.owners,
            browsers=rig.browsers,
            clock=rig,
            door_url="http://door.local:8402/",
        )
        rig.told.clear()
        yield Door(rig=rig, number=number, alerts=alerts)


async def test_owners_are_notified_at_the_first_lock_and_then_once_a_day(door: Door) -> None:
    await door.try_wrongly(4)
    assert door.locks() == []
    await door.try_wrongly(3)
    expected = DoorLocked(wrong_total=5, until_ms=door.rig.now_ms + 3600 * 1000, needs_button=False)
    assert door.locks() == [expected]
    door.rig.now_ms += 2 * 3600 * 1000
    await door.try_wrongly(5)
    assert len(door.locks()) == 1
    door.rig.now_ms += DAY_MS
    await door.try_wrongly(5)
    assert [note.wrong_total for note in door.locks()] == [5, 15]


async def test_a_link_leads_to_the_page_and_needs_the_number(door: Door) -> None:
    await door.try_wrongly(5)
    link = await door.link()
    assert link.url.startswith("http://door.local:8402/unlock/")
    assert link.until_ms == door.rig.now_ms + 600 * 1000
    token = link.url.rpartition("/")[2]
    with pytest.raises(DoorNumberWrong):
        door.number.check(WRONG, link=token)
    door.number.check(RIGHT, link=token)


async def test_without_a_lock_there_is_no_link_and_it_says_so(door: Door) -> None:
    assert await door.link() == DoorLink(url="", until_ms=None, refused="unlocked")


async def test_after_fifty_wrong_numbers_there_is_no_link_and_it_says_so(door: Door) -> None:
    for _ in range(MAX_WRONG // 5):
        await door.try_wrongly(5)
        door.rig.now_ms += DAY_MS
    assert await door.link() == DoorLink(url="", until_ms=None, refused="needs_button")


async def test_a_browser_that_isnt_enrolled_gets_nothing(door: Door) -> None:
    await door.try_wrongly(5)
    door.rig.told.clear()
    door.alerts.on_link_wanted(SoftBrowser.create("x").keys.id)
    await asyncio.sleep(0.05)
    assert door.rig.told == []


async def test_the_service_button_lets_the_number_be_tried(door: Door) -> None:
    await door.try_wrongly(5)
    door.alerts.on_service_pressed()

    def may_try() -> bool:
        try:
            door.number.check(RIGHT)
        except DoorNumberLocked:
            return False
        return True

    await eventually(may_try)
