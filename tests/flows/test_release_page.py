"""The release screen in Chromium: what the owner signs there, the doorbell's own verifier accepts.

The relay's HTTP side, the passkey and all keys are real; what a doorbell tells is committed as
ingest does it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from playwright.async_api import Page, Route, expect

from firmware.consent.facts import ClipFact, Facts, Grant, Refusal
from firmware.consent.verifier import judge
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.commands import SealedStatement
from firmware.protocol.encoding import new_id, sha256_hex, unb64u
from firmware.protocol.events import ClipReady, ClockSet, Motion, Pressed
from firmware.protocol.grants import SEAL_INFO, OwnerKeys
from firmware.protocol.notes import RequestMatched
from firmware.protocol.requests import SignedRequest
from firmware.protocol.sealing import open_sealed
from tests.fakes.waiting import in_time
from tests.flows.browser import sit_down
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PHONE, app_browser, join_and_pair, note
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, HOUR_MS, OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

WRONG_MS = 90_000
UNTIL_SOMETHING_IS_KEPT = """async () => {
  const { loadAccount } = await import("/account.js");
  const { readKey } = await import("/vendor/browser/key_store.js");
  const kept = () => readKey(`snapshot:${loadAccount().owner.credential_id}`);
  while (!((await kept())?.tolds.length > 0)) await new Promise((done) => setTimeout(done, 50));
}"""


@dataclass
class Asked:
    """An owner at the release screen, and their doorbell."""

    world: World
    page: Page
    device: str
    keys: DeviceKeys
    owner: OwnerKeys
    request: SignedRequest
    library: dict[str, ClipFact]

    async def record(self, clip: ClipReady, **how: Any) -> ClipReady:
        """Let the doorbell have a clip in its library, and tell it."""
        self.library[clip.clip_id] = ClipFact(
            manifest_digest=clip.manifest_digest,
            started_ms=clip.started_ms,
            ended_ms=clip.started_ms + clip.duration_ms,
        )
        await self.world.tell(self.device, clip, **how)
        return clip

    async def signed(self) -> Grant | Refusal:
        """Return what the doorbell makes of the one statement that was sent to it."""
        (command,) = await self.world.told(self.device)
        assert isinstance(command, SealedStatement)
        key = self.keys.sealing_private_key
        return judge(open_sealed(key, unb64u(command.sealed), SEAL_INFO), self.facts())

    def facts(self) -> Facts:
        return Facts(
            device=self.device,
            cell=CELLS[0],
            now_ms=self.world.clock.wall_ms(),
            is_clock_trusted=True,
            owners=(self.owner,),
            agencies=(self.world.agency,),
            requests={sha256_hex(self.request.request.encode()): self.request},
            clips=self.library,
            spent=frozenset(),
            browsers={},
        )

    @property
    def address(self) -> str:
        return f"{OWNER_ORIGIN}/#/requests/{msgspec.json.decode(self.request.request)['id']}"

    async def open(self) -> None:
        """Open the request as one who comes back; its recordings are there."""
        await self.page.goto(self.address)
        await self.page.reload()
        await self.page.wait_for_selector("[data-testid=choose-clip]")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@asynccontextmanager
async def asked(world: World, *, closed_h: int = 0) -> AsyncIterator[Asked]:
    """Let an owner join in a browser, pair a doorbell, and be asked for the last hour but one.

    If `closed_h`, they close the app for so many hours, and are asked at the end of them.
    """
    with TemporaryDirectory() as folder:
        keys = load_or_make_keys(Path(folder))
    await world.enrol_online(keys)
    device = keys.device
    async with app_browser(world) as browser:
        person = await sit_down(browser, viewport=PHONE)
        page = person.page
        await page.clock.set_fixed_time(datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC))
        owner = await join_and_pair(world, device, page)
        if closed_h:
            await world.tell(device, Motion(zones=[]))
            await in_time(page.evaluate(UNTIL_SOMETHING_IS_KEPT))
            await page.goto("about:blank")
            world.clock.advance(closed_h * HOUR_MS / 1000)
            now = datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC)
            await page.clock.set_fixed_time(now)
        officer = await certified_officer(world)
        request = officer.sign(officer.write())
        request_id = (await officer.publish(request)).json()["id"]
        await world.answer(device)  # it has taken the request
        await note(world, keys, owner, RequestMatched(request_id=request_id))
        yield Asked(world, page, device, keys, owner, request, {})
        assert person.faults == []
        await person.context.close()


def clip_of(trigger_event_id: str, started_ms: int, **changes: Any) -> ClipReady:
    fields: dict[str, Any] = {
        "clip_id": new_id(),
        "manifest_digest": "5" * 64,
        "trigger_event_id": trigger_event_id,
        "started_ms": started_ms,
        "duration_ms": 12_345,
        "pre_roll_ms": 6_000,
        "is_cut_short": False,
    }
    return ClipReady(**(fields | changes))


async def test_a_grant_of_a_clip_that_was_dated_anew_holds_at_the_doorbell(world: World) -> None:
    async with asked(world) as at:
        right_ms = world.clock.wall_ms() - 90 * 60_000
        untrusted = {"time_ms": WRONG_MS, "is_clock_trusted": False}
        ring = await world.tell(at.device, Pressed(), **untrusted)
        told = await at.record(clip_of(ring.id, WRONG_MS - 6_000), **untrusted)
        clock = ClockSet(from_seq=ring.seq, to_seq=ring.seq + 1, offset_ms=right_ms - WRONG_MS)
        await world.tell(at.device, clock)
        # The library's correction is its own, and a few milliseconds off the events'.
        await at.record(msgspec.structs.replace(told, started_ms=right_ms - 6_000 + 7))
        walk = await world.tell(at.device, Motion(), time_ms=right_ms + 600_000)
        await at.record(clip_of(walk.id, right_ms + 594_000))
        await at.open()
        boxes = at.page.locator("[data-testid=choose-clip]")
        await expect(boxes).to_have_count(2)  # each recording once
        await expect(at.page.locator("[data-testid=asked-clip]").first).to_contain_text(
            "time corrected"
        )
        for index in range(2):
            await boxes.nth(index).check()
        await at.page.click("#give")
        await at.page.wait_for_selector("#statement-sent")
        grant = await at.signed()
        assert isinstance(grant, Grant), grant
        given = {clip.clip_id: (clip.from_ms, clip.to_ms) for clip in grant.terms.clips}
        assert given == {
            clip_id: (fact.started_ms, fact.ended_ms) for clip_id, fact in at.library.items()
        }
        assert not grant.terms.has_audio
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []


async def test_sound_is_given_only_if_the_owner_ticks_it(world: World) -> None:
    async with asked(world) as at:
        walk = await world.tell(at.device, Motion(), time_ms=world.clock.wall_ms() - 90 * 60_000)
        await at.record(clip_of(walk.id, walk.time_ms - 6_000))
        await at.open()
        await at.page.check("[data-testid=choose-clip]")
        await at.page.get_by_label("Give their sound too").check()
        await at.page.click("#give")
        await at.page.wait_for_selector("#statement-sent")
        grant = await at.signed()
        assert isinstance(grant, Grant), grant
        assert grant.terms.has_audio


async def test_who_was_asked_while_the_app_was_closed_is_asked_when_it_opens(world: World) -> None:
    async with asked(world, closed_h=5) as at:  # what is kept reaches back beyond the asked hour
        right_ms = world.clock.wall_ms() - HOUR_MS - 600_000
        ring = await world.tell(at.device, Pressed(), time_ms=right_ms)
        await at.record(clip_of(ring.id, right_ms - 6_000))

        async def slowly(route: Route) -> None:
            await asyncio.sleep(0.5)
            await route.continue_()

        await at.page.route("**/api/v1/events?*", slowly)
        await at.page.goto(at.address)
        await expect(at.page.locator("[data-testid=choose-clip]")).to_have_count(1)


async def test_a_clip_that_is_told_anew_while_the_owner_reads_must_be_chosen_again(
    world: World,
) -> None:
    async with asked(world) as at:
        right_ms = world.clock.wall_ms() - HOUR_MS - 600_000
        ring = await world.tell(at.device, Pressed(), time_ms=right_ms)
        told = await at.record(clip_of(ring.id, right_ms - 6_000))
        await at.open()
        await at.page.check("[data-testid=choose-clip]")
        await at.record(msgspec.structs.replace(told, started_ms=right_ms - 5_000))
        await at.world.tell(at.device, Pressed())  # announced, so the page has heard both
        await expect(at.page.locator("#announcer")).not_to_be_empty()
        await at.page.click("#give")
        await expect(at.page.locator("#release [role=alert]")).to_contain_text("told of them anew")
        await expect(at.page.locator("[data-testid=choose-clip]")).not_to_be_checked()
        assert await at.world.told(at.device) == []
        await at.page.check("[data-testid=choose-clip]")
        await at.page.click("#give")
        await at.page.wait_for_selector("#statement-sent")
        grant = await at.signed()
        assert isinstance(grant, Grant), grant
        assert grant.terms.clips[0].from_ms == right_ms - 5_000
