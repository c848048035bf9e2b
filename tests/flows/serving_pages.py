"""A relay of tests on this machine, and Chromium that finds it by its name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from playwright.async_api import Browser

from tests.flows.browser import chromium, kept_listener
from tests.flows.every_page import House
from tests.flows.serving import serving
from tests.relay.http_world import RELAY_URL


@asynccontextmanager
async def relay_browser(house: House) -> AsyncIterator[Browser]:
    """Serve the relay, and start a browser."""
    async with (
        serving(house.world.app, kept=kept_listener("relay")) as port,
        chromium(
            f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}",
            f"--unsafely-treat-insecure-origin-as-secure={RELAY_URL}",
        ) as browser,
    ):
        yield browser
