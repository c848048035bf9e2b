"""A real Home Assistant with our component, seen in Chromium (`make soak`; .ci/home_assistant).

It is set up as people do: onboarding, the component copied into its folder, the config flow. Then
somebody rings, the dashboard shows the picture, Watch is pressed and live pictures come.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.flows.browser import chromium, pictured_on_failure
from tests.home_assistant.component.door_process import COMPONENTS, DoorProcess, door_process
from tests.story.settings import REPOSITORY

HASS = REPOSITORY / ".state" / "home_assistant" / "bin" / "hass"
PICTURES = Path(os.environ.get("DOORWARD_PICTURES", REPOSITORY / ".state" / "pictures"))
UP_WITHIN_S = 240.0
CONFIGURATION = """
homeassistant:
  name: Home
  time_zone: Europe/Stockholm
http:
  server_host: 127.0.0.1
  server_port: {port}
frontend:
config:
api:
media_source:
onboarding:
lovelace:
  mode: yaml
"""
DASHBOARD = """
title: Home
views:
  - title: Door
    cards:
      - type: picture-entity
        entity: camera.doorbell
      - type: entities
        entities: [event.doorbell_ring, event.doorbell_motion, sensor.doorbell_picture_taken,
                   button.doorbell_watch]
"""
FRAMES = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((node) =>
    [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
  const video = all(document).find((node) => node.localName === "video");
  return video ? video.getVideoPlaybackQuality().totalVideoFrames : 0;
}"""


@asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[str]:
    """Run Home Assistant with our component; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copytree(COMPONENTS, folder, dirs_exist_ok=True)
    (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
    (folder / "ui-lovelace.yaml").write_text(DASHBOARD)
    with (folder / "hass.log").open("w") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [HASS, "-c", folder, "--skip-pip"], stdout=log, stderr=log
        )
        url = f"http://127.0.0.1:{port}"
        try:
            async with httpx2.AsyncClient() as http, asyncio.timeout(UP_WITHIN_S):
                while not await is_up(http, url):
                    assert process.poll() is None, (folder / "hass.log").read_text()[-2000:]
                    await asyncio.sleep(1)
            yield url
        finally:
            process.terminate()
            process.wait(60)


async def is_up(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/api/onboarding")).status_code == 200
    except httpx2.HTTPError:
        return False


async def signed_in(url: str) -> dict:
    """Be the first user; return Home Assistant's tokens."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        client = f"{url}/"
        user = {
            "client_id": client,
            "name": "Mary",
            "username": "mary",
            "password": "a password",
            "language": "en",
        }
        code = (await http.post("/api/onboarding/users", json=user)).json()["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        tokens = (await http.post("/auth/token", data=form)).json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        for step, body in (
            ("core_config", {}),
            ("analytics", {}),
            ("integration", {"client_id": client, "redirect_uri": client}),
        ):
            await http.post(f"/api/onboarding/{step}", json=body, headers=headers)
        return {**tokens, "hassUrl": url, "clientId": client, "expires": 9_999_999_999_999}


async def set_up(url: str, tokens: dict, door: DoorProcess) -> None:
    """Go through the config flow."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with httpx2.AsyncClient(base_url=url, timeout=60, headers=headers) as http:
        flow = "/api/config/config_entries/flow"
        begun = (await http.post(flow, json={"handler": "doorward"})).json()
        given = {"url": door.url, "token": door.token}
        done = (await http.post(f"{flow}/{begun['flow_id']}", json=given)).json()
        assert done["type"] == "create_entry", done


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"home_assistant_{name}.png")


@pytest.mark.skipif(not HASS.exists(), reason="Home Assistant isn't here (.ci/home_assistant)")
async def test_home_assistant_shows_the_door(tmp_path: Path) -> None:
    with door_process() as door:
        async with (
            home_assistant(tmp_path) as url,
            chromium() as browser,
            pictured_on_failure(browser, tmp_path),
        ):
            tokens = await signed_in(url)
            await set_up(url, tokens, door)
            context = await browser.new_context(viewport={"width": 1000, "height": 900})
            page = await context.new_page()
            page.set_default_timeout(240_000)
            await page.goto(f"{url}/manifest.json")
            await page.evaluate(
                "tokens => localStorage.setItem('hassTokens', JSON.stringify(tokens))", tokens
            )
            await page.goto(f"{url}/lovelace/0")
            await expect(page.get_by_text("Picture taken")).to_be_visible(timeout=240_000)
            door.tell("ring")
            await expect(page.locator("hui-image img").first).to_be_visible(timeout=60_000)
            await page.wait_for_timeout(2000)
            await picture(page, "ring")
            door.tell("clock 1000")
            await page.get_by_role("button", name="Press").click()
            await page.locator("hui-picture-entity-card").click()
            await page.wait_for_function(f"({FRAMES})() >= 5")
            await picture(page, "live")
            assert door.tell("say")["watching"] == ["Home Assistant"]
