"""What a booted card does at its second start, at power cuts, and when something is wrong.

`pytest tests/boot/soak.py`, which `make soak` does. Each boot takes minutes on an emulated
processor; DOORWARD_BOOT_CUTS says how often the power is cut, DOORWARD_SEED when.
"""

import asyncio
import contextlib
import hashlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.block_file import BlockFile
from provisioning.partitions import read_partitions
from tests.boot.base_image import ROOT_AT, BaseImage, base_image
from tests.boot.bundle import SignedBundle, signed_bundle
from tests.boot.card import boot_files, give_other_claim, make_card, status
from tests.boot.machine import Machine, booted, copy_card
from tests.boot.programs import Unavailable
from tests.boot.relay import Relay, running_relay
from tests.boot.stages import WITHIN_S
from tests.boot.system import PI3
from tests.boot.ways_in import BELL, PAGE, at_the_door, wait_until_online
from tests.story.owner import API
from tests.story.settings import free_ports

DONE = r"INFO start is done"
RUNNING = r"Started doorward\.service"
CUT_AFTER = (
    "Started doorward-first-boot",
    "INFO network is done",
    "INFO bundle is done",
    "INFO data_partition is done",
    "INFO the bundle is unpacked",
    "INFO the programs are installed",
    "INFO install is done",
    "INFO settings is done",
    "INFO enrol is done",
    "INFO read_only_system is done",
)
CUTS = int(os.environ.get("DOORWARD_BOOT_CUTS", len(CUT_AFTER)))
SEED = int(os.environ.get("DOORWARD_SEED", random.SystemRandom().randrange(10**6)))
RELAY_AWAY_S = 60.0
PI_WITHIN_S = 3600.0
SETTLED_S = 20.0
SMALL_CARD_BYTES = 2816 * 1024 * 1024
"""The image, and so little beside it that there is no place for recordings."""

