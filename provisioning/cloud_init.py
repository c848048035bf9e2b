"""The files by which a card's first boot becomes a doorbell: for cloud-init, the firmware, and us.

Pure: what a person wished, and what is on the card, become the bytes of files. YAML is written as
JSON, which YAML reads as it is, so no name or password can end a string. What cloud-init can't be
told by a file is done by our own first boot.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firmware.panel.pins import load_pins
from firmware.protocol.claims import Claim
from provisioning import netplan
from provisioning.boot_config import config_lines, with_block
from provisioning.errors import CardDamaged, WishRefused
from provisioning.wifi import Network

FOLDER = "doorward"
CLAIM, POLICY = f"{FOLDER}/claim.json", f"{FOLDER}/policy.txt"
SETTINGS = f"{FOLDER}/settings.json"
CMDLINE, CONFIG = "cmdline.txt", "config.txt"
USER_DATA, META_DATA, NETWORK_CONFIG = "user-data", "meta-data", "network-config"
VENDOR_DATA = "vendor-data"
FIRST_BOOT = f"{FOLDER}/first-boot.pyz"
BOOT = "/boot/firmware"
STATE = "/var/lib/doorward"
MAX_HOSTNAME = 63
MAX_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Wishes:
    """What a person says of one doorbell; `serial` is on its label, and its host name."""

    serial: str
    claim: Claim
    policy: bytes | None
    network: Network | None
    ssh_key: str | None = None
    board: str | None = None
    has_sound: bool = False
    rotation: int = 0


def card_files(wishes: Wishes, *, instance: str, have: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files to write; `have` are the card's cmdline.txt and config.txt.

    `instance` is another one each time: cloud-init takes a card with it for a new machine. Raises
    WishRefused, or CardDamaged if the card's own files can't be built on.
    """
    check_wishes(wishes)
    lines = config_lines(load_pins(), has_sound=wishes.has_sound)
    files = {
        USER_DATA: b"#cloud-config\n" + _json(user_data(wishes)),
        VENDOR_DATA: vendor_data(),
        META_DATA: _json({"instance-id": instance, "dsmode": "local"}),
        NETWORK_CONFIG: netplan.encode(netplan.network_config(wishes.network)),
        CMDLINE: cmdline(have.get(CMDLINE), instance),
        CONFIG: with_block(have.get(CONFIG, b""), lines),
        CLAIM: wishes.claim.encode() + b"\n",
        SETTINGS: _json(
            {
                "v": 1,
                "board": wishes.board,
                "sound": wishes.has_sound,
                "rotation": wishes.rotation,
            }
        ),
    }
    if wishes.policy is not None:
        files[POLICY] = wishes.policy
    return files


def check_wishes(wishes: Wishes) -> None:
    """Raise WishRefused if a wish can't be put on any card."""
    check_serial(wishes.serial)
    _check_ssh_key(wishes.ssh_key)
    config_lines(load_pins(), has_sound=wishes.has_sound)


def user_data(wishes: Wishes) -> dict[str, Any]:
    """Return cloud-init's user-data: a host name, a locked system user, SSH only with a key."""
    user: dict[str, Any] = {"name": "doorward-admin", "lock_passwd": True, "sudo": None}
    if wishes.ssh_key is not None:
        user |= {"ssh_authorized_keys": [wishes.ssh_key], "sudo": "ALL=(ALL) NOPASSWD:ALL"}
    ssh = "enable" if wishes.ssh_key is not None else "disable"
    return {
        "hostname": wishes.serial.lower(),
        "manage_etc_hosts": True,
        "preserve_hostname": False,
        "user": user,
        "ssh_pwauth": False,
        "disable_root": True,
        "runcmd": [["systemctl", ssh, "--now", "ssh"]],
    }


def vendor_data() -> bytes:
    """Return cloud-init's vendor-data: starts the first boot at every boot, and moves no partition.

    A wizard such as Raspberry Pi Imager's writes user-data anew and leaves this. `bootcmd` runs
    before the card's partition is mounted for sure, so the program is a unit of its own, which
    waits for the mount and holds up nothing.
    """
    start = [
        "systemd-run",
        "--no-block",
        "--collect",
        "--unit=doorward-first-boot",
        "--description=Doorward's first boot",
        f"--property=RequiresMountsFor={BOOT} {STATE}",
        "/usr/bin/python3",
        "-I",
        f"{BOOT}/{FIRST_BOOT}",
    ]
    document = {"bootcmd": [start], "growpart": {"mode": "off"}, "resize_rootfs": False}
    return b"#cloud-config\n" + _json(document)


def cmdline(now: bytes | None, instance: str | None) -> bytes:
    """Return the kernel's one line: where cloud-init finds its data, and the root as it shall be.

    `resize` would let the initramfs give the whole card to the root, and nothing would be left for
    data. The kernel mounts the root read-only; /etc/fstab says whether it stays so.
    `instance` None: the card isn't customised yet, and cloud-init looks for its data by itself.
    """
    if now is None or b"root=" not in now:
        raise CardDamaged("the card's cmdline.txt names no root partition; flash the image anew")
    words = now.decode("utf-8", errors="surrogateescape").split()
    ours = ("resize", "ro", "rw")
    kept = [word for word in words if word not in ours and not word.startswith("ds=nocloud")]
    source = [] if instance is None else [f"ds=nocloud;i={instance}"]
    text = " ".join([*kept, "ro", *source]) + "\n"
    line = text.encode(errors="surrogateescape")
    if len(line) > MAX_LINE_BYTES:
        raise CardDamaged("the card's cmdline.txt is too long; flash the image anew")
    return line


def check_serial(serial: str) -> None:
    """Raise WishRefused unless a doorbell can have this name."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if (
        not 1 <= len(serial) <= MAX_HOSTNAME
        or not set(serial.lower()) <= allowed
        or (serial.startswith("-") or serial.endswith("-"))
    ):
        raise WishRefused(
            f"{serial!r} can't be a doorbell's name: letters, digits and dashes, at most "
            f"{MAX_HOSTNAME}"
        )


def _check_ssh_key(key: str | None) -> None:
    if key is None:
        return
    words = key.split()
    kinds = ("ssh-ed25519", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com", "ssh-rsa")
    if "\n" in key.strip() or len(words) < 2 or words[0] not in kinds:
        raise WishRefused("that is no SSH public key; give the line of a file that ends with .pub")


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=True).encode() + b"\n"
