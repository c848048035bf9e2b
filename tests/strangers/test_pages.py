"""Public pages before the W3C's checker (vnu) and axe; the API's description before a linter."""

import json
import urllib.request
from pathlib import Path

from tests.flows.browser import chromium
from tests.story.settings import REPOSITORY
from tests.strangers.tools import NODE, needs, needs_npm, run
from tests.strangers.town import LivingTown

PUBLIC = (
    "/", "/requests", "/agencies", "/agencies/lakeland", "/agreements/compare?agency=lakeland",
    "/trends", "/map", "/theft-map", "/neighbours", "/neighbours/lake-morton",
    "/neighbours/moderation", "/credits", "/credits/ledger", "/transparency", "/for-agencies",
    "/passing-by", "/doorbell", "/agency", "/admin",
)  # fmt: skip
AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
KNOWN = {"region"}
"""The example town's banner stands above every landmark; no other relay has it."""
OPEN_FEED = ("/feed/districts", "/feed/posts", "/feed/pictures/{picture_id}")


def page_of(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return answer.read().decode()


def addresses(town: LivingTown) -> list[str]:
    pages = [town.settings.relay_url + path for path in PUBLIC]
    return [*pages, town.settings.app_url + "/", town.settings.door_url + "/"]


@needs("java", of="default-jre-headless")
@needs_npm("vnu-jar")
def test_vnu_finds_no_error_in_any_page(town: LivingTown, tmp_path: Path):
    for number, url in enumerate(addresses(town)):
        (tmp_path / f"{number}.html").write_text(page_of(url))
    (jar,) = (NODE / "vnu-jar").rglob("vnu.jar")
    done = run("java", "-jar", jar, "--errors-only", "--format", "json", tmp_path)
    found = [
        (addresses(town)[int(Path(one["url"]).stem)], one["message"], one.get("extract"))
        for one in json.loads(done.stderr)["messages"]
    ]
    assert found == []


@needs_npm("html-validate")
def test_html_validate_finds_no_error_of_structure(town: LivingTown, tmp_path: Path):
    (tmp_path / ".htmlvalidate.json").write_text(
        json.dumps({"root": True, "extends": ["html-validate:standard"]})
    )
    for number, url in enumerate(addresses(town)):
        (tmp_path / f"{number}.html").write_text(page_of(url))
    program = NODE / ".bin" / "html-validate"
    config = tmp_path / ".htmlvalidate.json"
    done = run(program, "--config", config, "--formatter", "json", *tmp_path.glob("*.html"))
    found = [
        (addresses(town)[int(Path(one["filePath"]).stem)], said["ruleId"], said["message"])
        for one in json.loads(done.stdout)
        for said in one["messages"]
        if said["severity"] == 2
    ]
    assert found == []


@needs("chromium", of="chromium")
async def test_axe_finds_nothing_on_any_page(town: LivingTown):
    found = []
    async with chromium() as browser:
        context = await browser.new_context(bypass_csp=True)
        for url in addresses(town):
            page = await context.new_page()
            await page.goto(url)
            await page.locator("h1").first.wait_for()
            await page.add_script_tag(path=AXE)
            said = await page.evaluate(
                "rules => axe.run({ runOnly: rules }).then(({ violations }) => violations)", RULES
            )
            found += [(url, one["id"]) for one in said if one["id"] not in KNOWN]
            await page.close()
    assert found == []


@needs_npm("@redocly/cli")
def test_a_linter_takes_the_apis_description(town: LivingTown, tmp_path: Path):
    url = f"{town.settings.relay_url}/api/v1/openapi.json"
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        description = tmp_path / "openapi.json"
        description.write_bytes(answer.read())
    done = run(
        "env", "REDOCLY_TELEMETRY=off", NODE / ".bin" / "redocly", "lint", description,
        "--extends", "recommended", "--format", "json", "--max-problems", "1000",
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert [(one["ruleId"], one["message"]) for one in said["problems"]] == []
    told = json.loads(description.read_text())
    assert list(told["components"]["securitySchemes"]) == ["session", "player"]
    open_to_all = [
        path
        for path, operations in told["paths"].items()
        if any(one["security"] == [] for one in operations.values())
    ]
    assert all(
        path == "/config" or path.startswith("/owner/")
        for path in open_to_all
        if path not in OPEN_FEED
    )
