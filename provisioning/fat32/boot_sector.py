"""The boot sector: where the file allocation tables and the clusters of a FAT32 partition lie."""

import struct
from dataclasses import dataclass

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged

_FIELDS = struct.Struct("<11xHBHBHHBHHHIIIHHIHH")
NOT_MIRRORED = 0x80
FSINFO_BYTES = 512
FIRST_CLUSTER = 2
MAX_CLUSTERS = 0x0FFFFFF5


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Positions and lengths in bytes, on the whole medium; clusters are numbered from 2."""

    sector: int
    cluster: int
    tables: tuple[int, ...]
    data_at: int
    clusters: int
    root_cluster: int
    fsinfo_at: int | None

    def is_cluster(self, number: int) -> bool:
        """Return whether there is a cluster of that number."""
        return FIRST_CLUSTER <= number < FIRST_CLUSTER + self.clusters

    def position(self, cluster: int) -> int:
        """Return where a cluster begins."""
        return self.data_at + (cluster - FIRST_CLUSTER) * self.cluster


def read_layout(blocks: Blocks, start: int, size: int) -> Layout:
    """Read the boot sector of the partition at these bytes, or raise CardDamaged.

    FAT32 is told by its 16-bit table size being 0, as Linux and dosfstools do, not by the number of
    clusters: `mkfs.vfat -F 32` makes smaller ones.
    """
    boot = blocks.read(start, 512)
    if len(boot) < 512 or boot[510:512] != b"\x55\xaa":
        raise CardDamaged("the first partition has no boot sector; flash the image anew")
    (
        sector,
        per_cluster,
        reserved,
        tables,
        root_entries,
        sectors_16,
        _media,
        table_16,
        _,
        _,
        _,
        sectors_32,
        table_sectors,
        flags,
        version,
        root_cluster,
        fsinfo,
        _backup,
    ) = _FIELDS.unpack_from(boot)
    if table_16 or root_entries or not table_sectors:
        raise CardDamaged("the first partition isn't FAT32; use an image of Raspberry Pi OS")
    if sector not in (512, 1024, 2048, 4096) or per_cluster not in _powers_of_two(128):
        raise CardDamaged(
            f"FAT32 with {per_cluster} sectors of {sector} bytes a cluster is damaged"
        )
    if tables not in (1, 2) or not reserved or version:
        raise CardDamaged("the FAT32 boot sector is damaged; flash the image anew")
    if flags & NOT_MIRRORED:
        raise CardDamaged("only one of the file allocation tables is in use; flash the image anew")
    sectors = sectors_16 or sectors_32
    if sectors * sector > size:
        raise CardDamaged("the FAT32 file system is larger than its partition")
    data = reserved + tables * table_sectors
    clusters = (sectors - data) // per_cluster
    if not 0 < clusters <= min(MAX_CLUSTERS, table_sectors * sector // 4 - FIRST_CLUSTER):
        raise CardDamaged("the FAT32 tables don't fit their partition; flash the image anew")
    has_fsinfo = 0 < fsinfo < reserved
    layout = Layout(
        sector=sector,
        cluster=per_cluster * sector,
        tables=tuple(start + (reserved + n * table_sectors) * sector for n in range(tables)),
        data_at=start + data * sector,
        clusters=clusters,
        root_cluster=root_cluster,
        fsinfo_at=start + fsinfo * sector if has_fsinfo else None,
    )
    if not layout.is_cluster(root_cluster):
        raise CardDamaged("the FAT32 root folder lies outside the partition; flash the image anew")
    return layout


def _powers_of_two(greatest: int) -> tuple[int, ...]:
    return tuple(1 << n for n in range(greatest.bit_length()))
