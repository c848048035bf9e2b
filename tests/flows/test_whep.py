"""A third party's WHEP player, in Chromium, watches the door through `doorward-view`.

The player is whip-whep from npm, unchanged; the owner lets it in on the app's page, the doorbell's
verifier judges what the passkey signed, and the doorbell's own live view answers.
"""

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.guard import Guard
from firmware.companion.viewer.relay_client import RelayClient
from firmware.companion.viewer.whep import build_whep
from firmware.consent.facts import Decision
from firmware.protocol.decisions import GiveRight
from firmware.protocol.players import PlayerSetup, parse_code_text
from firmware.protocol.rights import DAY_MS, SELF_RENEWED_MS, Right, What
from tests.fakes.waiting import eventually
from tests.flows.browser import window
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.live_session import Visit, enrolled, judged, visiting
from tests.flows.serving import serving
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).parents[2]
CLIENT = REPOSITORY / "node_modules" / "whip-whep"
PAGE = "<!doctype html><meta charset=utf-8><title>Player</title><video muted autoplay></video>"
VIEW = """async ({url, token}) => {
  const { WHEPClient } = await import("/whip-whep/whep.js");
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.addTransceiver("video", { direction: "recvonly" });
  const video = document.querySelector("video");
  pc.ontrack = ({ track }) => {
    if (track.kind === "video") video.srcObject = new MediaStream([track]);
  };
  window.shown = 0;
  const count = () => { window.shown += 1; video.requestVideoFrameCallback(count); };
  video.requestVideoFrameCallback(count);
  window.client = new WHEPClient();
  await window.client.view(pc, url, token);
}"""


def run(folder: Path, *arguments: str, given: str = "") -> str:
    """Run `doorward-view` as a person does; return what it printed."""
    command = [sys.executable, "-m", "firmware.companion.viewer", "--data", str(folder), *arguments]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def player_site() -> Starlette:
    """Serve the player's page, with the package as npm installed it."""
    assert (CLIENT / "whep.js").exists(), "whip-whep is missing: run `npm ci`"
    return Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(PAGE)),
            Mount("/whip-whep", StaticFiles(directory=CLIENT)),
        ]
    )


@asynccontextmanager
async def gateway(at: Visit, folder: Folder, setup: PlayerSetup, port: int) -> AsyncIterator[str]:
    """Serve WHEP with the folder's keys, as `doorward-view run` does; yield its origin."""
    transport = httpx2.ASGITransport(app=at.world.app)
    async with httpx2.AsyncClient(transport=transport) as http:
        sessions = Gateway(
            keys=folder.keys(),
            setup=setup,
            relay=RelayClient(http, setup),
            clock=MachineClock(),
        )
        guard = Guard(token=folder.local_token(), hosts={f"127.0.0.1:{port}"})
        async with serving(build_whep(sessions, guard), port) as at_port:
            yield f"http://127.0.0.1:{at_port}"
        await sessions.aclose()


async def let_in(at: Visit, folder: Path, *, days: int = 30) -> PlayerSetup:
    """Paste the player's code in the app and sign; return what the app gave for the player."""
    code = run(folder, "keygen", "--name", "Hall wall").split("\n\n")[1].strip()
    await at.page.goto(f"{OWNER_ORIGIN}/#/players")
    await at.page.reload()
    await at.page.fill("#player-code", code)
    await at.page.select_option("#player-until", str(days))
    pressed_ms = time.time_ns() // 1_000_000
    await at.page.click("#let-player-in")
    checked = await judged(at)
    assert isinstance(checked, Decision), checked
    assert isinstance(checked.terms, GiveRight), checked
    assert checked.terms.browser == parse_code_text(code)
    from_ms, now_ms = checked.terms.until_ms - days * DAY_MS, time.time_ns() // 1_000_000
    assert pressed_ms - 60_000 < from_ms <= now_ms + 60_000
    shown = at.page.locator("[data-testid=player-words] li")
    await expect(shown).to_have_count(6)
    said = run(folder, "setup", given=await at.page.input_value("#player-setup"))
    assert " ".join(await shown.all_inner_texts()) in said
    assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
    return Folder(folder).setup()


