"""People with real browsers: Debian's Chromium, a virtual authenticator each, and a town.

A file's tests may take one browser in turns (`IN_ONE_BROWSER`), each with contexts of its own.
"""

import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    CDPSession,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from tests.story.children import Children
from tests.story.door import Door
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.town import make_town, write_doorbell_settings

CHROMIUM_FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 60_000
"""For what is waited for on a page; only failures wait so long."""
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}

IN_ONE_BROWSER = (
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("kept_browsers"),
)
"""Marks of a file whose tests take the same browser, one after the other."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBrowsers:
    """Browsers by their flags, and the listening sockets that these flags name by their ports."""

    playwright: Playwright
    browsers: dict[tuple[str, ...], Browser] = field(default_factory=dict)
    listeners: dict[str, socket.socket] = field(default_factory=dict)

    async def browser(self, flags: tuple[str, ...]) -> Browser:
        """Return the browser with these flags, started if it isn't there."""
        known = self.browsers.get(flags)
        if known is None or not known.is_connected():
            known = self.browsers[flags] = await launch(self.playwright, *flags)
        return known


_kept: list[KeptBrowsers] = []
"""Of the file whose tests run, if it keeps its browsers."""


def chromium_path() -> str:
    """Return Debian's Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise AssertionError("Chromium is missing: `make test` installs it, or says how")
    return found


async def launch(playwright: Playwright, *flags: str, program: Path | None = None) -> Browser:
    """Start one headless browser, or what `program` starts as one."""
    return await playwright.chromium.launch(
        executable_path=program or chromium_path(), args=[*CHROMIUM_FLAGS, *flags]
    )


@asynccontextmanager
async def chromium(*flags: str, program: Path | None = None) -> AsyncIterator[Browser]:
    """Start one headless browser, or take the one that is kept; no context of it stays open."""
    if _kept and program is None:
        browser = await _kept[-1].browser(flags)
        others = browser.contexts
        try:
            yield browser
        finally:
            for context in browser.contexts:
                if context not in others:
                    await context.close()
        return
    async with async_playwright() as playwright:
        browser = await launch(playwright, *flags, program=program)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def keeping_browsers() -> AsyncIterator[None]:
    """Keep browsers and their ports until the end of the block."""
    async with async_playwright() as playwright:
        kept = KeptBrowsers(playwright=playwright)
        _kept.append(kept)
        try:
            yield
        finally:
            _kept.remove(kept)
            for browser in kept.browsers.values():
                await browser.close()
            for listener in kept.listeners.values():
                listener.close()


def kept_listener(name: str) -> socket.socket | None:
    """Return the listening socket of this name, which has one port as long as browsers are kept.

    None if none are.
    """
    if not _kept:
        return None
    listeners = _kept[-1].listeners
    if name not in listeners:
        listeners[name] = socket.create_server(("127.0.0.1", 0))
    return listeners[name]


@asynccontextmanager
async def pictured_on_failure(browser: Browser, folder: Path) -> AsyncIterator[None]:
    """Leave a picture of every open page in `folder` when the block fails."""
    try:
        yield
    except BaseException:
        pages = [page for context in browser.contexts for page in context.pages]
        for number, page in enumerate(pages, start=1):
            await page.screenshot(path=folder / f"page-{number}.png", full_page=True)
        raise


@asynccontextmanager
async def loading(page: Page) -> AsyncIterator[None]:
    """Do what makes a page load itself anew or another one; wait until that one's modules run.

    What a test waits for may stand on the page before as well, and a press of a button whose
    module isn't there yet does nothing, or sends its form as a browser does by itself.
    """
    async with page.expect_event("load"):
        yield


@dataclass(slots=True)
class Person:
    """Somebody with a browser window of their own, and a passkey in it."""

    context: BrowserContext
    page: Page
    faults: list[str]
    devtools: CDPSession
    authenticator_id: str

    async def bring_passkeys_to(self, other: "Person") -> None:
        """Have these passkeys on another device as well, as a maker's cloud would."""
        mine = {"authenticatorId": self.authenticator_id}
        held = await self.devtools.send("WebAuthn.getCredentials", mine)
        for credential in held["credentials"]:
            added = {"authenticatorId": other.authenticator_id, "credential": credential}
            await other.devtools.send("WebAuthn.addCredential", added)


async def window(browser: Browser, **options: object) -> Page:
    """Open a window of its own, without an authenticator, in which a busy machine has its time."""
    context = await browser.new_context(**({"locale": "en-GB"} | options))  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    return await context.new_page()


async def sit_down(browser: Browser, **options: object) -> Person:
    """Give somebody a window whose authenticator says yes; collect what its console complains."""
    return await sit_down_in(await browser.new_context(locale="en-GB", **options))


async def sit_down_in(context: BrowserContext) -> Person:
    """Give somebody a window of this context."""
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    added = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            faults.append(f"{message.type}: {message.text} {message.location.get('url', '')}")
            if message.type == "error"
            else None
        ),
    )
    return Person(context, page, faults, devtools, added["authenticatorId"])


@asynccontextmanager
async def unpaired_town(
    data_dir: Path, *, has_real_delays: bool = False
) -> AsyncIterator[tuple[Settings, Door, Children]]:
    """Start everything on free ports with a doorbell that is enrolled but has no owner."""
    settings = Settings(
        data_dir=data_dir,
        ports=Ports(**dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))),
        video=None,
        is_once=True,
        is_json=False,
        has_real_delays=has_real_delays,
    )
    data_dir.mkdir(exist_ok=True)
    await make_town(settings)
    write_doorbell_settings(settings)
    children = Children(data_dir)
    servers = Servers(settings, children)
    door = Door(settings.door_url, settings.doorbell_dir / "control.sock")
    try:
        await servers.start_carriers()
        await servers.start("doorbell")
        await door.wait_until_online()
        yield settings, door, children
    finally:
        await door.close()
        await children.stop_all()
        servers.clean_up()
