"""The bundle as a card carries it: the file itself, the program that installs it, and its signers.

A bundle is checked whole before any disk is opened. What a base image lacks is put beside its other
files by our own FAT writer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provisioning.block_file import Blocks
from provisioning.errors import ReleaseRefused
from provisioning.fat32.volume import Content, LargeFile, Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from provisioning.release.bundle import FIRST_BOOT, CheckedBundle, Target, check_bundle
from provisioning.release.signed_document import parse_signers

FOLDER, BUNDLE_FILE = "doorward", "bundle.tar"
MAX_SIGNERS_BYTES = 16 * 1024
LACKING = (
    "has no bundle, so nothing could be installed from it; give --bundle and --signers, or take an "
    "image that `make image` made"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardBundle:
    """A checked bundle, and the text that says whose signatures count."""

    checked: CheckedBundle
    signers: bytes

    def files(self) -> dict[str, Content]:
        """Return what belongs on a card."""
        checked = self.checked
        return {
            f"{FOLDER}/{BUNDLE_FILE}": LargeFile(
                path=checked.path, size=checked.size, sha256=checked.sha256
            ),
            f"{FOLDER}/{FIRST_BOOT}": checked.read(FIRST_BOOT),
            f"{FOLDER}/signers.txt": self.signers,
        }


def card_bundle(
    path: Path,
    signers: Path | None,
    *,
    target: Target,
    progress: Callable[[int, float], None] = lambda _size, _part: None,
) -> CardBundle:
    """Check a bundle for a card; raise ReleaseRefused."""
    if signers is None:
        raise ReleaseRefused("a bundle needs --signers: the file that says whose keys count")
    try:
        with signers.open("rb") as file:
            text = file.read(MAX_SIGNERS_BYTES + 1)
    except OSError as error:
        raise ReleaseRefused(f"the signers' file {signers}: {error.strerror}") from error
    if len(text) > MAX_SIGNERS_BYTES:
        raise ReleaseRefused(f"the signers' file {signers} has more than {MAX_SIGNERS_BYTES} bytes")
    counted = parse_signers(text.decode(errors="replace"))
    checked = check_bundle(path, counted, target=target, progress=progress)
    return CardBundle(checked=checked, signers=text)


def carries_bundle(blocks: Blocks) -> bool:
    """Return whether a card, or an image's beginning, has a bundle in its boot partition."""
    volume = Volume(blocks, boot_partition(read_partitions(blocks)))
    if FOLDER not in {name.lower() for name in volume.names()}:
        return False
    return BUNDLE_FILE in {name.lower() for name in volume.names(FOLDER)}
