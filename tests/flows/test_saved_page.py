"""The page that an agency saves, opened from a file in Chromium: it checks, and talks to nobody."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from playwright.async_api import Page, expect

from firmware.protocol.encoding import canonical, decode, sha256_hex
from firmware.protocol.register.register_file import encode_register
from firmware.protocol.requests import SignedRequest
from relay.tools.agency.cli import main
from relay.verify.agency_key import OpeningKey
from relay.verify.saved_page import SAVED_PAGE
from tests.fakes.log_town import make_town
from tests.flows.browser import IN_ONE_BROWSER, chromium, window
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PHONE
from tests.relay.evidence_files import Evidence, Film, Written, make_evidence, with_files

pytestmark = list(IN_ONE_BROWSER)

FORBIDDEN = """() => new Promise((resolve) => {
  const tell = (event) => resolve(event.effectiveDirective);
  document.addEventListener("securitypolicyviolation", tell);
  fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => resolve("nothing"), 2000));
})"""
"""What of the page's policy forbids it to fetch."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """An officer's desk without a network: the saved page, and files beside it."""

    written: Written
    page: Page
    asked: list[str]
    """What the page tried to fetch."""

    async def check(self, *evidence: Path, **files: Path) -> None:
        """Choose files, and check."""
        await self.page.set_input_files("#evidence", evidence)
        for name, path in files.items():
            await self.page.set_input_files(f"#{name}", path)
        await self.page.click("#check:not([disabled])")
        await self.page.wait_for_selector("#found:not([hidden])")

    def rows(self, result: str):
        return self.page.locator(f'[data-result="{result}"]')


@asynccontextmanager
async def desk(
    evidence: Evidence, folder: Path, *, locale: str = "en-GB", scheme: str = "light"
) -> AsyncIterator[Desk]:
    written = evidence.write(folder)
    agreement = evidence.town.sign_agreement(evidence.town.agreement).signed
    (folder / "agreement.json").write_bytes(agreement.encode())
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    assert main(["page", "--out", str(folder / "verify.html")]) == 0
    async with chromium() as browser:
        page = await window(
            browser, offline=True, locale=locale, viewport=PHONE, color_scheme=scheme
        )
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto((folder / "verify.html").as_uri())
        yield Desk(written=written, page=page, asked=asked)
        await page.context.close()


def all_at_hand(folder: Path) -> dict[str, Path]:
    return {
        "agreement": folder / "agreement.json",
        "policy": folder / "policy.txt",
        "fleet-ca": folder / "ca.pem",
    }


async def test_a_sealed_package_is_opened_and_every_check_holds(tmp_path: Path) -> None:
    async with desk(make_evidence(has_audio=True), tmp_path) as at:
        await at.check(at.written.package, key=at.written.key, **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_have_text("Every check was made, and holds.")
        await expect(at.rows("fails")).to_have_count(0)
        await expect(at.rows("not checked")).to_have_count(0)
        await expect(at.page.locator("#papers")).to_contain_text("A garage was broken into.")
        signed = json.loads((at.written.opened / "request.json").read_bytes())
        digest = sha256_hex(signed["request"].encode())  # as on its page at the relay
        await expect(at.page.locator("#papers")).to_contain_text(digest)
        await expect(at.page.locator("#recordings li").first).to_have_text(
            "Recording number 7 of this doorbell"
        )
        await at.page.wait_for_function("document.querySelector('video').duration > 1.5")
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []


async def test_opened_files_are_checked_without_any_key(tmp_path: Path) -> None:
    async with desk(make_evidence(), tmp_path) as at:
        await at.check(*at.written.opened.iterdir(), **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_have_text("Every check was made, and holds.")


@pytest.fixture
def chainless() -> Evidence:
    """Evidence whose register has more changes than a package holds."""
    evidence = make_evidence()
    request = decode(SignedRequest, evidence.files["request.json"])
    extract = replace(evidence.town.extract(request), chain=UNSET)
    return with_files(evidence, **{"register.json": extract.encode()})


async def test_a_register_that_is_needed_is_asked_for_and_taken(
    chainless: Evidence, tmp_path: Path
) -> None:
    saved = tmp_path / "register.tlog"
    async with desk(chainless, tmp_path) as at:
        await at.check(at.written.package, key=at.written.key, **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_contain_text("something could not be checked")
        await expect(at.page.locator("#wanted")).to_contain_text(
            "Give the file register.tlog that lies beside the case"
        )
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        saved.write_bytes(encode_register(chainless.town.register_log.entries))
        async with at.page.expect_file_chooser() as asked:
            await at.page.click("#choose")
        await (await asked.value).set_files(saved)  # and it checks anew by itself
        await expect(at.page.locator("#status")).to_have_text("Every check was made, and holds.")
        await expect(at.page.locator("#wanted")).to_be_hidden()
        await expect(at.page.locator("#checks")).to_contain_text(
            "by the whole register; changes since the charter: 1;"
        )


async def test_a_register_may_lie_among_the_evidence(chainless: Evidence, tmp_path: Path) -> None:
    saved = tmp_path / "register.tlog"
    saved.write_bytes(encode_register(chainless.town.register_log.entries))
    async with desk(chainless, tmp_path) as at:
        await at.check(at.written.package, saved, key=at.written.key, **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_have_text("Every check was made, and holds.")
        await expect(at.page.locator("#beside")).to_be_empty()


OTHER_REGISTERS = {
    "another's": (make_town().register_log.entries * 2, "ur en annan logg än bevisets register"),
    "too short": ([], "register.tlog har 0 poster, och bevisets register hade 5"),
    "cut off": ([b"one"], "register.tlog är avhuggen i post 0"),
}


async def test_a_register_that_is_not_the_evidences_is_told_and_another_asked_for(
    chainless: Evidence, tmp_path: Path
) -> None:
    saved = tmp_path / "register.tlog"
    async with desk(chainless, tmp_path, locale="sv-SE") as at:
        await at.page.set_input_files("#evidence", list(at.written.opened.iterdir()))
        await at.page.set_input_files("#policy", tmp_path / "policy.txt")
        for name, (entries, told) in OTHER_REGISTERS.items():
            data = encode_register(entries)
            saved.write_bytes(data[:-1] if name == "cut off" else data)
            await at.page.set_input_files("#register", saved)
            await at.page.click("#check:not([disabled])")
            await expect(at.page.locator("main")).to_contain_text(told)
            await expect(at.page.locator("#wanted")).to_contain_text("Ge även filen register.tlog")


async def test_a_changed_recording_is_found_and_not_told_of(tmp_path: Path) -> None:
    async with desk(make_evidence(), tmp_path) as at:
        (at.written.opened / "clip-1.mp4").write_bytes(Film(2.1, with_sound=False).mp4())
        await at.check(*at.written.opened.iterdir(), **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_contain_text("A check fails (15)")
        await expect(at.rows("fails")).to_have_count(2)
        await expect(at.page.locator("#recordings video")).to_have_count(0)


async def test_what_is_not_at_hand_is_not_checked(tmp_path: Path) -> None:
    async with desk(make_evidence(), tmp_path) as at:
        await at.check(at.written.package, key=at.written.key)
        await expect(at.page.locator("#status")).to_contain_text("something could not be checked")
        await expect(at.rows("not checked")).to_have_count(7)


async def test_a_key_that_can_only_open_says_who_the_agency_is(tmp_path: Path) -> None:
    evidence = make_evidence()
    key = OpeningKey(
        agency=evidence.key.agency,
        signing_key=evidence.town.agreement.signing_key,
        sealing_private_key=evidence.key.sealing_private_key,
        sealing_public_key=evidence.key.sealing_public_key,
    )
    async with desk(evidence, tmp_path) as at:
        at.written.key.write_bytes(key.encode())
        await at.check(at.written.package, key=at.written.key)
        await expect(at.rows("not checked")).to_have_count(6)


async def test_an_invented_town_is_said_to_be_one_in_swedish(tmp_path: Path) -> None:
    evidence = make_evidence(town=make_town(kind="example"))
    async with desk(evidence, tmp_path, locale="sv-SE", scheme="dark") as at:
        await at.check(*at.written.opened.iterdir(), **all_at_hand(tmp_path))
        await expect(at.page.locator("#example")).to_contain_text("En påhittad ort")
        await expect(at.page.locator("h1")).to_have_text("Pröva bevis från en dörrklocka")


@pytest.mark.parametrize(
    ("locale", "told"),
    [
        ("en-GB", ["added: clip-7.mp4", "the pictures differ from what was signed", "None."]),
        (
            "sv-SE",
            ["tillagt: clip-7.mp4", "bilderna skiljer sig från dem", "Ingen."],
        ),
    ],
)
async def test_what_is_wrong_is_told_in_the_readers_language(
    tmp_path: Path, locale: str, told: list[str]
) -> None:
    async with desk(make_evidence(), tmp_path, locale=locale) as at:
        (at.written.opened / "clip-1.mp4").write_bytes(Film(2.1, with_sound=False).mp4())
        (at.written.opened / "clip-7.mp4").write_text("looks harmless")
        await at.check(*at.written.opened.iterdir(), **all_at_hand(tmp_path))
        for words in told:
            await expect(at.page.locator("#found")).to_contain_text(words)


async def test_a_program_that_a_changed_doorbell_packed_is_not_offered(tmp_path: Path) -> None:
    """Seen to be offered for download, with every check holding, while any name was."""
    evidence = make_evidence()
    async with desk(evidence, tmp_path) as at:
        packed = evidence.listed(**{"report.pdf.exe": b"MZ"})
        at.written.package.write_bytes(evidence.sealed(packed))
        await at.check(at.written.package, key=at.written.key, **all_at_hand(tmp_path))
        await expect(at.page.locator("#status")).to_contain_text("A check fails (11)")
        await expect(at.page.locator("#files a[download='clip-1.mp4']")).to_have_count(1)
        await expect(at.page.locator("#files")).not_to_contain_text("report.pdf.exe")
        await expect(at.page.locator("#beside")).to_have_text(
            "Not part of the evidence, and not looked at: report.pdf.exe"
        )


async def test_what_a_changed_doorbell_says_of_c2pa_breaks_no_page(tmp_path: Path) -> None:
    """Seen to leave the page empty, in Swedish, while any word was looked up as a text of ours."""
    evidence = make_evidence()
    part = json.loads(evidence.files["part-1.json"]) | {"provenance": "toString"}
    evidence = with_files(evidence, **{"part-1.json": canonical(part)})
    async with desk(evidence, tmp_path, locale="sv-SE") as at:
        await at.check(*at.written.opened.iterdir(), **all_at_hand(tmp_path))
        await expect(at.rows("fails")).to_have_count(4)
        await expect(at.page.locator("#checks")).to_contain_text("inget som en dörrklocka kan säga")


async def test_why_a_package_does_not_open_is_told_in_swedish(tmp_path: Path) -> None:
    evidence = make_evidence()
    async with desk(evidence, tmp_path, locale="sv-SE") as at:
        sealed = bytearray(at.written.package.read_bytes())
        sealed[-1] ^= 1
        at.written.package.write_bytes(sealed)
        await at.page.set_input_files("#evidence", at.written.package)
        await at.page.set_input_files("#key", at.written.key)
        await at.page.click("#check:not([disabled])")
        await expect(at.page.locator("#status")).to_have_text(
            "paketet har ändrats eller huggits av"
        )


async def test_text_of_a_request_is_text(tmp_path: Path) -> None:
    evidence = make_evidence(text="<img src=x onerror=\"document.title='hit'\">")
    async with desk(evidence, tmp_path) as at:
        await at.check(*at.written.opened.iterdir())
        await expect(at.page.locator("#papers")).to_contain_text("<img src=x")
        assert await at.page.title() == "Doorward: check evidence"


async def test_it_asks_for_nothing_but_itself(tmp_path: Path) -> None:
    async with desk(make_evidence(), tmp_path) as at:
        await at.check(at.written.package, key=at.written.key, **all_at_hand(tmp_path))
        elsewhere = [url for url in at.asked if not url.startswith(("file:", "blob:"))]
        assert elsewhere == []
        assert await at.page.evaluate(FORBIDDEN) == "connect-src"


def test_its_policy_names_its_one_script_and_allows_no_connection() -> None:
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    page = SAVED_PAGE.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy  # so default-src stands for it
    assert not re.findall(r"\b(?:src|href)=\"(?!data:|blob:)", page)
