"""`doorward approve` as a person runs it: the program itself, a relay over HTTP, a doorbell."""

from pathlib import Path

from firmware.protocol.decisions import AddApprover
from firmware.protocol.owner_codes import parse_approver_code
from firmware.protocol.pairing import browser_words
from tests.fakes.rights import own_browser
from tests.flows.laptop_home import home
from tests.story.browser import SoftBrowser


async def test_a_statement_is_confirmed_from_anywhere_with_a_key_in_a_file(tmp_path: Path) -> None:
    async with home(tmp_path) as at:
        code, printed = await at.run("firmware.companion.owner.cli", "owners")
        assert (code, "doorward-view" in printed) == (1, True), printed
        await at.set_up()
        key = tmp_path / "key.json"
        await at.new_key(key)
        code, printed = await at.run("firmware.companion.owner.cli", "owners")
        assert code == 0, printed
        assert "Ada (you)" in printed
        assert "Laptop (this one)" in printed

        tv = SoftBrowser.create("TV").keys
        digest = await at.rig.ask(at.desk, at.rig.sign(own_browser(tv, now_ms=at.rig.now_ms)))
        arguments = ("approve", digest[:10], "--key-file", str(key))
        code, printed = await at.run("firmware.companion.owner.cli", *arguments)
        assert (code, "nobody answers" in printed) == (1, True), printed
        code, printed = await at.run("firmware.companion.owner.cli", *arguments, given="later\n")
        assert code == 0, printed
        assert " ".join(browser_words(at.rig.keys.device, tv)) in printed
        assert at.rig.browsers.find(tv.id) is None


async def test_without_a_passphrase_the_key_says_yes_by_itself(tmp_path: Path) -> None:
    """And the doorbell, far away, lets the television in."""
    async with home(tmp_path) as at:
        await at.set_up()
        key = tmp_path / "key.json"
        code, printed = await at.run(
            "firmware.companion.owner.cli",
            "approve",
            "--new-key",
            str(key),
            "--name",
            "Blue",
            given="\n",
        )
        assert (code, "no passphrase" in printed) == (0, True), printed
        made = parse_approver_code(next(p for p in printed.split("\n\n") if p.startswith("DWA1:")))
        await at.rig.confirm(at.desk, at.rig.sign(AddApprover(name="Blue", key=made.key)))
        tv = SoftBrowser.create("TV").keys
        await at.rig.ask(at.desk, at.rig.sign(own_browser(tv, now_ms=at.rig.now_ms)))
        code, printed = await at.run(
            "firmware.companion.owner.cli", "approve", "--key-file", str(key), given="yes\n"
        )
        assert (code, "took your yes" in printed) == (0, True), printed
        assert at.rig.browsers.find(tv.id) is not None
