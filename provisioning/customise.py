"""Customises a flashed card: writes the first boot's files into its boot partition, and reads them.

The card is opened for nobody else, nothing is mounted, and each file is there as before or as after
if the card is pulled. A card of which only some files were written, because somebody stopped it, is
made blank.
"""

import secrets
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from provisioning.block_file import BlockFile, Blocks
from provisioning.bundle_on_card import LACKING, CardBundle, carries_bundle
from provisioning.cloud_init import CMDLINE, CONFIG, Wishes, card_files
from provisioning.errors import Cancelled, CardFailed, ReleaseRefused
from provisioning.fat32.volume import Content, LargeFile, Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from provisioning.watched_blocks import WatchedBlocks
from provisioning.writer import Card, blank, opened_words


def customise(
    path: Path,
    wishes: Wishes,
    *,
    at: datetime,
    bundle: CardBundle | None = None,
    is_cancelled: threading.Event | None = None,
) -> list[str]:
    """Write the files of a first boot; return their names.

    `bundle` None: the card has one already, or ReleaseRefused is raised. `at` is the local time for
    the files' dates. Raises WishRefused before anything is written,
    CardDamaged, CardFull, CardFailed if the card is in use, gone, or keeps something else, or
    Cancelled.
    """
    stop = is_cancelled or threading.Event()
    _check(stop, "nothing was written")

    def watch(_count: int) -> None:
        _check(stop, "the card is blank and can be flashed again")

    try:
        with BlockFile(path, is_writable=True) as blocks:
            if bundle is None and not carries_bundle(blocks):
                raise ReleaseRefused(f"{path} {LACKING}")
            files = write_files(WatchedBlocks(blocks, watch), wishes, bundle, at=at)
        with BlockFile(path) as blocks:
            blocks.forget_cached()
            compare_files(WatchedBlocks(blocks, watch), files)
        watch(0)
    except OSError as error:
        raise CardFailed(opened_words(path, error)) from error
    except Cancelled:
        with Card(path) as card:
            blank(card)
        raise
    return list(files)


def _check(stop: threading.Event, what: str) -> None:
    if stop.is_set():
        raise Cancelled(f"stopped; {what}")


def write_files(
    blocks: Blocks, wishes: Wishes, bundle: CardBundle | None, *, at: datetime
) -> dict[str, Content]:
    """Write the files of a first boot into the boot partition; return them."""
    instance = f"doorward-{secrets.token_hex(8)}"
    volume = Volume(blocks, boot_partition(read_partitions(blocks)))
    present = {name.lower() for name in volume.names()}
    have = {name: volume.read(name) for name in (CMDLINE, CONFIG) if name in present}
    files: dict[str, Content] = {} if bundle is None else bundle.files()
    files.update(card_files(wishes, instance=instance, have=have))
    volume.write(files, at=at)
    return files


def compare_files(blocks: Blocks, files: Mapping[str, Content]) -> None:
    """Raise CardFailed unless the boot partition gives these files back."""
    volume = Volume(blocks, boot_partition(read_partitions(blocks)))
    for name, content in files.items():
        if isinstance(content, LargeFile):
            is_kept = volume.sha256(name) == content.sha256
        else:
            is_kept = volume.read(name) == content
        if not is_kept:
            raise CardFailed(f"the card doesn't keep {name}; take another card")
