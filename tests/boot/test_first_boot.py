"""A flashed and customised card, booted: it becomes an enrolled doorbell, offline, and rings.

Nothing is simulated but the processor and the board's parts: systemd, cloud-init, NetworkManager
and dpkg are Debian's, broker and store are real, and the relay is reached over TLS.
"""

import time
from pathlib import Path

import pytest

from tests.boot.base_image import BaseImage
from tests.boot.bundle import SignedBundle
from tests.boot.card import boot_files, make_card, status
from tests.boot.machine import booted
from tests.boot.relay import running_relay
from tests.boot.stages import WITHIN_S, Stages, follow_first_boot
from tests.boot.ways_in import BELL, PAGE, at_the_door, wait_until_online
from tests.story.owner import API
from tests.story.settings import free_ports

DOOR_NUMBER = "314159"
ONLINE_S, EVENT_S, CLIP_S = 600.0, 120.0, 600.0

pytestmark = [pytest.mark.slow, pytest.mark.services]


async def test_a_blank_card_becomes_a_doorbell_that_rings(
    base: BaseImage, bundle: SignedBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = Stages()
    async with running_relay(tmp_path / "relay", base) as relay:
        card = tmp_path / "card.img"
        invitation = await relay.invite_doorbell(tmp_path / "doorward.json")
        with stages.of("card"):
            make_card(card, base, bundle, invitation)
        page, bell = free_ports(2)
        with booted(card, base, tmp_path, ports={PAGE: page, BELL: bell}) as machine:
            await follow_first_boot(machine, stages)
            (device,) = relay.enrolled()
            async with at_the_door(tmp_path, name="door-1", page=page, bell=bell) as door:
                with stages.of("online"):
                    seen = await wait_until_online(door, ONLINE_S)
                assert seen["device"] == device
                owner = relay.owner("Mary")
                try:
                    with stages.of("paired"):
                        await owner.register(await relay.invite_owner())
                        words = await owner.pair(door, DOOR_NUMBER)
                    assert len(words) == 4
                    async with owner.inbox.following(owner.api, f"{API}/stream"):
                        with stages.of("rung"):
                            last_seq = await owner.last_seq()
                            await door.ring()
                            pressed = await owner.wait_for_event(
                                "pressed", after_seq=last_seq, timeout_s=EVENT_S
                            )
                        with stages.of("recorded"):
                            event = pressed.data["event"]
                            clip = await owner.wait_for_clip(event["id"], CLIP_S)
                finally:
                    await owner.close()
            assert event["device"] == device
            assert clip["duration_ms"] > 0
            await machine.switch_off(within_s=WITHIN_S)
        check_card(card)
    with capsys.disabled():
        print(f"\nbooted: {stages}")


def check_card(card: Path) -> None:
    """Assert what the first boot left on the card: no secret, and how it went."""
    files = boot_files(card)
    assert "doorward/claim.json" not in files
    said = status(card)
    assert (said["state"], said["code"]) == ("done", "done")
    assert time.time() * 1000 - int(str(said["changed_ms"])) < 3600_000
