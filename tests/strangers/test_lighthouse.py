"""The owner's app and the public pages before Lighthouse: accessibility and best practices."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import BrowserContext, async_playwright

from tests.flows.browser import CHROMIUM_FLAGS, chromium_path
from tests.story.settings import free_ports
from tests.strangers.tools import NODE, needs, needs_npm, run
from tests.strangers.town import LivingTown

CATEGORIES = ("accessibility", "best-practices")
PUBLIC = ("/", "/requests", "/transparency", "/agencies", "/passing-by")
VIEWS = ("#/", "#/history", "#/requests", "#/settings", "#/settings/people")
SIGN_IN = "(account) => localStorage.setItem('doorward.account', account)"


def judged(url: str, port: int, report: Path) -> dict[str, Any]:
    """Return Lighthouse's report of a page, in the browser at that port as it is."""
    done = run(
        NODE / ".bin" / "lighthouse", url, "--port", str(port), "--quiet",
        "--only-categories", ",".join(CATEGORIES), "--output", "json", "--output-path", report,
        "--disable-storage-reset", "--throttling-method", "provided", "--no-enable-error-reporting",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(report.read_text())
    return told


def faults_in(told: dict[str, Any]) -> list[str]:
    """Return the audits that cost a page its hundred."""
    assert told.get("runtimeError") is None, told["runtimeError"]
    found = []
    for name in CATEGORIES:
        category = told["categories"][name]
        if category["score"] == 1:
            continue
        found += [
            f"{name} {category['score']}: {one['id']}"
            for one in category["auditRefs"]
            if one["weight"] > 0 and told["audits"][one["id"]]["score"] not in (None, 1)
        ] or [f"{name} {category['score']}"]
    return found


async def sign_in(context: BrowserContext, town: LivingTown) -> None:
    """Sign the browser in as the town's owner."""
    owner = town.town.people.owner
    _, _, token = owner.api.http.headers["Authorization"].partition(" ")
    passkey = msgspec.to_builtins(owner.keys.passkey)
    account = json.dumps({"token": token, "owner": {**passkey, "name": owner.name}})
    page = context.pages[0]
    await page.goto(f"{town.settings.app_url}/")
    await page.evaluate(SIGN_IN, account)
    await page.reload()
    await page.wait_for_selector("#see")


@needs("chromium", of="chromium")
@needs_npm("lighthouse")
async def test_every_page_has_a_hundred(town: LivingTown, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    public = [town.settings.relay_url + path for path in PUBLIC]
    found: dict[str, list[str]] = {}
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium_path(),
            args=[*CHROMIUM_FLAGS, f"--remote-debugging-port={port}"],
        )

        async def judge(*urls: str) -> None:
            for url in urls:
                told = await asyncio.to_thread(judged, url, port, tmp_path / "report.json")
                found[url] = faults_in(told)

        await judge(*public, f"{town.settings.app_url}/")
        await sign_in(context, town)
        await judge(*(f"{town.settings.app_url}/{view}" for view in VIEWS))
        await context.close()
    assert {url: faults for url, faults in found.items() if faults} == {}
