"""A card as a person makes it: the image written by `doorward-flash`'s code, then customised.

It is a file: what a card's size is, and nothing of it takes space here before it is written.
"""

import json
from datetime import datetime
from pathlib import Path

from firmware.protocol.claims import read_invitation
from provisioning.block_file import BlockFile
from provisioning.cloud_init import CLAIM, SETTINGS, Wishes
from provisioning.customise import customise
from provisioning.fat32.volume import Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from tests.boot.base_image import BaseImage
from tests.boot.bundle import SignedBundle
from tests.boot.machine import copy_card

CARD_BYTES = 16 * 1024**3
"""A power of two, as QEMU's card slot wants it."""
STATUS = "doorward/provision-status.json"


def make_card(
    card: Path,
    base: BaseImage,
    bundle: SignedBundle,
    invitation: Path,
    *,
    serial: str = "door-1",
    size: int = CARD_BYTES,
    **settings: str,
) -> None:
    """Make a card of the image, the bundle and a relay's invitation.

    `settings` are more of settings.json's, such as its camera: nobody is asked for these.
    """
    copy_card(base.image, card, size)
    invited = read_invitation(invitation.read_bytes())
    wishes = Wishes(
        serial=serial,
        claim=invited.claim,
        policy=None if invited.policy is None else invited.policy.encode(),
        network=None,
        ssh_key=invited.ssh_key,
    )
    customise(card, wishes, at=datetime.now().astimezone(), bundle=bundle.for_card())
    if settings:
        add_settings(card, **settings)


def add_settings(card: Path, **settings: str) -> None:
    """Add to the card's settings.json."""
    wished = json.loads(read_file(card, SETTINGS)) | settings
    _write(card, SETTINGS, json.dumps(wished).encode())


def give_other_claim(card: Path, invitation: Path) -> None:
    """Put another invitation's claim in the place of the card's."""
    claim = read_invitation(invitation.read_bytes()).claim
    _write(card, CLAIM, claim.encode() + b"\n")


def boot_files(card: Path) -> set[str]:
    """Return the names of the files in the card's boot partition, our folder's with its name."""
    with BlockFile(card) as blocks:
        volume = Volume(blocks, boot_partition(read_partitions(blocks)))
        return {*volume.names(), *(f"doorward/{name}" for name in volume.names("doorward"))}


def read_file(card: Path, name: str) -> bytes:
    """Return a file of the card's boot partition."""
    with BlockFile(card) as blocks:
        return Volume(blocks, boot_partition(read_partitions(blocks))).read(name)


def status(card: Path) -> dict[str, object]:
    """Return what the first boot says on the card of how it stands."""
    said: dict[str, object] = json.loads(read_file(card, STATUS))
    return said


def _write(card: Path, name: str, data: bytes) -> None:
    with BlockFile(card, is_writable=True) as blocks:
        volume = Volume(blocks, boot_partition(read_partitions(blocks)))
        volume.write({name: data}, at=datetime.now().astimezone())
