"""Packs the first boot's program: one zip file that any Python of the system runs by itself.

The same sources give the same bytes: names in order, one date, nothing compressed.
"""

import io
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SHARED = ("__init__.py", "errors.py", "netplan.py", "wifi.py")
"""What flasher and first boot share; the standard library is all that it imports."""
MAIN = b"""import sys

from provisioning.first_boot.program import main

sys.exit(main())
"""
DATE = (1980, 1, 1, 0, 0, 0)


def pack_first_boot() -> bytes:
    """Return `first-boot.pyz`."""
    sources = {f"provisioning/{name}": PACKAGE / name for name in SHARED}
    for path in (PACKAGE / "first_boot").glob("*.py"):
        sources[f"provisioning/first_boot/{path.name}"] = path
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        _add(archive, "__main__.py", MAIN)
        for name, path in sorted(sources.items()):
            _add(archive, name, path.read_bytes())
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, DATE)
    entry.create_system = 3
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)
