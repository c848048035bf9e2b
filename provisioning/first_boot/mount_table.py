"""The table of mounts, /etc/fstab: entries by mount point; every other line stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

FSTAB = "/etc/fstab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of fstab(5). `check_order` 0 is never checked, 1 is the root, 2 is after it."""

    source: str
    at: str
    kind: str
    options: str
    check_order: int = 0

    def __str__(self) -> str:
        return f"{self.source} {self.at} {self.kind} {self.options} 0 {self.check_order}"


def mount_at(table: str, at: str) -> Mount | None:
    """Return the last entry for a mount point, as mount(8) would use it."""
    found = None
    for line in table.splitlines():
        fields = _fields(line)
        if fields and fields[1] == at:
            order = int(fields[5]) if len(fields) > 5 and fields[5].isdigit() else 0
            found = Mount(
                source=fields[0], at=at, kind=fields[2], options=fields[3], check_order=order
            )
    return found


def with_mounts(table: str, mounts: Sequence[Mount]) -> str:
    """Return the table with these entries, each where its mount point was, or else at the end."""
    wanted = {mount.at: mount for mount in mounts}
    lines = []
    for line in table.splitlines():
        fields = _fields(line)
        if not fields or fields[1] not in wanted:
            lines.append(line)
            continue
        mount = wanted[fields[1]]
        if str(mount) not in lines:
            lines.append(str(mount))
    lines += [str(mount) for mount in mounts if str(mount) not in lines]
    return "\n".join(lines) + "\n"


def _fields(line: str) -> list[str]:
    """Return a line's fields, or nothing for a comment or what mount(8) would skip."""
    fields = line.split()
    return [] if len(fields) < 4 or fields[0].startswith("#") else fields