pytestmark = [pytest.mark.slow, pytest.mark.services]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Cards of one relay: a finished one, and one that has all but keys and certificate."""

    finished: Path
    installed: Path
    device: str
    used: Path
    """The invitation that the finished one used."""


@pytest.fixture
async def relay(base: BaseImage, tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path / "relay", base) as running:
        yield running


async def make_finished(relay: Relay, base: BaseImage, bundle: SignedBundle, folder: Path) -> Made:
    """Cut a first boot off before it makes keys, copy the card, then boot it to its end."""
    finished, installed = folder / "finished.img", folder / "installed.img"
    used = await relay.invite_doorbell(folder / "used.json")
    make_card(finished, base, bundle, used)
    with booted(finished, base, folder, name="install") as machine:
        await machine.wait_for("INFO settings is done", within_s=WITHIN_S)
        machine.cut_power()
    copied(finished, installed)
    with booted(finished, base, folder, name="enrol") as machine:
        await machine.wait_for(DONE, within_s=WITHIN_S)
        await asyncio.sleep(SETTLED_S)
        await machine.switch_off(within_s=WITHIN_S)
    (device,) = relay.enrolled()
    return Made(finished=finished, installed=installed, device=device, used=used)


async def test_later_boots_change_nothing_and_refused_claims_say_why(
    relay: Relay, base: BaseImage, bundle: SignedBundle, tmp_path: Path
) -> None:
    made = await make_finished(relay, base, bundle, tmp_path)
    await check_second_boot(relay, base, made, tmp_path)

    replayed = copied(made.installed, tmp_path / "replayed.img")
    give_other_claim(replayed, made.used)
    await boots_until(replayed, base, tmp_path, "replayed", "claim_used")
    assert status(replayed)["code"] == "claim_used"
    assert relay.enrolled() == [made.device]

    expired = copied(made.installed, tmp_path / "expired.img")
    give_other_claim(expired, await relay.invite_doorbell(tmp_path / "expired.json"))
    relay.end_all_claims()
    await boots_until(expired, base, tmp_path, "expired", "claim_expired")
    assert status(expired)["code"] == "claim_expired"
    assert relay.enrolled() == [made.device]

    old = copied(made.installed, tmp_path / "old.img")
    give_other_claim(old, await relay.invite_doorbell(tmp_path / "old.json"))
    clock = "1970-01-01T00:00:00"
    await boots_until(old, base, tmp_path, "old", DONE, clock=clock)
    assert status(old)["state"] == "done"
    assert len(relay.enrolled()) == 2


async def test_a_relay_that_is_away_for_a_minute_is_waited_for(
    relay: Relay, base: BaseImage, bundle: SignedBundle, tmp_path: Path
) -> None:
    card = tmp_path / "card.img"
    make_card(card, base, bundle, await relay.invite_doorbell(tmp_path / "doorward.json"))
    await relay.stop()
    with booted(card, base, tmp_path) as machine:
        await machine.wait_for("relay_away", within_s=WITHIN_S)
        await asyncio.sleep(RELAY_AWAY_S)
        await relay.start()
        await machine.wait_for(DONE, within_s=WITHIN_S)
    assert len(relay.enrolled()) == 1


async def test_power_cuts_cost_a_start_and_nothing_else(
    relay: Relay, base: BaseImage, bundle: SignedBundle, tmp_path: Path
) -> None:
    print(f"DOORWARD_SEED={SEED}")
    chance = random.Random(SEED)
    card = tmp_path / "card.img"
    make_card(card, base, bundle, await relay.invite_doorbell(tmp_path / "doorward.json"))
    for number in range(min(CUTS, len(CUT_AFTER))):
        with booted(card, base, tmp_path, name=f"cut-{number}") as machine:
            later = "|".join(CUT_AFTER[number:])  # a step that was done says nothing
            await machine.wait_for(f"{later}|{DONE}|{RUNNING}", within_s=WITHIN_S)
            await asyncio.sleep(chance.uniform(0.0, 3.0))
            machine.cut_power()
    page, bell = free_ports(2)
    with booted(card, base, tmp_path, ports={PAGE: page, BELL: bell}, name="last") as machine:
        await machine.wait_for(f"{DONE}|{RUNNING}", within_s=WITHIN_S)
        async with at_the_door(tmp_path, name="door-1", page=page, bell=bell) as door:
            seen = await wait_until_online(door, WITHIN_S)
    assert relay.enrolled() == [seen["device"]]
    assert "doorward/claim.json" not in boot_files(card)


async def test_a_card_without_room_for_recordings_says_so_and_is_left_as_it_is(
    relay: Relay, base: BaseImage, bundle: SignedBundle, tmp_path: Path
) -> None:
    card = tmp_path / "card.img"
    invitation = await relay.invite_doorbell(tmp_path / "doorward.json")
    make_card(card, base, bundle, invitation, size=SMALL_CARD_BYTES)
    before = partition_table(card)
    await boots_until(card, base, tmp_path, "small", "card_too_small")
    assert status(card)["code"] == "card_too_small"
    assert partition_table(card) == before
    assert relay.enrolled() == []


async def test_a_raspberry_pi_3_of_qemus_runs_the_published_wheels(
    bundle: SignedBundle, tmp_path: Path
) -> None:
    """Import each dependency, record a press, answer an offer: from a card in its slot."""
    del bundle  # why nothing can be booted here is told by its fixture
    try:
        base, wheels = base_image(PI3), signed_bundle("aarch64-cp313")
    except Unavailable as error:
        pytest.skip(f"no Pi 3 can be made here: {error}")
    page, bell = free_ports(2)
    async with running_relay(tmp_path / "relay", base) as relay:
        card = tmp_path / "card.img"
        invitation = await relay.invite_doorbell(tmp_path / "doorward.json")
        make_card(card, base, wheels, invitation, camera="replay")
        with booted(card, base, tmp_path, ports={PAGE: page, BELL: bell}) as machine:
            await machine.wait_for(DONE, within_s=PI_WITHIN_S)
            await machine.wait_for("imported all", within_s=PI_WITHIN_S)
            async with at_the_door(tmp_path, name="door-1", page=page, bell=bell) as door:
                seen = await wait_until_online(door, PI_WITHIN_S)
                owner = relay.owner("Mary")
                await owner.register(await relay.invite_owner())
                await owner.pair(door, "314159")
                async with owner.inbox.following(owner.api, f"{API}/stream"):
                    last_seq = await owner.last_seq()
                    await door.ring()
                    pressed = await owner.wait_for_event(
                        "pressed", after_seq=last_seq, timeout_s=WITHIN_S
                    )
                    clip = await owner.wait_for_clip(pressed.data["event"]["id"], WITHIN_S)
                    viewing = await owner.watch_live(frame_count=1)
                await owner.close()
    assert relay.enrolled() == [seen["device"]]
    assert clip["duration_ms"] > 0
    assert viewing.frame_count == 1


async def check_second_boot(relay: Relay, base: BaseImage, made: Made, folder: Path) -> None:
    """Boot the finished card again: no byte of system and boot partition is another one."""
    before = system_digest(made.finished)
    page, bell = free_ports(2)
    ports = {PAGE: page, BELL: bell}
    with booted(made.finished, base, folder, ports=ports, name="second") as machine:
        await machine.wait_for(RUNNING, within_s=WITHIN_S)
        async with at_the_door(folder, name="door-1", page=page, bell=bell) as door:
            seen = await wait_until_online(door, WITHIN_S)
        await machine.switch_off(within_s=WITHIN_S)
        assert " is done" not in machine.said()
    assert seen["device"] == made.device
    assert relay.enrolled() == [made.device]
    assert system_digest(made.finished) == before


async def boots_until(
    card: Path, base: BaseImage, folder: Path, name: str, pattern: str, *, clock: str | None = None
) -> None:
    with booted(card, base, folder, name=name, clock=clock) as machine:
        await machine.wait_for(pattern, within_s=WITHIN_S)
        await asyncio.sleep(2.0)  # its status is written after the line
        await switched_off(machine)


async def switched_off(machine: Machine) -> None:
    with contextlib.suppress(AssertionError):
        await machine.switch_off(within_s=WITHIN_S)


def copied(card: Path, to: Path) -> Path:
    copy_card(card, to, card.stat().st_size)
    return to


def partition_table(card: Path) -> list[tuple[int, int]]:
    with BlockFile(card) as blocks:
        return [(one.start, one.size) for one in read_partitions(blocks)]


def system_digest(card: Path) -> str:
    """Return the digest of all before the data partition."""
    digest = hashlib.sha256()
    left = partition_table(card)[2][0]
    assert left > ROOT_AT
    with card.open("rb") as file:
        while left:
            piece = file.read(min(left, 1024 * 1024))
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()