async def confirm_at_the_door(at: Visit, folder: Path, *what: What) -> None:
    may: list[What] = sorted(what or ("live",))
    keys = Folder(folder).keys().public
    now_ms = time.time_ns() // 1_000_000
    until_ms = now_ms + SELF_RENEWED_MS
    right = Right(holder="player", what=may, from_ms=0, until_ms=until_ms)
    at.here.browsers.give(keys, at.owner.passkey.credential_id, right, now_ms)
    told = enrolled(keys.id, keys.name)
    await at.note(msgspec.structs.replace(told, holder="player", what=may))


async def watch(page: Page, origin: str, folder: Path) -> None:
    token = Folder(folder).local_token()
    await page.evaluate(VIEW, {"url": f"{origin}/whep", "token": token})


async def test_a_whep_player_from_npm_shows_the_door_once_the_owner_let_it_in(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    folder = tmp_path / "view"
    async with visiting(tmp_path) as at, serving(player_site()) as site:
        setup = await let_in(at, folder)
        assert (setup.relay, setup.device) == (RELAY_URL, at.device)
        async with gateway(at, Folder(folder), setup, unused_tcp_port) as origin:
            page = await window(at.browser)
            await page.goto(f"http://127.0.0.1:{site}/")
            with pytest.raises(Exception, match="status 403"):
                await watch(page, origin, folder)
            await confirm_at_the_door(at, folder)
            await expect(at.page.locator("[data-testid=player-in]")).to_be_visible()
            await expect(at.page.locator("[data-testid=player]")).to_contain_text("Hall wall")
            await watch(page, origin, folder)
            await page.wait_for_function("() => window.shown >= 5")
            assert await page.evaluate("document.querySelector('video').videoWidth") > 0
            assert [one.who.browser_name for one in at.here.live.watchers] == ["Hall wall"]
            await page.evaluate("() => window.client.stop()")
            await eventually(lambda: at.here.live.sessions == 0)
        assert at.person.faults == []


async def nonce_status(at: Visit, setup: PlayerSetup) -> int:
    """Return how the relay answers the player's token."""
    async with at.world.browser() as http:
        http.headers["Authorization"] = f"Bearer {setup.token}"
        return (await http.post(f"/api/v1/doorbells/{at.device}/nonce")).status_code


async def test_a_player_is_renewed_with_the_set_up_that_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "view"
    async with visiting(tmp_path) as at:
        setup = await let_in(at, folder)
        await confirm_at_the_door(at, folder)
        await at.page.reload()
        await at.page.fill("#player-code", run(folder, "code"))
        await at.page.click("#let-player-in")
        await expect(at.page.locator("#new-setup")).to_be_visible()
        await expect(at.page.locator("#player-setup")).to_have_count(0)
        assert await nonce_status(at, setup) == 200
        await at.page.click("#new-setup")
        await expect(at.page.locator("#player-setup")).to_be_visible()
        assert await nonce_status(at, setup) == 401


async def test_a_player_is_ended_from_the_app(tmp_path: Path) -> None:
    folder = tmp_path / "view"
    async with visiting(tmp_path) as at:
        setup = await let_in(at, folder)
        await confirm_at_the_door(at, folder)
        await at.page.reload()
        row = at.page.locator("[data-testid=player]")
        await expect(row).to_contain_text("Hall wall")
        await row.locator("button").click()
        await expect(row).to_have_count(0)
        assert await nonce_status(at, setup) == 401


async def test_owners_see_that_a_player_may_copy_their_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "view"
    async with visiting(tmp_path) as at:
        await let_in(at, folder, days=365)
        await expect(at.page.get_by_text("copy each to that machine")).to_be_visible()
        await confirm_at_the_door(at, folder, "history", "live")
        row = at.page.locator("[data-testid=player]")
        await expect(row).to_contain_text("Recordings, and copies of all · Live · ")
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
