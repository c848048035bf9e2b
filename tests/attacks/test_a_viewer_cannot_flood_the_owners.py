"""Who watches is told, however often they come and go, but not once for each coming and going.

Each note is an event for each browser in the outbox, told in order: a viewer that joined and left
without end would hold up the next ring, and wear the card out.
"""

from firmware.protocol.events import Note
from firmware.protocol.notes import WatchingBegan, WatchingEnded
from tests.fakes.porch import Porch, porch, visitor
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

JOINS = 6


async def come_and_go(here: Porch, browser: object) -> None:
    async with visitor(here, browser) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        await eventually(lambda: len(here.live.watchers) == 1)
        await someone.leave()


def notes_in(here: Porch) -> list[Note]:
    return [body for body in here.told if isinstance(body, Note)]


async def test_one_who_comes_and_goes_again_and_again_is_told_as_one_visit():
    async with porch(note_pause_s=PATIENCE_S) as here:
        phone = here.enrol()
        for _ in range(JOINS - 1):
            await come_and_go(here, phone)
        here.viewing._watch_notes._pause_s = 0.1
        await come_and_go(here, phone)
        await eventually(lambda: len(notes_in(here)) == 2)
        began, ended = here.notes_to(phone)
        assert isinstance(began, WatchingBegan)
        assert isinstance(ended, WatchingEnded)
        assert ended.session_id == began.session_id
        assert ended.at_ms > began.at_ms


async def test_a_second_browser_is_told_though_the_first_was_just_now():
    async with porch(note_pause_s=1.5) as here:
        phone, stranger = here.enrol("Phone"), here.enrol("Lost phone")
        await come_and_go(here, phone)
        await come_and_go(here, stranger)
        await eventually(lambda: len(here.notes_to(phone)) == 4)
        begun = [note for note in here.notes_to(phone) if isinstance(note, WatchingBegan)]
        assert [note.browser_name for note in begun] == ["Phone", "Lost phone"]


async def test_who_comes_back_later_is_told_anew():
    async with porch(note_pause_s=0.1) as here:
        phone = here.enrol()
        for count in (2, 4):
            await come_and_go(here, phone)
            await eventually(lambda count=count: len(notes_in(here)) == count)
        kinds = [type(note) for note in here.notes_to(phone)]
        assert kinds == [WatchingBegan, WatchingEnded] * 2
