"""The history in Chromium: its days and lines, filters, thousands of rows; and a recording that is
deleted, brought back and erased at a real library by an owner's passkey."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, expect

from firmware.enrolment.keys import load_or_make_keys
from firmware.live.clip_source import LibraryClips
from firmware.protocol.commands import ReplyBody, SealedStatement
from firmware.protocol.decisions import KeepClips
from firmware.protocol.events import ClipReady, Pressed
from firmware.protocol.grants import Owner
from tests.fakes.intake import DeskRig
from tests.fakes.recorder import RecordingRig, running
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.live_session import Visit, visiting
from tests.flows.long_history import A_DAY, tell_history
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.authenticator import SoftPasskey

pytestmark = list(IN_ONE_BROWSER)

ROWS = ".day .row"
IN_PART = """(rows) => {
  const { length } = document.querySelectorAll(rows);
  return 0 < length && length < 120;
}"""


@dataclass
class Filmed:
    """An owner's app, and a doorbell whose library has one real recording."""

    at: Visit
    rig: DeskRig
    clip_id: str

    async def judge(self, sealed: SealedStatement) -> ReplyBody:
        """Let the doorbell decide on a statement, and the relay have its notes."""
        before = len(self.rig.told)
        reply = await self.desk.on_statement(sealed)
        for body in self.rig.told[before:]:
            await self.at.world.tell(self.at.device, body)
        return reply

    def __post_init__(self) -> None:
        self.desk = self.rig.desk()
        self.at.carrier.on_statement = self.judge

    @property
    def is_on_card(self) -> bool:
        return self.rig.library.path_of(self.clip_id).exists()

    @property
    def is_shown(self) -> bool:
        return self.rig.library.find(self.clip_id) is not None


@asynccontextmanager
async def filmed(folder: Path) -> AsyncIterator[Filmed]:
    keys = load_or_make_keys(folder / "keys")
    now_ms = time.time_ns() // 1_000_000
    async with running(RecordingRig(folder, signer=keys.signer, device=keys.device)) as filming:
        filming.clock.set_wall_ms(now_ms - 60_000)
        await filming.film(1)
        filming.press()
        await filming.film(4)
        await filming.next_clip()
        rig = DeskRig(folder, filming.library, filming.playback, filming.database, now_ms)
        (record,) = rig.library.finished()
        shelf = LibraryClips(rig.library, rig.playback)
        async with visiting(folder, shelf=shelf, keys=keys) as at:
            rig.owners.add(at.owner.owner)
            rig.browsers.enrol(at.owner.browser, at.owner.passkey.credential_id, now_ms)
            ring = await at.world.tell(at.device, Pressed())
            ready = ClipReady(
                clip_id=record.clip_id,
                manifest_digest=record.manifest_digest,
                trigger_event_id=ring.id,
                started_ms=record.started_ms,
                duration_ms=record.duration_ms,
                pre_roll_ms=record.pre_roll_ms,
                is_cut_short=False,
            )
            await at.world.tell(at.device, ready)
            yield Filmed(at, rig, record.clip_id)
        rig.database.close()


async def delete(page: Page, *, now: bool) -> None:
    await page.click("#delete")
    if now:
        await page.check("#delete-clip input[value=now]")
    await page.click("#delete-clip button[value=yes]")


async def read_all(page: Page) -> None:
    """Scroll until the history has been read to its beginning."""
    await page.wait_for_function(
        "() => (scrollTo(0, document.body.scrollHeight),"
        " document.querySelector('#history-end').textContent.includes('begins'))"
    )


