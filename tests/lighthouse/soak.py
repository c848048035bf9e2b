"""The owner's app and the public pages before Lighthouse: accessibility and best practices."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests.flows.browser import CHROMIUM_FLAGS, chromium_path, sit_down_in, unpaired_town
from tests.flows.people import join_as_owner, pair, ring_and_see_it
from tests.story.settings import REPOSITORY, free_ports

LIGHTHOUSE = REPOSITORY / ".state" / "lighthouse" / "node_modules" / ".bin" / "lighthouse"
CATEGORIES = ("accessibility", "best-practices")
PUBLIC = (
    "/", "/requests", "/transparency", "/agencies", "/passing-by", "/for-agencies", "/trends",
    "/map", "/theft-map", "/neighbours", "/neighbours/lake-morton", "/credits",
)  # fmt: skip
VIEWS = (
    "#/", "#/history", "#/neighbours", "#/requests", "#/settings", "#/settings/doorbell",
    "#/settings/camera", "#/settings/notifications", "#/settings/people", "#/settings/police",
    "#/settings/data", "#/browsers", "#/players", "#/sessions", "#/account/events",
    "#/account/delete", "#/nowhere",
)  # fmt: skip
MOST_WAIT_MS = "6000"
"""The app's open stream never falls silent, which Lighthouse would wait for."""
MOST_S = 120.0
MOST_DETAILS = 600


async def judged(url: str, port: int, report: Path) -> dict[str, Any]:
    """Return Lighthouse's report of a page, in the browser at that port as it is."""
    process = await asyncio.create_subprocess_exec(
        LIGHTHOUSE, url, "--port", str(port), "--quiet",
        "--only-categories", ",".join(CATEGORIES), "--output", "json", "--output-path", report,
        "--disable-storage-reset", "--throttling-method", "provided", "--no-enable-error-reporting",
        "--max-wait-for-load", MOST_WAIT_MS,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(MOST_S):
            _, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, complaint.decode()[-3000:]
    told: dict[str, Any] = json.loads(report.read_text())
    assert told.get("runtimeError") is None, told["runtimeError"]
    return told


def faults_in(told: dict[str, Any]) -> list[str]:
    """Return the audits that cost a page its hundred, with what they name."""
    found = []
    for name in CATEGORIES:
        category = told["categories"][name]
        if category["score"] == 1:
            continue
        audits = [told["audits"][one["id"]] for one in category["auditRefs"] if one["weight"] > 0]
        found += [
            f"{one['id']}: {json.dumps(one.get('details', {}).get('items', []))[:MOST_DETAILS]}"
            for one in audits
            if one["score"] not in (None, 1)
        ] or [f"{name}: {category['score']}"]
    return found


@pytest.mark.skipif(not LIGHTHOUSE.exists(), reason="Lighthouse isn't here (.ci/lighthouse)")
async def test_every_page_has_a_hundred(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    found: dict[str, list[str]] = {}
    async with (
        unpaired_town(tmp_path / "town") as (settings, door, _),
        async_playwright() as playwright,
    ):
        context = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium_path(),
            locale="en-GB",
            args=[*CHROMIUM_FLAGS, f"--remote-debugging-port={port}"],
        )
        report = tmp_path / "report.json"
        for url in (*(settings.relay_url + path for path in PUBLIC), f"{settings.app_url}/"):
            found[url] = faults_in(await judged(url, port, report))
        owner = await sit_down_in(context)
        await join_as_owner(owner.page, settings)
        home = await sit_down_in(context)
        await owner.page.bring_to_front()
        await pair(owner.page, home.page, door, settings)
        await ring_and_see_it(owner.page, door)
        for view in VIEWS:
            url = f"{settings.app_url}/{view}"
            found[url] = faults_in(await judged(url, port, report))
        await context.close()
    assert {url: faults for url, faults in found.items() if faults} == {}
