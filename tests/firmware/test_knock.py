"""firmware.app.knock: from a finger on the bell to a confirmed grant, and what isn't the bell."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware.app.knock import KnockWiring
from firmware.config.settings import PanelConfig
from firmware.decisions.intake import StatementIntake
from firmware.knock.errors import KnockRefused
from firmware.knock.pattern_store import KnockSettings, KnockStore
from firmware.knock.service import KnockEnd
from firmware.local_page.switches import KnockControl
from firmware.panel.button import Edge, Press
from firmware.panel.gpio import ButtonName, MockGpio
from firmware.panel.panel import Panel
from firmware.panel.pins import load_pins
from firmware.protocol.decisions import Knock
from firmware.protocol.events import ReleaseCommitted
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import FRAME_BYTES, SILENCE
from firmware.sound.sounds import Sound
from firmware.sound.speaker import Speaker
from firmware.sound.speech import Language, Speech
from tests.fakes.clock import ManualClock
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.sound import FakeCard, tone
from tests.fakes.waiting import eventually

HELD_S = {"short": 0.1, "long": 0.6}
PATTERN = ("long", "short", "short")


class HandsClock(ManualClock):
    """Wall time as the rig says; monotonic time is the finger's, which no busy machine delays."""

    def __init__(self, rig: DeskRig) -> None:
        super().__init__()
        self._rig = rig

    def wall_ms(self) -> int:
        return self._rig.now_ms


class Door:
    """A paired doorbell's buttons, its knock, and its statements' desk."""

    def __init__(self, rig: DeskRig) -> None:
        self.rig = rig
        self.said: list[str] = []
        self.rings: list[Press] = []
        self.ended: list[tuple[str, KnockEnd]] = []
        self.gpio = MockGpio(load_pins())
        self.clock = HandsClock(rig)
        self.panel = Panel(
            PanelConfig(pins="mock", chime_ms=20),
            self.gpio,
            has_presence=False,
            has_infrared=False,
            clock=self.clock,
        )
        self.panel.pressed.add(self.rings.append)
        self.statements: StatementIntake = rig.desk()
        self.store = KnockStore(rig.folder / "knock.json", clock=self.clock)
        self.knocking = KnockWiring(
            store=self.store,
            panel=self.panel,
            voice=self,
            mouth=self,
            statements=self.statements,
            clock=self.clock,
        )
        self.knocking.desk.ended.add(lambda digest, end: self.ended.append((digest, end)))
        self.store.choose(KnockSettings(is_on=True, pattern=PATTERN))

    async def speak(self, text: str, _language: Language, *, volume_percent: int) -> Sound:
        self.said.append(text)
        return Sound(samples=SILENCE * volume_percent)

    async def say(self, _samples: bytes) -> bool:
        return True

    @property
    def has_device(self) -> bool:
        return True

    async def asked(self, signed: bytes) -> str:
        await self.statements.on_statement(self.rig.seal(signed))
        return self.statements.waiting()[-1].statement.digest

    async def wake(self, digest: str) -> None:
        """The owner signs that they want to knock for a statement."""
        signed = self.rig.sign(Knock(statement_digest=digest, language="en"))
        await self.statements.on_statement(self.rig.seal(signed))
        await asyncio.sleep(0.2)

    async def knock(self, pin: ButtonName = "bell") -> None:
        for kind in PATTERN:
            await self.press(pin, HELD_S[kind])
            self.clock.advance(0.15)
        self.clock.advance(2.4)
        await asyncio.sleep(0.3)

    async def press(self, pin: ButtonName, hold_s: float) -> None:
        """Press for so long, and let the contact settle."""
        self.gpio.set_active(pin, is_active=True)
        self.clock.advance(hold_s)
        self.gpio.set_active(pin, is_active=False)
        await asyncio.sleep(0.1)

    @property
    def releases(self) -> int:
        return len(self.rig.told_of(ReleaseCommitted))


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    async with desk_rig(folder) as rig:
        at = Door(rig)
        try:
            yield at
        finally:
            await at.knocking.desk.aclose()
            await at.panel.close()


async def test_woken_and_knocked_for_a_grant_is_released_and_each_press_rings(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign())
        await at.knock()  # nobody woke it: it only rings
        assert (at.releases, len(at.rings)) == (0, 3)
        await at.wake(digest)
        assert at.releases == 0
        await at.knock()
        await eventually(lambda: at.ended)
        assert at.ended == [(digest, "confirmed")]
        assert (at.releases, len(at.rings)) == (1, 6)
        kept = at.rig.store.statement(digest)
        assert kept is not None
        assert kept.confirmed is not None
        assert (kept.state, kept.confirmed.way) == ("confirmed", "knock")
    assert at.said[0] == "Agency. Lakeland Police."
    assert at.said[-1] == "Confirmed."


