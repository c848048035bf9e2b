"""Shows a card to a person: flashes an image, boots it in QEMU, pairs, and rings.

    make card                  the whole of it; then Enter rings, Ctrl-C ends all that was started
    make card ARGS=--once      end after the first ring

It needs root, QEMU and mmdebstrap, about 4 GB of disk, and a few minutes: the processor is
emulated. Nothing is left running, and the card is deleted unless --keep says where to.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.boot.base_image import BaseImage, base_image
from tests.boot.bundle import SignedBundle, signed_bundle
from tests.boot.card import CARD_BYTES, add_settings
from tests.boot.machine import BootFailed, Machine, booted
from tests.boot.programs import Unavailable
from tests.boot.relay import Relay, running_relay
from tests.boot.stages import FIRST_BOOT_STEPS, WITHIN_S, done_line
from tests.boot.ways_in import BELL, PAGE, at_the_door, wait_until_online
from tests.story.door import Door
from tests.story.owner import API, Owner
from tests.story.settings import StoryError, free_ports

NAME = "door-1"
DOOR_NUMBER = "314159"
STOPPED = 130
ONLINE_S, EVENT_S, CLIP_S = 600.0, 120.0, 600.0
STILL_EVERY_S = 15.0


def main() -> int:
    """Show it; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make card", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="end after the first ring")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the card here, at the end")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("make card needs root: mmdebstrap makes a root file system", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="doorward-card-") as folder:
            asyncio.run(_show(Path(folder), options))
    except (Unavailable, BootFailed, StoryError) as error:
        print(f"make card: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nended; nothing is left running")
        return STOPPED
    return 0


async def _show(folder: Path, options: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    base, bundle = base_image(say=_say), signed_bundle(say=_say)
    _say("starting a relay, with its broker and its object store")
    async with running_relay(folder / "relay", base) as relay:
        invitation = await relay.invite_doorbell(folder / "doorward.json")
        page, bell = free_ports(2)
        card = folder / "card.img"
        await _flash(card, base, bundle, invitation)
        add_settings(card, door_url=f"http://127.0.0.1:{page}")
        with booted(card, base, folder, ports={PAGE: page, BELL: bell}) as machine:
            await _follow(machine)
            own = f"http://127.0.0.1:{page}"
            async with at_the_door(folder, name=NAME, page=page, bell=bell, url=own) as door:
                await _ring_and_pair(relay, door, own, folder, is_once=options.once)
        if options.keep is not None:
            shutil.copyfile(card, options.keep)


async def _flash(card: Path, base: BaseImage, bundle: SignedBundle, invitation: Path) -> None:
    """Write and customise a card with `doorward-flash`."""
    with card.open("wb") as file:
        file.truncate(CARD_BYTES)
    words = [
        "flash", str(base.image), str(card), "--allow-file", "--yes",
        "--bundle", str(bundle.path), "--signers", str(bundle.signers), "--target", bundle.target,
        "--invitation", str(invitation), "--serial", NAME,
    ]  # fmt: skip
    _say(f"doorward-flash {' '.join(words)}")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "provisioning", *words)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code != 0:
        raise Unavailable("the card couldn't be written")


async def _follow(machine: Machine) -> None:
    """Say each step of the first boot when it is done."""
    _say(f"booting the card; all that it says: {machine.journal}")
    for step, line in [
        ("boot", r"Started doorward-first-boot"),
        *((step, done_line(step)) for step in FIRST_BOOT_STEPS),
    ]:
        with _still(step):
            took_s = await machine.wait_for(line, within_s=WITHIN_S)
        _say(f"first boot: {step} done, {took_s:.0f} s after the start")


async def _ring_and_pair(
    relay: Relay, door: Door, own: str, folder: Path, *, is_once: bool
) -> None:
    with _still("it gets online"):
        await wait_until_online(door, ONLINE_S)
    _say(f"it is online; its own page: {own}")
    owner = relay.owner("Mary")
    try:
        await owner.register(await relay.invite_owner())
        with _still("pairing"):
            words = await owner.pair(door, DOOR_NUMBER)
        _say(f"paired with Mary; app and doorbell say: {' '.join(words)}")
        _say(f"its door number: {DOOR_NUMBER}")
        async with owner.inbox.following(owner.api, f"{API}/stream"):
            await _ring(owner, door)
            if is_once:
                return
            _say("press Enter to ring again; or, in another terminal:")
            _say(f"    .venv/bin/doorward press --data {folder}")
            _say("Ctrl-C ends all of it")
            while await asyncio.to_thread(sys.stdin.readline):
                await _ring(owner, door)
    finally:
        await owner.close()


async def _ring(owner: Owner, door: Door) -> None:
    last_seq = await owner.last_seq()
    begun_s = time.monotonic()
    await door.ring()
    message = await owner.wait_for_event("pressed", after_seq=last_seq, timeout_s=EVENT_S)
    event = message.data["event"]
    _say(f"rung: the relay shows event {event['seq']} after {message.at_s - begun_s:.1f} s")
    with _still("its recording"):
        clip = await owner.wait_for_clip(event["id"], CLIP_S)
    _say(f"recorded: {clip['duration_ms'] / 1000:.1f} s, sealed on the card")


@contextlib.contextmanager
def _still(what: str) -> Iterator[None]:
    """Say every few seconds that something takes long."""
    begun_s = time.monotonic()

    async def tell() -> None:
        while True:
            await asyncio.sleep(STILL_EVERY_S)
            _say(f"… {what}: {time.monotonic() - begun_s:.0f} s so far")

    task = asyncio.get_running_loop().create_task(tell())
    try:
        yield
    finally:
        task.cancel()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
