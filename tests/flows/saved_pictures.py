"""Pictures of the page that an agency saves, and checks evidence with."""

from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace
from playwright.async_api import Page

from firmware.protocol.encoding import decode
from firmware.protocol.requests import SignedRequest
from relay.tools.agency.cli import main as agency
from tests.fakes.log_town import make_town
from tests.flows.browser import chromium, window
from tests.flows.camera import THEMES, WIDTHS_PX, Camera
from tests.relay.evidence_files import Evidence, Film, Written, make_evidence, with_files

LOCALES = {"en": "en-GB", "sv": "sv-SE"}
STATES = ("empty", "unchecked", "checked", "damaged", "wanting")


async def take_saved(camera: Camera, folder: Path) -> None:
    """Take it empty, with what couldn't be checked, with all that holds, with damaged files, and
    with what only register.tlog shows.
    """
    folder.mkdir()
    evidence = make_evidence(has_audio=True, town=make_town(kind="example"))
    written = evidence.write(folder)
    signed = evidence.town.sign_agreement(evidence.town.agreement).signed
    (folder / "agreement.json").write_bytes(signed.encode())
    wanting = _without_chain(evidence, folder / "wanting")
    damaged = _damage(written)
    agency(["page", "--out", str(folder / "verify.html")])
    async with chromium() as browser:
        for language, locale in LOCALES.items():
            page = await window(browser, locale=locale, offline=True)
            for state in STATES:
                await page.goto((folder / "verify.html").as_uri())
                if state == "damaged":
                    await _check(page, damaged, None, folder)
                elif state == "wanting":
                    await _check(page, wanting, None, folder)
                elif state != "empty":
                    papers = folder if state == "checked" else None
                    await _check(page, [written.package], written.key, papers)
                await _take(camera, page, f"saved-{state}", language)
            await page.context.close()


async def _check(page: Page, evidence: list[Path], key: Path | None, papers: Path | None) -> None:
    await page.set_input_files("#evidence", evidence)
    if key is not None:
        await page.set_input_files("#key", key)
    if papers is not None:
        named = {"agreement": "agreement.json", "policy": "policy.txt", "fleet-ca": "ca.pem"}
        for field, name in named.items():
            await page.set_input_files(f"#{field}", papers / name)
    await page.click("#check:not([disabled])")
    await page.wait_for_selector("#found:not([hidden])")


def _damage(written: Written) -> list[Path]:
    """Put other pictures in, take a proof out, add a file; return what is opened now."""
    (written.opened / "clip-1.mp4").write_bytes(Film(2.1, with_sound=True).mp4())
    (written.opened / "capture-1.json").unlink()
    (written.opened / "note.txt").write_text("looks harmless")
    return sorted(written.opened.iterdir())


def _without_chain(evidence: Evidence, folder: Path) -> list[Path]:
    """Write the same with a register whose changes no package holds; return what is opened."""
    request = decode(SignedRequest, evidence.files["request.json"])
    extract = replace(evidence.town.extract(request), chain=UNSET)
    folder.mkdir()
    written = with_files(evidence, **{"register.json": extract.encode()}).write(folder)
    return sorted(written.opened.iterdir())


async def _take(camera: Camera, page: Page, name: str, language: str) -> None:
    """A saved page speaks the browser's language: it isn't loaded again in another."""
    for width_px, height_px in WIDTHS_PX.items():
        await page.set_viewport_size({"width": width_px, "height": height_px})
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            file = camera.folder / f"{name}-{language}-{width_px}-{theme}.png"
            await page.screenshot(path=file, full_page=True)
            camera.count += 1
        await camera.look(page, f"{name} ({language}, {width_px} px)")