async def test_the_service_button_is_no_part_of_a_pattern(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign())
        await at.wake(digest)
        assert at.knocking.desk.is_open
        await at.knock("service")
        assert (at.releases, at.ended, at.store.tries_left) == (0, [], 3)


async def test_only_a_grant_can_be_knocked_for(tmp_path: Path) -> None:
    """A new owner is let in by comparing six words. Seen to fail without `isinstance`."""
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign(at.rig.newcomer()))
        with pytest.raises(KnockRefused, match="unknown"):
            await at.knocking.desk.open(digest, "en")
        assert at.said == []


async def test_what_no_longer_waits_cannot_be_knocked_for(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign())
        at.statements.refuse(digest)
        with pytest.raises(KnockRefused, match="unknown"):
            await at.knocking.desk.open(digest, "en")


async def test_why_it_cannot_be_woken_is_told_in_words(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign())
        for language, word in [("de", "voice"), ("en -m", "voice")]:
            refusal = await at.knocking.open(digest, language)
            assert refusal is not None
            assert word in refusal.detail
        refusal = await at.knocking.open("0" * 64, "en")
        assert refusal is not None
        assert "no grant waits" in refusal.detail
        assert await at.knocking.open(digest, "en") is None


async def test_without_espeak_nothing_is_listened_for_and_the_owner_hears_what_to_do(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        digest = await at.asked(at.rig.sign())
        mute = KnockWiring(
            store=at.store,
            panel=at.panel,
            voice=Speech(("/nowhere/espeak-ng",)),
            mouth=at,
            statements=at.statements,
            clock=at.clock,
        )
        refusal = await mute.open(digest, "sv")
        assert refusal is not None
        assert "apt install espeak-ng" in refusal.detail
        assert not mute.desk.is_open


async def test_the_doorbells_own_page_chooses_the_pattern_and_switches_it_off(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        switch = KnockControl(store=at.store, speaker=at, desk=at.knocking.desk)
        digest = await at.asked(at.rig.sign())
        assert (await switch.choose([])).is_done
        refusal = await at.knocking.open(digest, "en")
        assert refusal is not None
        assert "the knock is off" in refusal.detail
        weak = await switch.choose(["short", "short", "short"])
        assert not weak.is_done
        assert "all alike" in weak.detail
        assert not switch.view().is_on
        assert (await switch.choose(PATTERN)).is_done
        await at.wake(digest)
        await at.knock()
        await eventually(lambda: at.ended)
        view = switch.view()
        assert (view.is_on, view.last, view.last_ms) == (True, "confirmed", at.rig.now_ms)


async def test_a_pattern_that_is_chosen_meanwhile_ends_the_knock(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        switch = KnockControl(store=at.store, speaker=at, desk=at.knocking.desk)
        await at.wake(await at.asked(at.rig.sign()))
        assert (await switch.choose(("short", "long", "long"))).is_done
        await at.knock()
        await eventually(lambda: at.ended)
        assert (at.releases, switch.view().last) == (0, "changed")


async def test_the_outer_button_tells_both_its_edges_with_the_contacts_time(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        edges: list[Edge] = []
        at.panel.bell_edges.add(edges.append)
        await at.press("bell", 0.3)
        await at.press("service", 0.3)
    assert [edge.is_down for edge in edges] == [True, False]
    assert edges[1].at_ns - edges[0].at_ns == 300_000_000


async def test_edges_are_told_though_whoever_hears_the_bell_fails(tmp_path: Path) -> None:
    def fail(_press: Press) -> None:
        raise RuntimeError("the bell has a fault")

    async with door(tmp_path) as at:
        edges: list[Edge] = []
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        at.panel.pressed.add(fail)
        at.panel.bell_edges.add(edges.append)
        await at.press("bell", 0.1)
    assert [edge.is_down for edge in edges] == [True, False]


@pytest.mark.parametrize("is_cut", [False, True])
async def test_the_speaker_tells_whether_a_sound_was_said_whole(is_cut: bool) -> None:
    clock = ManualClock()
    card = FakeCard(clock)
    speaker = Speaker(card, device="", clock=clock, source=random.Random(1), played=EchoReference())
    running = asyncio.create_task(speaker.run())
    saying = asyncio.create_task(speaker.say(tone(440, 9_600)))
    await eventually(lambda: card.open_now("speaker"))
    for block in range(10):
        if is_cut and block == 9:
            speaker.play(bytes(FRAME_BYTES))
        card.say()
    assert await saying is not is_cut
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
