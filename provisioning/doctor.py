"""The doctor: says why a card doesn't boot, or doesn't become a doorbell. Only reads.

`examine` looks at a card or an image from the outside in: room, partition table, FAT, the boot
partition's files, the bundle, the claim, and what the doorbell itself last wrote there. Each fault
is told in words with what to do, those first that stop a card earliest: the later ones are often
only their consequence. What can't be seen from outside (a camera, the air) is the doorbell's own to
say, by `provision-status.json`.
"""

import json
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from firmware.panel.pins import load_pins
from firmware.protocol.claims import Claim
from firmware.protocol.encoding import WireError, decode
from provisioning import boot_config, cloud_init
from provisioning.block_file import BlockFile
from provisioning.bundle_on_card import BUNDLE_FILE
from provisioning.errors import CardDamaged, CardFailed, ReleaseRefused, WishRefused
from provisioning.fat32.health import faults
from provisioning.fat32.volume import Volume
from provisioning.image import CLOUD_INIT_FILES, KERNELS, PIECE, boot_partition
from provisioning.partitions import MBR_ENTRIES_AT, Partition, read_partitions
from provisioning.release.bundle import Target, check_bundle
from provisioning.release.signed_document import parse_signers
from provisioning.writer import opened_words

SETTINGS, STATUS = cloud_init.SETTINGS, f"{cloud_init.FOLDER}/provision-status.json"
INVITATION = "doorward.json"
FIRMWARE = {
    "zero2w": ("bootcode.bin", "start.elf", "fixup.dat"),
    "pi3": ("bootcode.bin", "start.elf", "fixup.dat"),
    "pi4": ("start4.elf", "fixup4.dat"),
    "cm4": ("start4.elf", "fixup4.dat"),
    "pi5": (),
}
"""What each board's own loader reads from the boot partition; a Pi 5 has it in its own memory."""
PROBES = 64
MAX_TEXT_BYTES = 128 * 1024
EXT4_MAGIC_AT, EXT4_STATE_AT = 1024 + 0x38, 1024 + 0x3A
EXT4_MAGIC, EXT4_CLEAN, EXT4_ERRORS = 0xEF53, 1, 2
LEAST_CARD_BYTES = 8_000_000_000
"""System, two versions of Doorward and 8 GB of clips need more; a smaller card is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One thing that was seen; `do` is empty for what is no fault."""

    code: str
    text: str
    do: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something must be done."""
        return bool(self.do)


class ReadOnlyBlocks(Protocol):
    """A card or an image."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from byte `at`; fewer at the end."""
        ...

    def write(self, at: int, data: bytes) -> None:
        """Is never called."""
        ...

    def sync(self) -> None:
        """Is never called."""
        ...


FLASH = "flash it anew with `doorward-flash flash`"
CUSTOMISE = "customise it anew with `doorward-flash customise`"


def examine_path(path: Path, *, now_ms: int) -> list[CheckResult]:
    """Examine a card or an image by its path; raise CardFailed if it can't be opened."""
    try:
        with BlockFile(path) as blocks:
            return examine(blocks, now_ms=now_ms)
    except OSError as error:
        raise CardFailed(opened_words(path, error)) from error


def examine(blocks: ReadOnlyBlocks, *, now_ms: int) -> list[CheckResult]:
    """Return what is found, faults first in the order in which they stop a card."""
    found = list(_examined(blocks, now_ms))
    return [one for one in found if one.is_fault] + [one for one in found if not one.is_fault]


def _examined(blocks: ReadOnlyBlocks, now_ms: int) -> Iterator[CheckResult]:
    yield from _room(blocks)
    try:
        partitions = read_partitions(blocks)
        boot = boot_partition(partitions)
    except CardDamaged as error:
        yield _no_table(blocks, error)
        return
    yield from _lengths(blocks, partitions)
    yield from _root(blocks, partitions, boot)
    sick = list(faults(blocks, boot))
    if sick:
        yield CheckResult(
            code="fat_damaged",
            text=f"The boot partition's file system is damaged: {'; '.join(sick[:3])}.",
            do=f"{_upper(FLASH)}; if it comes back, take another card: this one is worn.",
        )
    try:
        volume = Volume(blocks, boot)
        yield from _Files(volume, now_ms).findings(_disk_id(blocks), partitions)
    except CardDamaged:
        return  # told above


