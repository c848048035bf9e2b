"""Reads a partition table: MBR with primary partitions, or GPT.

Source: UEFI 2.10, chapter 5 (both forms). Sectors are of 512 bytes, as in images of Raspberry Pi
OS. Extended partitions aren't read: no image of ours has one.
"""

import struct
import zlib
from dataclasses import dataclass

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged

SECTOR = 512
MBR_ENTRIES_AT = 446
MBR_ENTRY = struct.Struct("<B3xB3xII")
GPT_PROTECTIVE = 0xEE
GPT_MAGIC = b"EFI PART"
GPT_HEADER = struct.Struct("<8s4sIII8xQQQQ16sQIII")
GPT_ENTRY = struct.Struct("<16s16sQQ")
MAX_GPT_ENTRIES = 256
MAX_GPT_ENTRY_BYTES = 512
FAT32_KINDS = (0x0B, 0x0C)
BASIC_DATA = bytes.fromhex("a2a0d0ebe5b9334487c068b6b72699c7")
EFI_SYSTEM = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition; `start` and `size` are in bytes. `may_be_fat32` is what its type says."""

    number: int
    start: int
    size: int
    may_be_fat32: bool


def read_partitions(blocks: Blocks) -> list[Partition]:
    """Return the partitions in the order of their numbers, or raise CardDamaged."""
    first = blocks.read(0, SECTOR)
    if len(first) < SECTOR or first[510:512] != b"\x55\xaa":
        raise CardDamaged("there is no partition table; flash the image anew")
    found = []
    for number in range(1, 5):
        at = MBR_ENTRIES_AT + (number - 1) * MBR_ENTRY.size
        _, kind, start, sectors = MBR_ENTRY.unpack_from(first, at)
        if kind == GPT_PROTECTIVE:
            return _read_gpt(blocks)
        if kind and sectors:
            found.append(
                Partition(
                    number=number,
                    start=start * SECTOR,
                    size=sectors * SECTOR,
                    may_be_fat32=kind in FAT32_KINDS,
                )
            )
    return found


def _read_gpt(blocks: Blocks) -> list[Partition]:
    sector = blocks.read(SECTOR, SECTOR)
    if len(sector) < SECTOR or not sector.startswith(GPT_MAGIC):
        raise CardDamaged("the GPT has no header; flash the image anew")
    (_, _, header_size, header_crc, _, _, _, _, _, _, entries_at, count, size, entries_crc) = (
        GPT_HEADER.unpack_from(sector)
    )
    if not GPT_HEADER.size <= header_size <= SECTOR:
        raise CardDamaged(f"the GPT's header has a wrong length ({header_size}); flash anew")
    plain = sector[:16] + bytes(4) + sector[20:header_size]
    if zlib.crc32(plain) != header_crc:
        raise CardDamaged("the GPT's header is damaged; flash the image anew")
    if not (0 < count <= MAX_GPT_ENTRIES and GPT_ENTRY.size <= size <= MAX_GPT_ENTRY_BYTES):
        raise CardDamaged(f"the GPT has {count} entries of {size} bytes, which nobody makes")
    table = blocks.read(entries_at * SECTOR, count * size)
    if zlib.crc32(table) != entries_crc:
        raise CardDamaged("the GPT's entries are damaged; flash the image anew")
    found = []
    for number in range(1, count + 1):
        kind, _, first, last = GPT_ENTRY.unpack_from(table, (number - 1) * size)
        if any(kind) and last >= first:
            found.append(
                Partition(
                    number=number,
                    start=first * SECTOR,
                    size=(last - first + 1) * SECTOR,
                    may_be_fat32=kind in (BASIC_DATA, EFI_SYSTEM),
                )
            )
    return found
