"""Who wants to hear the door: the microphone is turned on by the door number, and by nothing else.

A relay carries every command; an owner's browser, or who has taken one over, may watch. Neither
turns the microphone on. That a switch there is works is seen by turning it off.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from firmware.config.settings import SoundConfig
from firmware.live.voice import LiveSound
from firmware.local_page.switches import MicrophoneControl
from firmware.protocol.commands import CommandBody
from firmware.protocol.live import BrowserOrder
from firmware.sound.sound_system import SoundWiring
from firmware.system.clock import SystemClock
from tests.fakes.clock import ManualClock
from tests.fakes.porch import Visitor, porch, visitor
from tests.fakes.sound import FakeCard
from tests.fakes.waiting import eventually, in_time


@dataclass
class Ears:
    """A doorbell with a sound card, and somebody who may watch it."""

    sounding: SoundWiring
    card: FakeCard
    someone: Visitor

    @property
    def is_on(self) -> bool:
        return self.sounding.microphone.is_on


def live_sound(sounding: SoundWiring) -> LiveSound:
    """As firmware/app/doorbell.py has it."""
    return LiveSound(
        opus=sounding.opus,
        floor=sounding.floor,
        replies=sounding.replies,
        microphone=sounding.microphone,
    )


@asynccontextmanager
async def ears(folder: Path, purpose: str = "live") -> AsyncIterator[Ears]:
    card = FakeCard(ManualClock())
    sounding = SoundWiring(
        SoundConfig(card="system"),
        folder,
        clock=SystemClock(),
        source=random.Random(1),
        card=card,
    )
    async with (
        porch(sound=live_sound(sounding)) as here,
        visitor(here, purpose=purpose, has_audio=purpose == "live") as someone,
    ):
        sounding.changes.add(here.live.send_states)
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        keeping = asyncio.create_task(sounding.run())
        yield Ears(sounding, card, someone)
        keeping.cancel()
    await sounding.aclose()


@pytest.mark.parametrize("purpose", ["live", "clips"])
async def test_an_owners_browser_is_refused_and_told_where_it_is_done(
    tmp_path: Path, purpose: str
) -> None:
    async with ears(tmp_path, purpose) as at:
        at.someone.say(type="microphone", is_on=True)
        error = await in_time(at.someone.told("error"))

        assert error["reason"] == "at_the_door"
        assert not at.is_on


@pytest.mark.parametrize("purpose", ["live", "clips"])
async def test_an_owners_browser_turns_it_off_for_everybody(tmp_path: Path, purpose: str) -> None:
    async with ears(tmp_path, purpose) as at:
        await at.sounding.microphone.switch(True)
        while (await in_time(at.someone.told()))["microphone"] != "on":
            pass
        at.someone.say(type="microphone", is_on=False)
        while (await in_time(at.someone.told()))["microphone"] != "off":
            pass

        assert not at.is_on


async def test_listening_and_talking_turn_nothing_on(tmp_path: Path) -> None:
    async with ears(tmp_path) as at:
        at.someone.say(type="listen", is_on=True)
        await at.sounding.microphone.switch(True)
        await eventually(lambda: at.card.open_now("microphone"))  # whoever listens is heard of
        await at.sounding.microphone.switch(False)
        await eventually(lambda: not at.card.open_now("microphone"))
        at.someone.say(type="listen", is_on=True)
        at.someone.say(type="talk", is_on=True, is_open_line=True)
        at.someone.say(type="microphone", is_on=1)
        while (await in_time(at.someone.told("error")))["reason"] != "bad_form":
            pass  # where echo can't be cancelled, the open line is refused, too

        assert not at.is_on
        assert at.card.open_now("microphone") == []


def test_no_command_and_no_order_speaks_of_the_microphone() -> None:
    """What a relay carries has no word for it; statements are for owners, and have none either."""
    words = [msgspec.json.schema(kind) for kind in (*get_args(CommandBody), BrowserOrder)]

    assert "microphone" not in str(words).lower()


async def test_the_page_behind_the_door_number_turns_it_on(tmp_path: Path) -> None:
    """The one way there is, so that the refusals above aren't of a switch that can't be turned."""
    async with ears(tmp_path) as at:
        ear = MicrophoneControl(microphone=at.sounding.microphone, sound=at.sounding)

        assert (await ear.switch(is_on=True)).is_done
        assert at.is_on
