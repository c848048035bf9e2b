"""The health of a FAT32 partition: what fsck would find, told without mending anything.

Looks at each file and folder from the root down: a chain that leaves the partition, never ends,
crosses another's, or doesn't fit the file's size; and at tables that differ. Folders deeper than
`MAX_DEPTH` aren't entered.
"""

from collections.abc import Iterator

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged
from provisioning.fat32.boot_sector import read_layout
from provisioning.fat32.folder import Folder
from provisioning.fat32.table import Table
from provisioning.partitions import Partition

MAX_DEPTH = 8


def faults(blocks: Blocks, partition: Partition) -> Iterator[str]:
    """Yield what is wrong, in words; nothing if the file system is sound."""
    try:
        layout = read_layout(blocks, partition.start, partition.size)
        table = Table(blocks, layout)
        used: dict[int, str] = {}
        yield from _folder_faults(blocks, layout.root_cluster, "", 0, used, table=table)
    except CardDamaged as error:
        yield str(error)


def _folder_faults(
    blocks: Blocks, cluster: int, path: str, depth: int, used: dict[int, str], *, table: Table
) -> Iterator[str]:
    name = path or "the root folder"
    yield from _chain_faults(cluster, name, used, table=table)
    if depth > MAX_DEPTH:
        return
    for entry in Folder(blocks, table.layout, table, cluster).entries():
        inner = f"{path}/{entry.name}".lstrip("/")
        if entry.is_folder:
            if entry.cluster in used:
                yield f"the folder {inner} is a folder above it"
                continue
            try:
                yield from _folder_faults(
                    blocks, entry.cluster, inner, depth + 1, used, table=table
                )
            except CardDamaged as error:
                yield f"{inner}: {error}"
        else:
            yield from _file_faults(entry.cluster, entry.size, inner, used, table=table)


def _file_faults(
    cluster: int, size: int, name: str, used: dict[int, str], *, table: Table
) -> Iterator[str]:
    needed = -(-size // table.layout.cluster)
    if cluster == 0:
        if needed:
            yield f"{name} has {size} bytes, and no place"
        return
    before = len(used)
    found = list(_chain_faults(cluster, name, used, table=table))
    yield from found
    have = len(used) - before
    if not found and have != needed:
        yield f"{name} has {size} bytes, and {have} clusters where {needed} were due"


def _chain_faults(cluster: int, name: str, used: dict[int, str], *, table: Table) -> Iterator[str]:
    try:
        for number in table.chain(cluster):
            if number in used:
                yield f"{name} and {used[number]} lie over each other"
                return
            used[number] = name
    except CardDamaged as error:
        yield f"{name}: {error}"
