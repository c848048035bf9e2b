"""A browser as a phone in somebody's pocket: what the push service hands it, and what it shows.

Chromium's own connection to its push service is the one thing that isn't real: where to push is an
address on this machine, and what arrives there is decrypted with the subscription's key, as the
browser would, and handed to the service worker as its push event.
"""

import asyncio
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import BrowserContext, CDPSession, Page

from relay.web.app_server import BUNDLE
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.story.settings import REPOSITORY

SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  const shown = await registration.getNotifications();
  return shown.map((one) => ({
    title: one.title, body: one.body, tag: one.tag, silent: one.silent, image: one.image,
    stays: one.requireInteraction, lang: one.lang, data: one.data,
    actions: one.actions.map(({ action }) => action),
  }));
}"""
IS_INSTALLED = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  return Boolean(registration?.active);
}"""
SUBSCRIBES_HERE = """({ endpoint, p256dh, auth }) => {
  const bytes = (text) => Uint8Array.from(
    atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)).buffer;
  const KEY = "test.push";
  const made = (options) => ({
    endpoint, options, expirationTime: null,
    getKey: (name) => bytes({ p256dh, auth }[name]),
    unsubscribe: async () => { localStorage.removeItem(KEY); return true; },
  });
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    localStorage.setItem(KEY, JSON.stringify([...new Uint8Array(applicationServerKey)]));
    return made({ applicationServerKey: new Uint8Array(applicationServerKey).buffer });
  };
  PushManager.prototype.getSubscription = async () => {
    const key = JSON.parse(localStorage.getItem(KEY));
    return key && made({ applicationServerKey: Uint8Array.from(key).buffer });
  };
}"""
CLICK = """async ({ tag, action }) => {
  const [notification] = await self.registration.getNotifications({ tag });
  self.dispatchEvent(new NotificationEvent("notificationclick", { notification, action }));
}"""

LIST_ANEW = """
import { writeWorker } from "./relay/web/service_worker.mjs";
writeWorker(process.argv[1]);
"""


_copies: list[TemporaryDirectory[str]] = []


async def until(page: Page, is_so: str, arg: object = None, within_s: float = PATIENCE_S) -> None:
    """Evaluate until the outcome is true; unlike Playwright's own, this waits for promises."""
    end_s = time.monotonic() + within_s
    while not await page.evaluate(is_so, arg):
        assert time.monotonic() < end_s, f"it never came about: {is_so}"
        await asyncio.sleep(0.05)


async def copy_of_the_app(folder: Path) -> Path:
    """Return a copy of the owner's app, listed as it is: its worker keeps no file that isn't."""
    bundle = folder / "bundle"
    await asyncio.to_thread(shutil.copytree, BUNDLE, bundle)
    await list_anew(bundle)
    return bundle


async def one_copy_of_the_app() -> Path:
    """Return such a copy that nobody changes: made once a process, and removed at its end."""
    if not _copies:
        folder = TemporaryDirectory(prefix="owner-app-")
        await copy_of_the_app(Path(folder.name))
        _copies.append(folder)
    return Path(_copies[0].name) / "bundle"


async def list_anew(bundle: Path) -> None:
    """List the files of a bundle as `npm run vendor` does."""
    program = ["node", "--input-type=module", "-e", LIST_ANEW, str(bundle)]
    await asyncio.to_thread(subprocess.run, program, cwd=REPOSITORY, check=True)


@dataclass
class Phone:
    """One browser context; `at_service` is its subscription's private side."""

    context: BrowserContext
    page: Page
    origin: str
    devtools: CDPSession
    at_service: PushSubscription = field(default_factory=PushSubscription)
    registration_id: str = ""

    @classmethod
    async def of(
        cls, page: Page, origin: str, *, endpoint: str = "https://push.test/abc", may: bool = True
    ) -> "Phone":
        """Take a page's browser; `may`: its owner allows notifications when asked."""
        context = page.context
        if may:
            await context.grant_permissions(["notifications"], origin=origin)
        devtools = await context.new_cdp_session(page)
        phone = cls(context, page, origin, devtools)
        devtools.on("ServiceWorker.workerRegistrationUpdated", phone._learn)
        await devtools.send("ServiceWorker.enable")
        push = phone.at_service.push
        keys = {"endpoint": endpoint, "p256dh": push.p256dh, "auth": push.auth}
        await context.add_init_script(f"({SUBSCRIBES_HERE})({json.dumps(keys)})")
        return phone

    async def wait_until_installed(self) -> None:
        """Wait until the app's service worker runs."""
        await until(self.page, IS_INSTALLED)
        await eventually(lambda: self.registration_id)

    async def block(self) -> None:
        """Have the phone's owner block notifications of this app."""
        info = await self.devtools.send("Target.getTargetInfo")
        no = {
            "permission": {"name": "notifications"},
            "setting": "denied",
            "origin": self.origin,
            "browserContextId": info["targetInfo"]["browserContextId"],
        }
        await self.devtools.send("Browser.setPermission", no)

    async def deliver(self, plain: bytes | str) -> None:
        """Have the browser's push event carry this."""
        text = plain if isinstance(plain, str) else plain.decode()
        what = {"origin": self.origin, "registrationId": self.registration_id, "data": text}
        await self.devtools.send("ServiceWorker.deliverPushMessage", what)

    async def shown(self) -> list[dict[str, Any]]:  # Any: what JSON holds
        """Return the notifications that are there; the page must be one of the app's."""
        found: list[dict[str, Any]] = await self.page.evaluate(SHOWN)
        return found

    async def tap(self, tag: str, action: str = "") -> None:
        """Tap a notification, or one of its buttons. A focus that this gives is refused by
        Chromium, since nobody really tapped: only what follows from it can be looked at."""
        (worker,) = self.context.service_workers
        await worker.evaluate(CLICK, {"tag": tag, "action": action})

    def _learn(self, event: dict[str, Any]) -> None:
        for registration in event["registrations"]:
            if registration["scopeURL"] == f"{self.origin}/" and not registration["isDeleted"]:
                self.registration_id = registration["registrationId"]