async def test_a_recording_is_deleted_comes_back_and_is_erased(tmp_path: Path) -> None:
    async with filmed(tmp_path) as home:
        page = home.at.page
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await page.reload()
        await page.click(f"#open-{home.clip_id}")
        await page.wait_for_selector("#clip-video")
        await delete(page, now=False)
        await expect(page.locator("#clip-deleted")).to_contain_text("Ada deleted this recording")
        assert await page.locator("#clip-stage").count() == 0
        assert (home.is_shown, home.is_on_card) == (False, True)

        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await expect(page.locator("#show-deleted")).to_be_visible()
        assert await page.locator(f"#open-{home.clip_id}").count() == 0
        await page.click("#show-deleted")
        await page.click(f"#open-{home.clip_id}")
        await page.click("#undelete")
        await page.wait_for_selector("#clip-video")
        assert home.is_shown

        await delete(page, now=True)
        await expect(page.locator("#clip-erased")).to_be_visible()
        assert (home.is_shown, home.is_on_card) == (False, False)
        assert len(home.rig.library.deletions()) == 1
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await expect(page.locator("#history-state .empty")).to_be_visible()
        assert await page.locator("#show-deleted").count() == 0
        assert home.at.person.faults == []


async def test_another_owners_keep_wins_and_is_named(tmp_path: Path) -> None:
    async with filmed(tmp_path) as home:
        bo = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
        home.rig.owners.add(Owner(name="Bo", passkey=bo.key))
        page = home.at.page
        await page.goto(f"{OWNER_ORIGIN}/#/history/{home.at.device}/{home.clip_id}")
        await page.reload()
        await page.wait_for_selector("#clip-video")
        await home.judge(
            home.rig.seal(home.rig.sign(KeepClips(clips=[home.clip_id], is_kept=True), by=bo))
        )
        await expect(page.locator("#clip-actions")).to_contain_text("Bo keeps it")
        await delete(page, now=True)
        await expect(page.locator("#statement-refused")).to_contain_text("Another owner keeps it")
        await expect(page.locator("#statement-refused")).to_contain_text("Bo")
        assert home.is_on_card


async def test_days_filters_and_older_pages(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        now_ms = time.time_ns() // 1_000_000
        await tell_history(at.world, at.device, 900, now_ms=now_ms)
        page = at.page
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await page.reload()
        await page.wait_for_selector(ROWS)
        assert await page.locator(".day h2").first.inner_text() in ("Today", "Yesterday")
        first = page.locator(".day-line input").first
        assert await first.get_attribute("max") in ("1379", "1439", "1499")
        await read_all(page)
        days = await page.locator(".day").count()
        assert 900 // 2 // A_DAY <= days <= 900 // 2 // A_DAY + 2
        await page.wait_for_function(IN_PART, arg=ROWS)  # rows far from the screen are let go
        await page.click("#show-ring")
        await expect(page.locator(".day [data-testid=entry-motion]")).to_have_count(0)
        await expect(page.locator(".day [data-testid=entry-pressed]").first).to_be_visible()
        assert "show=ring" in page.url
        await page.click("#show-kept")
        await expect(page.locator("#show-all")).to_be_visible()
        await page.click("#show-all")
        await page.wait_for_selector("[data-testid=entry-motion]")
        assert at.person.faults == []


async def test_the_line_leads_along_the_day_also_by_keys(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        now_ms = time.time_ns() // 1_000_000
        await tell_history(at.world, at.device, 400, now_ms=now_ms)
        page = at.page
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await page.reload()
        await page.wait_for_selector(ROWS)
        await read_all(page)  # a day that isn't whole would grow
        line = page.locator(".day-line input").nth(1)
        await line.focus()
        await page.keyboard.press("Home")
        said = await line.get_attribute("aria-valuetext") or ""
        assert said.startswith("00:00. ")
        oldest = page.locator(".day").nth(1).locator(".row").last
        await expect(oldest).to_be_in_viewport()
        assert said.split(". ", 1)[1].split(" · ")[0] in await oldest.inner_text()


async def test_the_thumb_on_a_days_line_stays_while_the_day_grows(tmp_path: Path) -> None:
    """Seen to fail while a day that changed was drawn anew with its line."""
    async with visiting(tmp_path) as at:
        await at.world.tell(at.device, Pressed())
        page = at.page
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await page.reload()
        await page.wait_for_selector(ROWS)
        rows = await page.locator(ROWS).count()
        line = page.locator(".day-line input").first
        await line.focus()
        await page.keyboard.press("Home")
        await at.world.tell(at.device, Pressed())
        await expect(page.locator(ROWS)).to_have_count(rows + 1)
        await expect(line).to_be_focused()
        assert await line.input_value() == "0"