def _room(blocks: ReadOnlyBlocks) -> Iterator[CheckResult]:
    """Read at places spread over the whole length: what is beyond its real end can't be read."""
    size = blocks.size
    last = max(0, size - 4096) // 4096 * 4096
    for place in sorted({n * last // (PROBES - 1) // 4096 * 4096 for n in range(PROBES)}):
        try:
            is_short = len(blocks.read(place, 512)) < min(512, size - place)
        except OSError as error:
            is_short, why = True, f" ({error.strerror})"
        else:
            why = ""
        if is_short:
            yield CheckResult(
                code="card_unreadable",
                text=f"The card can't be read at {place / 1e9:.2f} GB of {size / 1e9:.2f}{why}: it "
                "is worn, or has less room than it claims.",
                do="Try another reader; then take another card.",
            )
            return
    yield CheckResult(
        code="room", text=f"It has {size / 1e9:.2f} GB and can be read at all places."
    )
    if size < LEAST_CARD_BYTES:
        yield CheckResult(
            code="card_small",
            text=f"With {size / 1e9:.1f} GB there is little room for clips; 32 GB are meant.",
        )


def _no_table(blocks: ReadOnlyBlocks, error: CardDamaged) -> CheckResult:
    if not any(blocks.read(0, PIECE)):
        return CheckResult(
            code="blank",
            text="The card is blank: it was never flashed, or flashing was stopped before its end.",
            do=f"{_upper(FLASH)}, and wait until it says that all was read back.",
        )
    return CheckResult(
        code="no_partitions",
        text=f"Nothing on the card can be booted: {_first_clause(error)}.",
        do=f"{_upper(FLASH)}.",
    )


def _lengths(blocks: ReadOnlyBlocks, partitions: list[Partition]) -> Iterator[CheckResult]:
    end = max(partition.start + partition.size for partition in partitions)
    if end > blocks.size:
        yield CheckResult(
            code="cut_off",
            text=f"Its partitions end at {end / 1e9:.2f} GB, and there are only "
            f"{blocks.size / 1e9:.2f}: the image was cut off, or the card is smaller than it "
            "claimed to be.",
            do="Flash a whole image onto a card that has room for it.",
        )
    for one in partitions:
        for other in partitions:
            if one.number < other.number and (
                one.start < other.start + other.size and other.start < one.start + one.size
            ):
                yield CheckResult(
                    code="partitions_overlap",
                    text=f"Partitions {one.number} and {other.number} lie over each other.",
                    do=f"{_upper(FLASH)}.",
                )


class _Files:
    """The files of the boot partition."""

    def __init__(self, volume: Volume, now_ms: int) -> None:
        self._volume = volume
        self._now_ms = now_ms
        self._root = {name.lower() for name in volume.names()}
        has_folder = cloud_init.FOLDER in self._root
        self._inner = (
            {name.lower() for name in volume.names(cloud_init.FOLDER)} if has_folder else set()
        )

    def findings(self, disk_id: str, partitions: list[Partition]) -> Iterator[CheckResult]:
        yield from self._kernel()
        yield from self._cmdline(disk_id, partitions)
        yield from self._config()
        yield from self._cloud_init()
        yield from self._bundle()
        yield from self._claim()
        yield from self._last_words()

    def _kernel(self) -> Iterator[CheckResult]:
        missing = [] if self._root & set(KERNELS) else ["a 64-bit kernel (kernel8.img)"]
        board = self._board()
        missing += [name for name in FIRMWARE.get(board, ()) if name not in self._root]
        if missing:
            yield CheckResult(
                code="no_kernel",
                text=f"The boot partition lacks {', '.join(missing)}"
                + (f", which a {board} needs." if board else "."),
                do="Take Raspberry Pi OS Lite (64-bit) of Trixie, and " + FLASH + ".",
            )

    def _board(self) -> str:
        settings = self._json(SETTINGS)
        board = settings.get("board") if isinstance(settings, dict) else None
        return board if isinstance(board, str) else ""

    def _cmdline(self, disk_id: str, partitions: list[Partition]) -> Iterator[CheckResult]:
        line = self._text(cloud_init.CMDLINE)
        words = line.split()
        root = next((word for word in words if word.startswith("root=")), None)
        if root is None or len(line.strip().splitlines()) != 1:
            yield CheckResult(
                code="cmdline",
                text="cmdline.txt must be one line with root=; the kernel finds no system by it.",
                do=f"{_upper(FLASH)}.",
            )
            return
        wanted = root.removeprefix("root=PARTUUID=").lower()
        known = {f"{disk_id}-{partition.number:02x}" for partition in partitions}
        if root.startswith("root=PARTUUID=") and len(wanted) == 11 and wanted not in known:
            yield CheckResult(
                code="root_elsewhere",
                text=f"cmdline.txt looks for the system on {wanted}, and this card is {disk_id}.",
                do=f"{_upper(FLASH)}: boot partition and system are of two cards.",
            )
        instance = self._json(cloud_init.META_DATA)
        name = instance.get("instance-id") if isinstance(instance, dict) else None
        if name is not None and f"ds=nocloud;i={name}" not in words:
            yield CheckResult(
                code="instance",
                text="cmdline.txt and meta-data name different instances: cloud-init may take the "
                "card for one that it has set up already.",
                do=f"{_upper(CUSTOMISE)}.",
            )

    def _config(self) -> Iterator[CheckResult]:
        text = self._text(cloud_init.CONFIG)
        _, begin, rest = text.partition(boot_config.BEGIN)
        block, end, _ = rest.partition(boot_config.END)
        if "arm_64bit=0" in text:
            yield CheckResult(
                code="config_32_bit",
                text="config.txt says arm_64bit=0: the board starts a 32-bit kernel.",
                do="Take that line out, or " + FLASH + ".",
            )
        if not begin or not end:
            yield CheckResult(
                code="config_block",
                text="config.txt has no whole block of Doorward's: camera, watchdog and pins "
                "aren't set up.",
                do=f"{_upper(CUSTOMISE)}.",
            )
            return
        lines = block.strip().splitlines()
        has_sound = "dtparam=i2s=on" in lines
        try:
            is_ours = lines == boot_config.config_lines(load_pins(), has_sound=has_sound)
        except WishRefused:
            is_ours = False
        if not is_ours:
            yield CheckResult(
                code="config_other",
                text="config.txt's block isn't what this version of Doorward writes for its pins.",
                do=f"If nobody changed it on purpose, {CUSTOMISE}.",
            )

    def _cloud_init(self) -> Iterator[CheckResult]:
        missing = [name for name in CLOUD_INIT_FILES if name not in self._root]
        if missing:
            yield CheckResult(
                code="no_cloud_init",
                text=f"cloud-init's {', '.join(missing)} missing: the system is older than "
                "Raspberry Pi OS Trixie of December 2025, or was never customised.",
                do="Take a newer image, and " + FLASH + ".",
            )
            return
        if not self._text(cloud_init.USER_DATA).startswith("#cloud-config"):
            yield CheckResult(
                code="user_data",
                text="user-data doesn't begin with #cloud-config: cloud-init passes it over.",
                do=f"{_upper(CUSTOMISE)}.",
            )
        first_boot = cloud_init.FIRST_BOOT.rpartition("/")[2]
        if cloud_init.VENDOR_DATA not in self._root or first_boot not in self._inner:
            yield CheckResult(
                code="no_first_boot",
                text="vendor-data or doorward/first-boot.pyz is missing: nothing starts Doorward.",
                do=f"{_upper(CUSTOMISE)}.",
            )
        network = self._json(cloud_init.NETWORK_CONFIG)
        if isinstance(network, dict) and "wifis" not in network:
            yield CheckResult(
                code="by_cable",
                text="The card has no Wi-Fi network: the doorbell must hang on a cable.",
            )

    def _bundle(self) -> Iterator[CheckResult]:
        """Check the bundle as a first boot does, by the signers that the card names."""
        missing = [name for name in (BUNDLE_FILE, "signers.txt") if name not in self._inner]
        if missing:
            if not self._has_status():
                yield CheckResult(
                    code="no_bundle",
                    text=f"The card has no doorward/{' and no doorward/'.join(missing)}: there is "
                    "nothing to install.",
                    do="Customise it anew with --bundle and --signers.",
                )
            return
        board = self._board()
        try:
            with tempfile.TemporaryDirectory(prefix="doorward-doctor-") as folder:
                copy = Path(folder) / BUNDLE_FILE
                with copy.open("wb") as file:
                    file.writelines(self._volume.pieces(f"{cloud_init.FOLDER}/{BUNDLE_FILE}"))
                signers = parse_signers(self._text(f"{cloud_init.FOLDER}/signers.txt"))
                target: Target | None = "aarch64-cp313" if board in FIRMWARE else None
                note = check_bundle(copy, signers, target=target).note
        except ReleaseRefused as error:
            yield CheckResult(
                code="bundle_refused",
                text=f"The first boot refuses what it should install: {error}.",
                do="Customise it anew with --bundle and --signers, from a source that you trust.",
            )
            return
        made = datetime.fromtimestamp(note.made_ms / 1000, tz=UTC)
        yield CheckResult(
            code="bundle",
            text=f"Its bundle is Doorward {note.version} of {made:%Y-%m-%d} for {note.target}, "
            "whole, and signed by enough of those whom its signers.txt names.",
        )

    def _claim(self) -> Iterator[CheckResult]:
        if INVITATION in self._root:
            yield CheckResult(
                code="invitation",
                text="doorward.json is still there: the doorbell hasn't started since it was put "
                "there, or refused it.",
            )
            return
        name = cloud_init.CLAIM.rpartition("/")[2]
        if name not in self._inner:
            if not self._has_status():
                yield CheckResult(
                    code="no_claim",
                    text="The card has no claim: it can enrol with no relay.",
                    do="Get doorward.json from the relay's operator, and " + CUSTOMISE + ".",
                )
            return
        try:
            claim = decode(Claim, self._volume.read(cloud_init.CLAIM).strip())
        except WireError as error:
            yield CheckResult(
                code="claim_damaged",
                text=f"The claim on the card is damaged: {error}.",
                do="Get a new doorward.json from the relay's operator, and " + CUSTOMISE + ".",
            )
            return
        ends = datetime.fromtimestamp(claim.expires_ms / 1000, tz=UTC)
        if claim.expires_ms <= self._now_ms:
            yield CheckResult(
                code="claim_ended",
                text=f"The claim ended on {ends:%Y-%m-%d}, unused: {claim.relay_url} refuses it.",
                do="Get a new doorward.json from the relay's operator, and " + CUSTOMISE + ".",
            )
        else:
            yield CheckResult(
                code="claim",
                text=f"Its claim is for {claim.relay_url}, unused, until {ends:%Y-%m-%d}: whoever "
                "holds the card can enrol with it.",
            )

    def _has_status(self) -> bool:
        return STATUS.rpartition("/")[2] in self._inner

    def _last_words(self) -> Iterator[CheckResult]:
        if not self._has_status():
            yield CheckResult(
                code="never_started",
                text="The doorbell has written nothing yet: its first boot never came so far.",
            )
            return
        status = self._json(STATUS)
        if not isinstance(status, dict):
            yield CheckResult(
                code="status_damaged", text="provision-status.json, its last words, can't be read."
            )
            return
        yield _status_finding(status)

    def _text(self, name: str) -> str:
        try:
            return self._volume.read(name)[:MAX_TEXT_BYTES].decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _json(self, name: str) -> object:
        try:
            document: object = json.loads(self._text(name) or "null")
        except (ValueError, RecursionError):
            return None
        return document


def _status_finding(status: dict[str, object]) -> CheckResult:
    """Tell what the doorbell last wrote: where its first boot stands, and what it waits for."""
    step, state, text, advice, detail = (
        _line(status.get(key)) for key in ("step", "state", "text", "advice", "detail")
    )
    notices = status.get("notices")
    noted = [
        f" It also noted: {_line(one.get('text'))} {_line(one.get('advice'))}".rstrip()
        for one in (notices if isinstance(notices, list) else [])[:4]
        if isinstance(one, dict)
    ]
    words = " ".join(filter(None, (text, f"({detail})" if detail else "")))
    if state == "done":
        return CheckResult(
            code="was_ready", text=f"Its last words: it was set up. {words}{''.join(noted)}".strip()
        )
    said = f"Its last words, at the step {step!r}: {words}{''.join(noted)}"
    if state == "waiting":
        return CheckResult(
            code="waits", text=said, do=advice or "Do what it waits for, and restart it."
        )
    return CheckResult(
        code="broke_off",
        text=said,
        do="Put it in, give it power, and wait ten minutes; then look here again. If it stands at "
        "the same step, its power supply is the likeliest cause.",
    )


def _root(
    blocks: ReadOnlyBlocks, partitions: list[Partition], boot: Partition
) -> Iterator[CheckResult]:
    """Look at the superblock of the system's partition (ext4)."""
    others = [one for one in partitions if one.number > boot.number]
    if not others:
        yield CheckResult(
            code="no_system",
            text="There is no partition with the system beside the boot partition.",
            do=f"{_upper(FLASH)}.",
        )
        return
    start = others[0].start
    raw = blocks.read(start + EXT4_MAGIC_AT, 4)
    magic, state = struct.unpack("<HH", raw) if len(raw) == 4 else (0, 0)
    if magic != EXT4_MAGIC:
        yield CheckResult(
            code="no_system",
            text="The second partition holds no ext4 file system: there is no system to start.",
            do=f"{_upper(FLASH)}.",
        )
    elif state & EXT4_ERRORS:
        yield CheckResult(
            code="system_damaged",
            text="The system's file system noted errors: the card lost what it was given.",
            do=f"Take another card, and {FLASH}.",
        )


def _disk_id(blocks: ReadOnlyBlocks) -> str:
    """Return the MBR's signature, as PARTUUIDs begin."""
    return f"{struct.unpack('<I', blocks.read(MBR_ENTRIES_AT - 6, 4))[0]:08x}"


def _line(value: object) -> str:
    """Return a text from the card without what a terminal obeys, and of bounded length."""
    text = value if isinstance(value, str) else ""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300]).strip()


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _first_clause(error: Exception) -> str:
    return str(error).partition(";")[0]
