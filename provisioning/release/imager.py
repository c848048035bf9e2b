"""The manifest by which Raspberry Pi Imager offers an image, with its wizard for Wi-Fi and name.

An image that is opened without a manifest is written as it is, and the wizard is left out. Source:
rpi-imager's doc/json-schema/os-list-schema.json (JSON Schema draft 07), as of August 2026; the
file's name ends with `.rpi-imager-manifest`.
"""

import json
from datetime import UTC, datetime

from provisioning.release.images import ListedImage

SUFFIX = ".rpi-imager-manifest"
INIT_FORMAT = "cloudinit-rpi"
DEVICES = ("pi5-64bit", "pi4-64bit", "pi3-64bit")
"""As Imager names boards: the Zero 2 W is `pi3-64bit`."""
DESCRIPTION = (
    "Raspberry Pi OS Lite (64-bit) that becomes a doorbell. Put the relay's doorward.json onto the "
    "card afterwards"
)


def imager_manifest(image: ListedImage, *, made_ms: int, icon: str, website: str | None) -> bytes:
    """Return the manifest of one image. Imager reads `.xz` in each of its versions."""
    made = datetime.fromtimestamp(made_ms / 1000, tz=UTC)
    entry: dict[str, object] = {
        "name": image.name,
        "description": DESCRIPTION,
        "icon": icon,
        "url": image.url,
        "release_date": f"{made:%Y-%m-%d}",
        "extract_size": image.size,
        "extract_sha256": image.sha256,
        "image_download_size": image.packed_size,
        "image_download_sha256": image.packed_sha256,
        "init_format": INIT_FORMAT,
        "architecture": "armv8",
        "devices": list(DEVICES),
        "capabilities": ["i2c", "passwordless_sudo"],
    }
    if website is not None:
        entry["website"] = website
    return json.dumps({"os_list": [entry]}, indent=2).encode() + b"\n"
