"""Deletion of one's own account in Chromium: what hasn't been fetched is withdrawn, the doorbell is
left, the relay keeps nothing that names its person, and the receipt is a file."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from firmware.protocol.custody import package_commitment
from firmware.protocol.notes import OwnerRemoved, ReleaseDone
from tests.fakes.waiting import eventually
from tests.flows.recorded_home import RecordedHome, recorded_home
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import certified_officer, paired_owner
from tests.relay.http_world import OWNER_ORIGIN
from tests.relay.test_account_deletion import dump

pytestmark = pytest.mark.browser

DECLINE = """() => {
  navigator.credentials.get = () => Promise.reject(new DOMException("", "NotAllowedError"));
}"""
IS_PATIENT = """{
  const now = performance.now.bind(performance);
  performance.now = () => now() / 10;
}"""
"""A busy machine's doorbell takes longer for its answer than the app waits for it."""
GRANT, REQUEST = "ab" * 32, "cd" * 32


async def open_page(home: RecordedHome) -> Page:
    page = home.at.page
    await page.goto(f"{OWNER_ORIGIN}/#/account/delete")
    await page.reload()
    await expect(page.locator("#what-goes")).to_be_visible()
    return page


async def saved_receipt(page: Page) -> dict[str, object]:
    await expect(page.locator("#account-deleted")).to_contain_text("has deleted your account")
    async with page.expect_download() as downloading:
        await page.click("#save-receipt")
    path = await (await downloading.value).path()
    receipt: dict[str, object] = json.loads(path.read_text())
    return receipt


async def assert_nothing_names(home: RecordedHome) -> None:
    owner = home.at.owner
    rows = await dump(home.at.world.database)
    for name in (owner.passkey.credential_id, owner.passkey.public_key, owner.browser.id):
        assert [row for table in rows.values() for row in table if name in row] == []
    assert rows["accounts"] == [row for row in rows["accounts"] if "'Ada'" not in row]


def kinds(home: RecordedHome) -> list[str]:
    """Return what the doorbell carried out, in its order."""
    return [one.kind for one in home.rig.store.newest(100) if one.state == "done"]


async def test_the_last_owner_withdraws_deletes_and_saves_the_receipt(tmp_path: Path) -> None:
    async with recorded_home(tmp_path, IS_PATIENT) as home:
        world, device = home.at.world, home.at.device
        officer = await certified_officer(world)
        request = (await officer.publish(officer.sign(officer.write()))).json()
        package_id = await deliver_package(world, request["id"], device=device)
        await home.at.note(
            ReleaseDone(statement_digest=GRANT, request_digest=REQUEST, package_id=package_id)
        )
        page = await open_page(home)
        await expect(page.locator("#to-withdraw")).to_contain_text("One release")
        await expect(page.locator(f"[data-device='{device}']")).to_contain_text("only one here")
        await page.click("#delete-account")
        await page.click("#delete-account-sheet button[value=yes]")
        receipt = await saved_receipt(page)
        assert home.rig.household.revoked() == {GRANT}
        assert receipt["withdrawn_grants"] == [
            {"device": device, "grant": GRANT, "is_answered": True}
        ]
        assert receipt["left_doorbells"] == []
        (door,) = receipt["doorbells"]
        assert [one["code"] for one in door["packages"]] == [package_commitment(package_id)]
        await assert_nothing_names(home)
        await page.reload()
        await expect(page.locator("#save-receipt")).to_be_visible()
        await page.goto(f"{OWNER_ORIGIN}/#/history")
        await page.wait_for_url(lambda url: url.endswith("#/welcome"))
        assert home.at.person.faults == []


async def test_who_isnt_the_last_leaves_the_doorbell_and_the_others_are_told(
    tmp_path: Path,
) -> None:
    async with recorded_home(tmp_path, "") as home:
        await paired_owner(home.at.world, home.at.device, "Bo")
        page = await open_page(home)
        await expect(page.locator(f"[data-device='{home.at.device}']")).to_contain_text(
            "others stay"
        )
        await page.click("#delete-account")
        await page.click("#delete-account-sheet button[value=no]")
        assert kinds(home) == []
        await page.click("#delete-account")
        await page.click("#delete-account-sheet button[value=yes]")
        receipt = await saved_receipt(page)
        assert receipt["left_doorbells"] == [home.at.device]
        await eventually(lambda: kinds(home) == ["remove_owner"])
        assert home.rig.owners.find(home.at.owner.passkey.credential_id) is None
        told = [
            note for note in home.rig.notes_to(home.bos_phone) if isinstance(note, OwnerRemoved)
        ]
        assert [note.name for note in told] == ["Ada"]
        accounts = (await dump(home.at.world.database))["accounts"]
        assert len([row for row in accounts if "'Bo'" in row]) == 1


async def test_a_declined_passkey_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with recorded_home(tmp_path, "") as home:
        page = await open_page(home)
        await page.evaluate(DECLINE)
        before = await dump(home.at.world.database)
        await page.click("#delete-account")
        await page.click("#delete-account-sheet button[value=yes]")
        await expect(page.locator(".warning[role=alert]")).to_contain_text("No passkey was used")
        after = await dump(home.at.world.database)
        for table in ("accounts", "credentials", "account_doorbells", "events"):
            assert after[table] == before[table]
        assert kinds(home) == []
