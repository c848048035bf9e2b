"""An owner's app makes a Wi-Fi code, and nothing of the network leaves the browser but by the
screen.

Chromium, the relay's real HTTP side, a real passkey. Looked through is all that the browser sent
and all that it keeps, for name, password and key in every form in which they could stand.
"""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Request, expect

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.protocol.notes import SettingsNow, WifiTried
from firmware.protocol.wifi import (
    CODE_LIFE_MS,
    derived_key,
    open_wifi,
    parse_wifi_code,
    signer_of_wifi,
)
from tests.flows.asked_home import Home, home_in_browser
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

NAME, WORDS = "Öbergs nät", 'kanari"fagel 7'
KEPT = """async () => {
  const { entries } = await new Promise((done) => {
    const open = indexedDB.databases().then(async (all) => {
      const entries = [];
      for (const { name } of all) {
        const db = await new Promise((ok) => {
          const asked = indexedDB.open(name);
          asked.onsuccess = () => ok(asked.result);
        });
        for (const store of db.objectStoreNames) {
          const got = db.transaction(store).objectStore(store).getAll();
          entries.push(await new Promise((ok) => { got.onsuccess = () => ok(got.result); }));
        }
        db.close();
      }
      done({ entries });
    });
  });
  const letters = (bytes) => [...bytes].map((byte) => String.fromCharCode(byte)).join("");
  const plain = (_, value) => (value instanceof Uint8Array ? letters(value) : value);
  const stored = [{ ...localStorage }, { ...sessionStorage }, entries];
  return JSON.stringify([location.href, ...stored], plain);
}"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def forms_of(secret: bytes) -> set[str]:
    """Return a secret as it could stand in an address or a body."""
    text = secret.decode("latin-1")
    encoded = {
        base64.b64encode(b"x" * shift + secret).decode()[4:-4].rstrip("=") for shift in range(3)
    }
    found = {text, secret.hex(), secret.hex().upper(), quote(secret), *encoded}
    with_utf8 = {secret.decode()} if _is_utf8(secret) else set()
    return {one for one in found | with_utf8 if len(one) >= 6}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


SECRETS = set().union(
    forms_of(NAME.encode()),
    forms_of(WORDS.encode()),
    forms_of(bytes.fromhex(derived_key(NAME.encode(), WORDS))),
)


async def open_page(home: Home) -> None:
    """Open the page once the doorbell has said a word of its own."""
    await home.tell(SettingsNow(statement_digest="a" * 64, settings=None, at_ms=0))
    await home.page.goto(f"{OWNER_ORIGIN}/#/wifi/{home.device}")
    await home.page.reload()
    await home.page.wait_for_selector("#wifi-form")


async def make_code(home: Home, *, country: str = "se") -> str:
    """Fill in the form, sign, and return what the camera would read."""
    await home.page.fill("#wifi-name", NAME)
    await home.page.fill("#wifi-password", WORDS)
    await home.page.fill("#wifi-country", country)
    await home.page.click("#make-wifi-code")
    await home.page.wait_for_selector("#wifi-qr")
    return await home.page.get_attribute("#wifi-qr", "data-text") or ""


def read_from_a_screen(picture: bytes) -> list[str]:
    """Read a phone's picture of a code as a camera of 640 × 480 may see it."""
    code = Image.open(io.BytesIO(picture)).convert("L").resize((400, 400))
    seen = Image.new("L", (640, 480), 90)
    seen.paste(code, (120, 40))
    plane = np.asarray(seen).tobytes()
    return read_texts(LumaFrame(pts_90k=0, width=640, height=480, stride=640, data=plane))


async def test_the_code_opens_at_the_doorbell_and_nothing_of_it_goes_to_the_relay(
    world: World,
) -> None:
    sent: list[Request] = []
    async with home_in_browser(world, service_workers="allow") as home:
        home.page.context.on("request", lambda request: sent.append(request))
        await open_page(home)
        before = len(sent)
        text = await make_code(home)
        assert await home.page.evaluate(WIDER_THAN_SCREEN) == []
        assert read_from_a_screen(await home.page.locator("#wifi-qr").screenshot()) == [text]

        code = parse_wifi_code(text)
        owner = signer_of_wifi(code, device=home.device, owners=[home.owner.owner])
        assert owner == home.owner.owner
        found = open_wifi(code, device=home.device, private_key=home.keys.sealing_private_key)
        assert (found.network.ssid, found.network.country) == (NAME.encode(), "SE")
        assert found.network.key == derived_key(NAME.encode(), WORDS)
        now_ms = world.clock.wall_ms()
        assert now_ms < found.expires_ms <= now_ms + CODE_LIFE_MS + 60_000

        await home.page.click("#wifi-again")
        await home.page.wait_for_selector("#wifi-form")
        assert await home.page.input_value("#wifi-password") == ""
        assert await home.page.input_value("#wifi-name") == ""
        kept = await home.page.evaluate(KEPT)
    assert before > 0, "nothing was looked at"
    said = [f"{one.url} {one.headers} {one.post_data or ''}" for one in sent]
    for looked_at in (*said, kept):
        assert text not in looked_at
        assert not [secret for secret in SECRETS if secret in looked_at]


async def test_before_a_word_of_the_doorbells_own_nothing_is_sealed_and_then_it_says_how_it_ended(
    world: World,
) -> None:
    """The key to seal to is the relay's word alone until the doorbell has named it."""
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/wifi/{home.device}")
        await expect(page.locator("#wifi-no-key")).to_be_visible()
        assert await page.locator("#wifi-form").count() == 0
        await open_page(home)

        await expect(page.locator("#wifi-password")).to_have_attribute("type", "password")
        await page.check("#wifi-show")
        await expect(page.locator("#wifi-password")).to_have_attribute("type", "text")
        await page.fill("#wifi-country", "SE")
        await page.fill("#wifi-password", "short")
        for name, words in (("x" * 33, "32 bytes"), ("Home", "8 to 63")):
            await page.fill("#wifi-name", name)
            await page.click("#make-wifi-code")
            await expect(page.locator("#wifi-wrong")).to_contain_text(words)
        assert await page.locator("#wifi-qr").count() == 0

        now_ms = world.clock.wall_ms()
        await home.tell(WifiTried(name="Evil <b>twin</b>", reason="no_relay", at_ms=now_ms))
        await expect(page.locator("#wifi-outcome")).to_contain_text("Evil <b>twin</b>")
        await expect(page.locator("#wifi-outcome")).to_contain_text("certificate")
        await home.tell(WifiTried(name="Home", reason="", at_ms=now_ms + 1000))
        await expect(page.locator("#wifi-outcome.ok")).to_contain_text("Home")
