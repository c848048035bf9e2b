"""Customises a flashed card: writes the first boot's files into its boot partition, and reads them.

The card is opened for nobody else, nothing is mounted, and each file is there as before or as after
if the card is pulled.
"""

import secrets
from datetime import datetime
from pathlib import Path

from provisioning.block_file import BlockFile
from provisioning.cloud_init import CMDLINE, CONFIG, Wishes, card_files
from provisioning.errors import CardFailed
from provisioning.fat32.volume import Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions


def customise(path: Path, wishes: Wishes, *, at: datetime) -> list[str]:
    """Write the files of a first boot; return their names.

    `at` is the local time for the files' dates. Raises WishRefused before anything is written,
    CardDamaged, CardFull, or CardFailed if the card is in use, gone, or keeps something else.
    """
    instance = f"doorward-{secrets.token_hex(8)}"
    try:
        with BlockFile(path, is_writable=True) as blocks:
            volume = Volume(blocks, boot_partition(read_partitions(blocks)))
            present = {name.lower() for name in volume.names()}
            have = {name: volume.read(name) for name in (CMDLINE, CONFIG) if name in present}
            files = card_files(wishes, instance=instance, have=have)
            volume.write(files, at=at)
        with BlockFile(path) as blocks:
            blocks.forget_cached()
            volume = Volume(blocks, boot_partition(read_partitions(blocks)))
            for name, data in files.items():
                if volume.read(name) != data:
                    raise CardFailed(f"the card doesn't keep {name}; take another card")
    except OSError as error:
        raise CardFailed(f"{path} can't be customised: {error.strerror or error}") from error
    return list(files)
