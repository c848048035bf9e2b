"""A ring reaches a phone in a pocket: doorbell, relay, push service, service worker.

All programs are real but for Chromium's connection to its maker's push service (see phone.py).
"""

import asyncio
import time
from pathlib import Path

import pytest

from tests.fakes.push_service import run_push_service
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.flows.browser import chromium, pictured_on_failure, sit_down, unpaired_town
from tests.flows.people import join_as_owner, pair
from tests.flows.phone import Phone

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ENCRYPTED_BYTES = 16 + 4 + 1 + 65 + 1200 + 1 + 16


async def shown_titles(phone: Phone, title: str) -> dict:
    """Wait for a notification of this title that has its picture."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        for one in await phone.shown():
            if one["title"].startswith(title) and one["image"]:
                return one
        assert time.monotonic() < end_s, await phone.shown()
        await asyncio.sleep(0.1)


async def test_a_ring_reaches_a_phone_with_its_picture_and_is_answered(tmp_path: Path) -> None:
    with run_push_service() as service:
        async with (
            unpaired_town(tmp_path / "town") as (settings, door, _),
            chromium() as browser,
            pictured_on_failure(browser, tmp_path),
        ):
            owner, home = [await sit_down(browser) for _ in range(2)]
            phone = await Phone.of(owner.page, settings.app_url, endpoint=service.endpoint())
            await join_as_owner(owner.page, settings)
            await pair(owner.page, home.page, door, settings)
            await phone.wait_until_installed()
            await owner.page.goto(f"{settings.app_url}/#/settings/notifications")
            await owner.page.click("#push-save")
            await owner.page.wait_for_selector("#push-said")
            await owner.page.goto("about:blank")

            await door.ring()
            await eventually(lambda: bool(service.sent))
            sent = service.sent[0]
            assert sent.headers["content-encoding"] == "aes128gcm"
            assert len(sent.body) == ENCRYPTED_BYTES
            await phone.deliver(phone.at_service.decrypt(sent.body))
            await asyncio.sleep(1)
            await owner.page.goto(f"{settings.app_url}/config.json")  # runs nothing of the app
            ring = await shown_titles(phone, "Somebody pressed the bell")
            await phone.tap(ring["tag"], "reply")
            said = await shown_titles(phone, "Not played")
            assert "no quick reply set" in said["title"]
