"""An image as pi-gen lays one out, made without mounting anything, and kept by its recipe.

MBR; a FAT32 partition `bootfs` of 512 MiB with clusters of one sector, from 8 MiB on; then ext4
`rootfs`. It trusts a certificate authority whose key is kept beside it: the relay's of the proof.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.boot.programs import only_maker, run
from tests.boot.system import AMD64, STATE, Architecture, RootFileSystem, root_file_system

MIB = 1024 * 1024
BOOT_AT, BOOT_MIB = 8 * MIB, 512
ROOT_AT = BOOT_AT + BOOT_MIB * MIB
ROOT_MIB = 2048
DISK_ID = "d0024ad0"
BOOT_PART, ROOT_PART = f"PARTUUID={DISK_ID}-01", f"PARTUUID={DISK_ID}-02"
FSTAB = f"""\
proc /proc proc defaults 0 0
{BOOT_PART} /boot/firmware vfat defaults 0 2
{ROOT_PART} / ext4 defaults,noatime 0 1
"""
PATIENCE = {
    "etc/systemd/system.conf.d/emulated.conf": (
        "[Manager]\nDefaultDeviceTimeoutSec=20min\nDefaultTimeoutStartSec=20min\n"
    ),
    "etc/udev/udev.conf": "event_timeout=1200\n",
}
"""A board has 90 seconds to find its partitions; an emulated one may wait longer for its turn."""
TRUSTED = "etc/ssl/certs/ca-certificates.crt"
CA_DAYS = 3650


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image, what boots it, and the certificate authority that it trusts."""

    image: Path
    system: RootFileSystem
    ca_key: Path
    ca: Path


def base_image(architecture: Architecture = AMD64, say: Callable[[str], None] = print) -> BaseImage:
    """Return the image, made if it isn't kept; raise Unavailable if it can't be."""
    with only_maker(STATE):
        return _kept_or_made(architecture, say)


def _kept_or_made(architecture: Architecture, say: Callable[[str], None]) -> BaseImage:
    system = root_file_system(architecture, say)
    recipe = hashlib.sha256(
        Path(__file__).read_bytes() + json.dumps(architecture.settings).encode()
    ).hexdigest()[:16]
    folder = system.tar.parent / f"image-{recipe}"
    made = BaseImage(
        image=folder / "base.img", system=system, ca_key=folder / "ca.key", ca=folder / "ca.pem"
    )
    if not folder.exists():
        say("making an image of it, as pi-gen lays one out")
        for old in system.tar.parent.glob("image-*"):
            shutil.rmtree(old)
        new = folder.with_suffix(".new")
        new.mkdir()
        _make_ca(new)
        with tempfile.TemporaryDirectory(dir=new) as scratch:
            _make_image(new, system, architecture, Path(scratch))
        new.rename(folder)
    return made


def _make_ca(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a boot's proof")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "ca.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "ca.key").chmod(0o600)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _make_image(
    folder: Path, system: RootFileSystem, architecture: Architecture, scratch: Path
) -> None:
    root = scratch / "root"
    root.mkdir()
    run("tar", "-C", str(root), "--numeric-owner", "-xpf", str(system.tar))
    (root / "etc/fstab").write_text(FSTAB)
    for name, text in {**PATIENCE, **architecture.settings}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with (root / TRUSTED).open("ab") as trusted:
        trusted.write((folder / "ca.pem").read_bytes())
    image = folder / "base.img"
    with image.open("wb") as file:
        file.truncate(ROOT_AT + ROOT_MIB * MIB)
    table = scratch / "table"
    table.write_text(
        f"label: dos\nlabel-id: 0x{DISK_ID}\n"
        f"start={BOOT_AT // 512}, size={BOOT_MIB * MIB // 512}, type=c\n"
        f"start={ROOT_AT // 512}, size={ROOT_MIB * MIB // 512}, type=83\n"
    )
    run("sh", "-c", f"sfdisk --quiet {image} <{table}")
    run("mkfs.vfat", "-F", "32", "-s", "1", "-n", "bootfs", "--offset", str(BOOT_AT // 512),
        str(image), str(BOOT_MIB * 1024))  # fmt: skip
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "rootfs", "-O", "^huge_file", "-d", str(root),
        "-E", f"offset={ROOT_AT}", str(image), f"{ROOT_MIB}M")  # fmt: skip
    files = scratch / "boot"
    files.mkdir()
    (files / "cmdline.txt").write_text(
        f"console=tty1 console={architecture.console} root={ROOT_PART} rootfstype=ext4 "
        "fsck.repair=yes rootwait quiet resize audit=0 mitigations=off\n"
    )
    (files / "config.txt").write_text("[all]\narm_64bit=1\n")
    for name in ("user-data", "meta-data", "network-config"):
        (files / name).write_text("#cloud-config\n" if name == "user-data" else "")
    shutil.copyfile(system.kernel, files / "kernel8.img")
    shutil.copyfile(system.initramfs, files / "initramfs8")
    run(
        "mcopy", "-i", f"{image}@@{BOOT_AT}", *(str(path) for path in sorted(files.iterdir())), "::"
    )
