"""`doorward pair` as a person runs it: the program itself, a relay over HTTP, a doorbell."""

import asyncio
import re
from pathlib import Path

from PIL import Image

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.companion.owner.waiting_texts import time_text
from firmware.enrolment.pairing import Pairing
from firmware.protocol.commands import PairingRevealed, SealedStatement
from firmware.protocol.events import Note, PairingAnswered
from tests.fakes.pairing_app import read_code
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.flows.laptop_home import Home, home
from tests.relay.http_world import OWNER_ORIGIN

CLI = "firmware.companion.owner.cli"
READY_S = PATIENCE_S


def read_picture(path: Path) -> str:
    """Hold a picture before the camera; the text of the code in it."""
    image = Image.open(path).convert("L")
    size = {"width": image.width, "height": image.height, "stride": image.width}
    (text,) = read_texts(LumaFrame(pts_90k=0, data=image.tobytes(), **size))
    return text


async def pair(at: Home, key: Path) -> list[str]:
    """Pair Bea, who chooses the words that the doorbell says; return them."""
    bell = Pairing(keys=at.rig.keys, has_owner=False)
    bell.hold_service(0)
    picture = at.folder / "code.png"
    child = await at.start(
        *(CLI, "pair", "--relay", at.relay, "--name", "Bea", "--owner-origin", OWNER_ORIGIN),
        *("--key-file", str(key), "--qr", str(picture)),
        *("--invitation", f"{OWNER_ORIGIN}/#/join?invitation={await at.world.invite_owner()}"),
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"long and blue\n")
    printed = await in_time(child.stdout.readuntil(b"blinks twice.\n"), READY_S)
    signed = read_code(bell, read_picture(picture), 0)
    known = bell.messages(0)
    assert signed is not None, printed
    assert known is not None
    answered = PairingAnswered(pairing_id=known.code.pairing_id, signed=signed)
    await at.world.pairings.take_answer(at.rig.keys.device, answered)
    await eventually(lambda: any(isinstance(one, PairingRevealed) for one in at.carrier.seen))
    (reveal,) = (one for one in at.carrier.seen if isinstance(one, PairingRevealed))
    assert bell.take_reveal(reveal.pairing_id, reveal.reveal, 0) is None
    words = list(bell.view(0).words)
    for word in words:
        printed = await in_time(child.stdout.readuntil(b"(0-4) "), READY_S)
        found = re.search(rf"([1-4]) {word}\b", printed.decode())
        assert found is not None, printed
        child.stdin.write(f"{found[1]}\n".encode())
    await in_time(child.stdout.readuntil(b"service button inside the case once"), READY_S)
    assert bell.press_service(0)
    confirmed = bell.confirm(0)
    assert confirmed is not None
    for admit_owner, enrol in (
        (at.rig.owners.add, at.rig.browsers.enrol),
        (at.here.owners.add, at.here.browsers.enrol),
    ):
        admit_owner(confirmed.owner.owner)
        enrol(confirmed.owner.browser, confirmed.event.credential_id, at.rig.now_ms)
    await at.world.pairings.take_paired(at.rig.keys.device, confirmed.event)
    printed = await in_time(child.stdout.read(), READY_S)
    assert await child.wait() == 0, printed
    assert b"Paired." in printed
    return words


def sealed_to(at: Home) -> list[SealedStatement]:
    """Return the statements that the relay has carried to the doorbell."""
    return [body for body in at.carrier.seen if isinstance(body, SealedStatement)]


async def test_a_terminal_pairs_and_then_sees_who_owns_the_doorbell(tmp_path: Path) -> None:
    async with home(tmp_path) as at:
        key = tmp_path / "passkey.json"
        assert len(await pair(at, key)) == 4
        code, printed = await at.run(CLI, "owners")
        assert code == 0, printed
        assert "Bea (you)" in printed
        assert "Bea's terminal (this one)" in printed

        code, printed = await at.run("firmware.companion.viewer.cli", "check")
        assert code == 0, printed

        (before,) = [b for b in at.rig.browsers.all() if b.keys.name == "Bea's terminal"]
        at.rig.wind(minutes=30)
        arguments = ("renew", "--key-file", str(key))
        renewing = asyncio.create_task(at.run(CLI, *arguments, given="long and blue\n"))
        await eventually(lambda: sealed_to(at), READY_S)
        at.rig.told.clear()
        await at.desk.on_statement(*sealed_to(at))
        for note in at.rig.told_of(Note):
            await at.world.tell(at.rig.keys.device, note)
        code, printed = await renewing
        (after,) = [b for b in at.rig.browsers.all() if b.keys.name == "Bea's terminal"]
        assert after.right.until_ms is not None
        assert before.right.until_ms is not None
        assert after.right.until_ms > before.right.until_ms  # at once: nobody was asked
        until = time_text(after.right.until_ms, None)
        assert (code, f"may watch until {until}." in printed) == (0, True), printed


async def test_a_pairing_that_is_stopped_leaves_nothing_running(tmp_path: Path) -> None:
    """Ctrl-C, and the same command again goes on with the passkey that was made."""
    async with home(tmp_path) as at:
        key, picture = tmp_path / "passkey.json", tmp_path / "stopped.png"
        arguments = (
            *("pair", "--relay", at.relay, "--name", "Bea", "--owner-origin", OWNER_ORIGIN),
            *("--key-file", str(key), "--qr", str(picture)),
        )
        child = await at.start(CLI, *arguments, "--invitation", await at.world.invite_owner())
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        await in_time(child.stdout.readuntil(b"blinks twice.\n"), READY_S)
        await asyncio.sleep(0.2)
        child.send_signal(2)
        printed = await in_time(child.stdout.read(), READY_S)
        assert await child.wait() == 130, printed
        assert b"Traceback" not in printed
        again = await at.start(CLI, *arguments)
        assert again.stdout is not None
        await in_time(again.stdout.readuntil(b"blinks twice.\n"), READY_S)
        again.send_signal(2)
        assert await again.wait() == 130
